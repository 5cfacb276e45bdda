/**
 * A user's secret, as far as it is known here.
 */
#ifndef PGSEAL_GATE_UPSTREAM_CREDENTIAL_H
#define PGSEAL_GATE_UPSTREAM_CREDENTIAL_H

#include "auth/verifier.h"

/** What is known of a user's secret, wherever it was read. */
struct credential {
    bool exists;
    bool no_login; /* the server has the role, and it may not log in */
    bool expired;
    bool has_secret;
    bool cleartext;           /* auth_file may hold one; `password` is it */
    bool beside_cleartext;    /* auth_file holds one of somebody's */
    struct verifier verifier; /* of the stored secret */
    struct bytes password;    /* borrowed from the snapshot */
};

#endif
