#include "gate/session/console_actions.h"

#include "gate/session/console.h"
#include "gate/session/signalling.h"
#include "gate/work/sql_thread.h"
#include "gate/work/worker.h"

#include <stdlib.h>

/* ---- pg_reload_conf(), pgseal_recheck() ---- */

/* What the steward does, and says of it. */
struct steward_order {
    struct gate_shared *shared;
    void (*act)(struct gate *gate, struct err *note);
    struct err note;
};

static void do_order(void *arg, size_t loop)
{
    struct steward_order *order = arg;

    (void)loop;
    order->act(order->shared->gate, &order->note);
}

static void keep_note(void *arg, void *out)
{
    const struct steward_order *order = arg;
    struct err *note = out;

    *note = order->note;
}

/* note: what it is when the steward does not answer; then its answer. */
static bool ask_steward(struct gate_shared *shared, void (*act)(struct gate *gate, struct err *note),
                        struct err *note)
{
    struct steward_order *order = calloc(1, sizeof *order);

    if (!order)
        return false;
    order->shared = shared;
    order->act = act;
    const struct question question = {
        .loops = &shared->steward, .n_loops = 1, .answer = do_order, .release = free, .arg = order
    };
    return sql_thread_ask(shared->sql, &question, keep_note, note);
}

static bool reload(void *ctx, struct err *note)
{
    struct gate_shared *shared = ctx;

    err_set(note, E_UNAVAILABLE, "the configuration could not be reloaded now");
    return ask_steward(shared, shared->steward_hooks->reload, note);
}

static bool recheck(void *ctx, struct err *note)
{
    struct gate_shared *shared = ctx;

    err_set(note, E_UNAVAILABLE, "the hosts could not be asked now");
    return ask_steward(shared, shared->steward_hooks->recheck, note) && note->code == OK;
}

struct console_actions console_actions_of(struct worker *worker)
{
    return (struct console_actions){
        .ctx = worker->shared, .reload = reload, .recheck = recheck, .signal = signalling_run
    };
}
