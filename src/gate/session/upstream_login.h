/**
 * What the gate says of itself to a server: StartupMessage and credentials.
 */
#ifndef PGSEAL_GATE_SESSION_UPSTREAM_LOGIN_H
#define PGSEAL_GATE_SESSION_UPSTREAM_LOGIN_H

#include "gate/session/upstream_impl.h"

/** The StartupMessage's parameters: what the client said, with our changes. NULL when memory ran out. */
struct parameter *upstream_parameters(struct upstream_room *r, size_t *out_n);
/**
 * An ErrorResponse before AuthenticationOk. True: it is about the parameters of forward_facts, as a pooler's that
 * takes PostgreSQL's and no others. They are left out from now on, and the same server may be asked again.
 */
bool upstream_without_facts(struct upstream_room *r, const struct server_error *said);
/** What of upstream_login applies to this session and connection: bits of allowed methods, and the secret. */
unsigned upstream_choose_login(struct upstream_room *r, struct login_creds *creds);
/** `service`: his password from the password file, for the present host. */
MUST_CHECK enum code upstream_find_password(struct upstream_room *r, struct err *e);
/** `service` is the first of upstream_login that applies over this connection: the session will act as the
 * conninfo's own user. */
bool upstream_is_service(const struct upstream_room *r);

#endif
