/**
 * Rows for tests: a small gate with three sessions, a certificate, rules and settings; or a large one.
 */
#ifndef PGSEAL_TESTS_STATUS_FIXTURE_H
#define PGSEAL_TESTS_STATUS_FIXTURE_H

enum { FIXTURE_SHARED_PID = 4799 }; /* several sessions have it */

#include "status/console.h"

/** The small gate; or, with sessions > 0, that many sessions of users u0…u9. */
struct fixture {
    size_t sessions;
    unsigned released; /* how often a source was given back */
    unsigned reloads;
    unsigned rechecks;
    int32_t signaled; /* last pid */
};

struct row_source fixture_rows(struct fixture *f);
struct console_actions fixture_actions(struct fixture *f);
/** User alice over TLS with a certificate, pid 4711. */
struct console_params fixture_params(struct fixture *f, const struct env *env, const char *user,
                                     bool is_admin);

#endif
