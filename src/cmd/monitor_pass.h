/**
 * One look at all targets of `pgseal monitor`: files on the pool, endpoints side by side on the loop.
 */
#ifndef PGSEAL_CMD_MONITOR_PASS_H
#define PGSEAL_CMD_MONITOR_PASS_H

#include "base/env.h"
#include "monitor/exposition.h"
#include "probe/fetch.h"

struct loop;
struct pass;

/** The same for every look; borrowed. `now_s` of the parameters is set by each look. */
struct pass_plan {
    struct loop *loop;
    struct fetcher *fetcher;
    const struct env *env;
    struct monitor_params params;
    enum fetch_how how; /* of endpoints that are targets of their own */
    char *const *texts; /* the targets as given */
    size_t n;
};

/** The look is over. `pass` is given up to the callee, who calls pass_free(). */
typedef void pass_fn(void *arg, struct pass *pass);

/** E_PARAM: a target is neither a path nor an endpoint. Harmless otherwise. */
MUST_CHECK enum code pass_check_target(struct str text, struct err *e);
/** Begin; plan is borrowed until the end. False when memory ran out: `fn` will not be called. */
MUST_CHECK bool pass_start(const struct pass_plan *plan, pass_fn *fn, void *arg);
/** What was found. */
const struct monitor_run *pass_run(const struct pass *pass);
void pass_free(struct pass *pass);

#endif
