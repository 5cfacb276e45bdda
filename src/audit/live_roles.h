/**
 * Who may log in to a live server, by what kind of secret, and who is there now.
 */
#ifndef PGSEAL_AUDIT_LIVE_ROLES_H
#define PGSEAL_AUDIT_LIVE_ROLES_H

#include "base/err.h"

struct live_audit;

/** Fill the subject's roles; of secrets only their kind is asked for. E_CLOSED, E_LIMIT, E_NOMEM. */
MUST_CHECK enum code live_roles(struct live_audit *audit);
/** Fill the sessions of other machines. As above. */
MUST_CHECK enum code live_sessions(struct live_audit *audit);
/** Which service runs the server, by its roles, and what it says about TLS; after live_settings() and the look at the port. As above. */
MUST_CHECK enum code live_service(struct live_audit *audit);

#endif
