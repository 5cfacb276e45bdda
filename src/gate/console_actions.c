/* What statements may set in motion: a reload by the steward, a signal to a session of some worker. */
#include "base/check.h"
#include "gate/console.h"
#include "gate/rooms.h"
#include "gate/sql_thread.h"
#include "gate/worker.h"
#include "net/loop.h"

#include <stdlib.h>

/* ---- pg_reload_conf() ---- */

struct reload {
    struct gate_shared *shared;
    struct err note;
};

static void do_reload(void *arg, size_t loop)
{
    struct reload *reload = arg;

    (void)loop;
    reload->shared->reload(reload->shared->gate, &reload->note);
}

static void keep_note(void *arg, void *out)
{
    const struct reload *reload = arg;
    struct err *note = out;

    *note = reload->note;
}

static bool reload(void *ctx, struct err *note)
{
    struct gate_shared *shared = ctx;
    struct reload *asked = calloc(1, sizeof *asked);

    err_set(note, E_UNAVAILABLE, "the configuration could not be reloaded now");
    if (!asked)
        return false;
    asked->shared = shared;
    const struct question question = {
        .loops = &shared->steward, .n_loops = 1, .answer = do_reload, .release = free, .arg = asked
    };
    return sql_thread_ask(shared->sql, &question, keep_note, note);
}

/* ---- pg_terminate_backend(), pg_cancel_backend() ---- */

struct signalling {
    struct gate_shared *shared;
    enum signal_kind kind;
    int32_t pid;
    char user[PG_NAME_MAX + 1];
    bool is_admin;
    _Atomic int result;
};

static void signal_session(struct signalling *asked, struct session *s)
{
    if (!asked->is_admin && !str_is(s->startup.user, asked->user)) {
        asked->result = SIGNAL_DENIED;
        return;
    }
    asked->result = SIGNAL_SENT;
    if (asked->kind == SIGNAL_TERMINATE)
        session_drain(s, true);
    else
        cancel_session(s);
}

static void do_signal(void *arg, size_t loop)
{
    struct signalling *asked = arg;
    struct session *s = registry_find_pid(asked->shared->workers[loop], (uint32_t)asked->pid);

    if (s)
        signal_session(asked, s);
}

static void keep_result(void *arg, void *out)
{
    struct signalling *asked = arg;
    int *result = out;

    *result = asked->result;
}

static enum signal_result signal_pid(void *ctx, enum signal_kind kind, int32_t pid, struct str user,
                                     bool is_admin)
{
    struct gate_shared *shared = ctx;
    struct signalling *asked = calloc(1, sizeof *asked);
    int result = SIGNAL_NO_SESSION;

    if (!asked || !str_to_c(user, asked->user, sizeof asked->user)) {
        free(asked);
        return SIGNAL_NO_SESSION;
    }
    asked->shared = shared;
    asked->kind = kind;
    asked->pid = pid;
    asked->is_admin = is_admin;
    asked->result = SIGNAL_NO_SESSION;
    const struct question question = { .loops = shared->loops,
                                       .n_loops = shared->n_workers,
                                       .answer = do_signal,
                                       .release = free,
                                       .arg = asked };
    if (!sql_thread_ask(shared->sql, &question, keep_result, &result))
        return SIGNAL_NO_SESSION;
    return (enum signal_result)result;
}

struct console_actions console_actions_of(struct worker *worker)
{
    return (struct console_actions){ .ctx = worker_shared(worker), .reload = reload, .signal = signal_pid };
}
