/**
 * Where a live server connects to by itself: its primary, publishers, foreign servers.
 */
#ifndef PGSEAL_AUDIT_LIVE_LINKS_H
#define PGSEAL_AUDIT_LIVE_LINKS_H

#include "base/err.h"

struct live_audit;

/** Fill the subject's connections. E_CLOSED, E_LIMIT, E_NOMEM: see audit->e. */
MUST_CHECK enum code live_links(struct live_audit *audit);

#endif
