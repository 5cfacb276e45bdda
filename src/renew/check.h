/**
 * Would clients take the new pair as they take the old one?
 */
#ifndef PGSEAL_RENEW_CHECK_H
#define PGSEAL_RENEW_CHECK_H

#include "pki/cert.h"
#include "pki/key.h"

struct renew_check {
    const struct cert_list *chain;   /* the new one, leaf first; not empty */
    EVP_PKEY *key;                   /* the new one */
    const struct cert_list *running; /* the old one, leaf first; not empty */
    const struct cert_list *anchors; /* roots among them are clients' own */
    const struct cert_list *store;   /* clients have all of these */
    const struct san *names;         /* n_names 0: those of the old one */
    size_t n_names;
    int64_t now_unix_s;
    bool forced; /* a new certificate may end before the old one */
};

/**
 * The pair fits; the path that clients build ends in a root that they have, or in the one that the old chain ends
 * in; all of it is valid now and no CA ends before the leaf; the names, usages and the end are not less than the
 * old ones'. The first fault is told.
 *
 * E_KEY_FIT, E_CONFIG, E_TLS, E_NOMEM.
 */
MUST_CHECK enum code renew_check(const struct renew_check *what, struct err *e);

#endif
