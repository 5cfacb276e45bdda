/*
 * First all workers, and the processes before this one, are asked who has that PID, then the one that is meant is signaled: two
 * servers may well have given the same one.
 */
#include "gate/session/signalling.h"

#include "base/arena.h"
#include "base/check.h"
#include "base/form.h"
#include "gate/session/registry.h"
#include "gate/session/session.h"
#include "gate/session/signalling_form.h"
#include "gate/work/sql_thread.h"
#include "gate/work/worker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the workers ---- */

static void note_session(struct signalling *asked, const struct session *s)
{
    char host[64];

    if (!asked->is_admin && !str_is(s->startup.user, asked->user)) {
        asked->others++;
        return;
    }
    unsigned n = asked->found++;
    asked->id = s->id;
    if (n >= SIGNALLING_SHOWN)
        return;
    session_host(s, host, sizeof host);
    (void)snprintf(asked->who[n], SIGNALLING_WHO_MAX, "user \"%.*s\", database \"%.*s\", client %s port %u",
                   STR_ARG(s->startup.shown.user), STR_ARG(s->startup.shown.database), host,
                   address_port(&s->peer));
}

static void do_find(struct signalling *asked, struct worker *worker)
{
    const struct session *s = NULL;

    while ((s = registry_next(worker, (uint32_t)asked->pid, s)))
        note_session(asked, s);
}

static void do_signal(struct signalling *asked, struct worker *worker)
{
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

static void take_step(void *arg, size_t loop)
{
    struct signalling *asked = arg;
    struct worker *worker = asked->shared->workers[loop];

    if (asked->step == SIGNALLING_FIND)
        do_find(asked, worker);
    else
        do_signal(asked, worker);
}

static void keep_all(void *arg, void *out)
{
    memcpy(out, arg, sizeof(struct signalling));
}

/* On a copy: who does not answer in time may still write there. */
static bool ask_copy(struct signalling *asked, struct question *question)
{
    struct signalling *copy = malloc(sizeof *copy);

    if (!copy)
        return false;
    memcpy(copy, asked, sizeof *copy);
    question->release = free;
    question->arg = copy;
    return sql_thread_ask(asked->shared->sql, question, keep_all, asked);
}

static bool ask_workers(struct signalling *asked, enum signalling_step step)
{
    const struct gate_shared *shared = asked->shared;
    struct question question = { .loops = shared->loops, .n_loops = shared->n_workers, .answer = take_step };

    asked->step = step;
    return ask_copy(asked, &question);
}

/* ---- another process: what is asked, and what it answers ---- */

bool signalling_answer(struct gate_shared *shared, struct bytes question, struct buf *out)
{
    struct signalling asked = { .shared = shared };
    struct form in = form_from(question, NULL), answer = form_to(out);

    signalling_form_question(&in, &asked);
    if (form_end(&in) != OK || !ask_workers(&asked, asked.step))
        return false;
    signalling_form_answer(&answer, &asked);
    return form_end(&answer) == OK;
}

/* ---- the processes before this one ---- */

/* They are asked on the steward's loop. */
struct elsewhere {
    struct signalling asked; /* the first: it is what is kept */
    struct question_share *share;
};

static void add_answer(struct signalling *to, const struct signalling *from)
{
    for (unsigned i = 0; i < from->found && i < SIGNALLING_SHOWN; i++)
        if (to->found + i < SIGNALLING_SHOWN)
            memcpy(to->who[to->found + i], from->who[i], SIGNALLING_WHO_MAX);
    if (from->found > 0)
        to->id = from->id;
    to->others += from->others;
    to->found += from->found;
    to->sent = to->sent || from->sent;
}

static bool take_answer(void *arg, struct bytes piece)
{
    struct elsewhere *elsewhere = arg;
    struct signalling answer = { .shared = NULL };
    AUTO(arena) struct arena arena;

    arena_init(&arena, SIGNALLING_ARENA_MAX, 1024);
    struct form f = form_from(piece, &arena);
    signalling_form_answer(&f, &answer);
    if (form_end(&f) != OK)
        return false;
    add_answer(&elsewhere->asked, &answer);
    return true;
}

static void all_answered(void *arg)
{
    struct elsewhere *elsewhere = arg;

    sql_thread_answered(elsewhere->share);
}

static void query_elders(void *arg, struct question_share *share)
{
    struct elsewhere *elsewhere = arg;
    const struct gate_shared *shared = elsewhere->asked.shared;
    const struct elder_listener listener = { .take = take_answer, .done = all_answered, .arg = elsewhere };
    AUTO(buf) struct buf question = BUF_INIT(SIGNALLING_WHO_MAX);
    struct form f = form_to(&question);

    elsewhere->share = share;
    signalling_form_question(&f, &elsewhere->asked);
    if (form_end(&f) != OK ||
        !shared->steward_hooks->query_elders(shared->gate, ELDER_SIGNAL, buf_bytes(&question), &listener))
        all_answered(elsewhere);
}

static bool ask_elders(struct signalling *asked, enum signalling_step step)
{
    struct gate_shared *shared = asked->shared;
    struct elsewhere *elsewhere = atomic_load(&shared->elder) ? malloc(sizeof *elsewhere) : NULL;

    if (!elsewhere)
        return false;
    asked->step = step;
    memcpy(&elsewhere->asked, asked, sizeof *asked);
    const struct question question = {
        .loops = &shared->steward, .n_loops = 1, .begin = query_elders, .release = free, .arg = elsewhere
    };
    return sql_thread_ask(shared->sql, &question, keep_all, asked);
}

/* ---- the whole ---- */

static enum signal_result ambiguous(const struct signalling *asked, struct err *e)
{
    AUTO(buf) struct buf who = BUF_INIT(sizeof e->detail);

    for (unsigned i = 0; i < asked->found && i < SIGNALLING_SHOWN; i++)
        buf_printf(&who, "%s%s", i ? "; " : "", asked->who[i]);
    if (asked->found > SIGNALLING_SHOWN)
        buf_append_c(&who, "; and more");
    (void)err_set(e, E_BAD_STATE, "%u sessions have PID %d, each on a server of its own", asked->found,
                  asked->pid);
    err_detail(e, "%s.", buf_c(&who));
    err_hint(e, "Call the function on the server of the session that you mean.");
    return SIGNAL_AMBIGUOUS;
}

enum signal_result signalling_run(void *ctx, const struct signal_request *request, struct err *e)
{
    struct signalling asked = {
        .shared = ctx, .kind = request->kind, .pid = request->pid, .is_admin = request->is_admin
    };

    if (!str_to_c(request->user, asked.user, sizeof asked.user) || !ask_workers(&asked, SIGNALLING_FIND))
        return SIGNAL_NO_SESSION;
    bool here = asked.found > 0;
    (void)!ask_elders(&asked, SIGNALLING_FIND);
    if (asked.found > 1)
        return ambiguous(&asked, e);
    if (asked.found == 0)
        return asked.others > 0 ? SIGNAL_DENIED : SIGNAL_NO_SESSION;
    bool told = here ? ask_workers(&asked, SIGNALLING_SEND) : ask_elders(&asked, SIGNALLING_SEND);
    return told && asked.sent ? SIGNAL_SENT : SIGNAL_NO_SESSION;
}
