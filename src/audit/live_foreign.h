/**
 * Foreign servers that connect to PostgreSQL, and the mappings of their users.
 */
#ifndef PGSEAL_AUDIT_LIVE_FOREIGN_H
#define PGSEAL_AUDIT_LIVE_FOREIGN_H

#include "base/err.h"

struct live_audit;

/** Add their connections to the subject. E_CLOSED, E_LIMIT, E_NOMEM: see audit->e. */
MUST_CHECK enum code live_foreign(struct live_audit *audit);

#endif
