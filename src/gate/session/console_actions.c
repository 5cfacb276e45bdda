#include "gate/session/console_actions.h"

#include "base/buf.h"
#include "base/check.h"
#include "gate/session/console.h"
#include "gate/session/registry.h"
#include "gate/work/sql_thread.h"
#include "gate/work/worker.h"
#include "net/loop.h"

#include <stdio.h>
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

/* ---- pg_terminate_backend(), pg_cancel_backend() ---- */

/*
 * First all workers are asked who has that pid, then the one that is meant is signaled: two servers may well
 * have given the same one.
 */
enum { SHOWN_MAX = 4 };

struct signalling {
    struct gate_shared *shared;
    enum signal_kind kind;
    int32_t pid;
    char user[PG_NAME_MAX + 1];
    bool is_admin;
    _Atomic unsigned others;  /* sessions that the user may not signal */
    _Atomic unsigned found;   /* sessions that he may */
    _Atomic uint64_t id;      /* of the last one found */
    char who[SHOWN_MAX][256]; /* each is written once, by the worker that found it */
    _Atomic bool sent;
};

static void note_session(struct signalling *asked, const struct session *s)
{
    char host[64];

    if (!asked->is_admin && !str_is(s->startup.user, asked->user)) {
        asked->others++;
        return;
    }
    unsigned n = asked->found++;
    asked->id = s->id;
    if (n >= SHOWN_MAX)
        return;
    session_host(s, host, sizeof host);
    (void)snprintf(asked->who[n], sizeof asked->who[n], "user \"%.*s\", database \"%.*s\", client %s port %u",
                   STR_ARG(s->startup.shown.user), STR_ARG(s->startup.shown.database), host,
                   address_port(&s->peer));
}

static void do_find(void *arg, size_t loop)
{
    struct signalling *asked = arg;
    struct worker *worker = asked->shared->workers[loop];
    const struct session *s = NULL;

    while ((s = registry_next(worker, (uint32_t)asked->pid, s)))
        note_session(asked, s);
}

static void do_signal(void *arg, size_t loop)
{
    struct signalling *asked = arg;
    struct worker *worker = asked->shared->workers[loop];
    struct session *s = NULL;

    do {
        s = registry_next(worker, (uint32_t)asked->pid, s);
    } while (s && s->id != asked->id);
    if (!s)
        return;
    asked->sent = true;
    if (asked->kind == SIGNAL_TERMINATE)
        session_drain(s, true);
    else
        session_cancel(s);
}

static void keep_all(void *arg, void *out)
{
    memcpy(out, arg, sizeof(struct signalling));
}

/* Ask all workers on a copy: who does not answer in time may still write there. */
static bool ask_workers(struct signalling *asked, void (*answer)(void *arg, size_t loop))
{
    struct gate_shared *shared = asked->shared;
    struct signalling *copy = malloc(sizeof *copy);

    if (!copy)
        return false;
    memcpy(copy, asked, sizeof *copy);
    const struct question question = {
        .loops = shared->loops, .n_loops = shared->n_workers, .answer = answer, .release = free, .arg = copy
    };
    return sql_thread_ask(shared->sql, &question, keep_all, asked);
}

static enum signal_result ambiguous(const struct signalling *asked, struct err *e)
{
    AUTO(buf) struct buf who = BUF_INIT(sizeof e->detail);

    for (unsigned i = 0; i < asked->found && i < SHOWN_MAX; i++)
        buf_printf(&who, "%s%s", i ? "; " : "", asked->who[i]);
    if (asked->found > SHOWN_MAX)
        buf_append_c(&who, "; and more");
    (void)err_set(e, E_BAD_STATE, "%u sessions have PID %d, each on a server of its own", asked->found,
                  asked->pid);
    err_detail(e, "%s.", buf_c(&who));
    err_hint(e, "Call the function on the server of the session that you mean.");
    return SIGNAL_AMBIGUOUS;
}

static enum signal_result signal_pid(void *ctx, const struct signal_request *request, struct err *e)
{
    struct signalling asked = {
        .shared = ctx, .kind = request->kind, .pid = request->pid, .is_admin = request->is_admin
    };

    if (!str_to_c(request->user, asked.user, sizeof asked.user) || !ask_workers(&asked, do_find))
        return SIGNAL_NO_SESSION;
    if (asked.found > 1)
        return ambiguous(&asked, e);
    if (asked.found == 0)
        return asked.others > 0 ? SIGNAL_DENIED : SIGNAL_NO_SESSION;
    return ask_workers(&asked, do_signal) && asked.sent ? SIGNAL_SENT : SIGNAL_NO_SESSION;
}

struct console_actions console_actions_of(struct worker *worker)
{
    return (struct console_actions){
        .ctx = worker->shared, .reload = reload, .recheck = recheck, .signal = signal_pid
    };
}
