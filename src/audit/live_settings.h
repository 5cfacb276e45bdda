/**
 * The settings of a live server, and whether they are what its files say.
 */
#ifndef PGSEAL_AUDIT_LIVE_SETTINGS_H
#define PGSEAL_AUDIT_LIVE_SETTINGS_H

#include "base/err.h"

struct live_audit;

/** Fill the subject's settings. E_CLOSED, E_LIMIT, E_NOMEM: see audit->e. */
MUST_CHECK enum code live_settings(struct live_audit *audit);
/** What is newer on disk than in force, and what the files have wrong. As above. */
MUST_CHECK enum code live_in_force(struct live_audit *audit);

#endif
