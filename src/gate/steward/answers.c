/*
 * A question goes to the thread that can answer it, and its answer comes back to the steward, which tells it: sessions are copied
 * by the workers as for a statement of the status database, signals are the SQL thread's.
 */
#include "gate/steward/answers.h"

#include "base/check.h"
#include "base/form.h"
#include "gate/session/signalling.h"
#include "gate/steward/figures.h"
#include "gate/steward/steward.h"
#include "gate/views/cards.h"
#include "gate/views/gather.h"
#include "gate/work/sql_thread.h"
#include "net/loop.h"

#include <stdlib.h>
#include <sys/queue.h>

enum {
    ANSWERS_MAX = 1024, /* under way */
    TELL_MS = 1000,
    DETAILS_MAX = 1024,
    PIECE_MAX = OS_PACKET_MAX - 1024,
    FULL = PIECE_MAX - CARD_MAX /* then another piece begins */
};

struct answers {
    struct gate *gate;
    struct link link; /* -1: over */
    struct counters *told;
    size_t n;
    LIST_HEAD(, answer) under_way;
};

struct answer {
    struct answers *answers;
    uint32_t number;
    struct gather
        *gather; /* of the sessions; NULL: none. Its own when the worker has ended before it was whole */
    struct buf question; /* of a signal */
    struct buf text;     /* the answer */
    LIST_ENTRY(answer) entry;
};

struct answers *answers_new(struct gate *g, struct counters *told)
{
    struct answers *a = calloc(1, sizeof *a);

    if (!a)
        return NULL;
    *a = (struct answers){ .gate = g, .link = { .fd = -1, .env = g->env }, .told = told };
    LIST_INIT(&a->under_way);
    return a;
}

static void answer_free(struct answer *answer)
{
    LIST_REMOVE(answer, entry);
    answer->answers->n--;
    buf_fini(&answer->question);
    buf_fini(&answer->text);
    free(answer);
}

/* ---- telling; on the steward ---- */

static bool tell(struct answers *a, enum link_type type, uint32_t number, struct bytes text)
{
    AUTO(buf) struct buf packet = BUF_INIT(OS_PACKET_MAX);
    struct form f = form_to(&packet);

    if (a->link.fd < 0)
        return false;
    form_u32(&f, &number);
    if (text.n > 0)
        buf_append(&packet, text);
    link_set_limit(&a->link, TELL_MS);
    return form_end(&f) == OK && link_send(&a->link, type, buf_bytes(&packet), NULL);
}

static void tell_end(struct answers *a, uint32_t number)
{
    (void)!tell(a, LINK_TOLD_END, number, bytes_of(NULL, 0));
}

static bool flush(struct answer *answer)
{
    bool told = answer->text.n == 0 ||
                tell(answer->answers, LINK_TOLD, answer->number, buf_bytes(&answer->text));

    buf_reset(&answer->text);
    return told;
}

static bool tell_slice(struct answer *answer, const struct gather_slice *slice)
{
    for (size_t i = 0; i < slice->n; i++) {
        if (!cards_put(&answer->text, &slice->cards[i]))
            return false;
        if (answer->text.n > FULL && !flush(answer))
            return false;
    }
    return true;
}

static void tell_sessions(void *arg)
{
    struct answer *answer = arg;
    struct answers *a = answer->answers;
    bool told = answer->gather && a->link.fd >= 0;

    for (unsigned w = 0; told && w < a->gate->n_workers; w++)
        for (const struct gather_slice *s = gather_slices(answer->gather, w); told && s; s = s->next)
            told = tell_slice(answer, s);
    if (told && flush(answer))
        tell_end(a, answer->number);
    gather_free(answer->gather);
    answer_free(answer);
}

static void tell_text(void *arg)
{
    struct answer *answer = arg;

    (void)!flush(answer);
    tell_end(answer->answers, answer->number);
    answer_free(answer);
}

/* ---- sessions; on the first worker ---- */

static void answers_on_gathered(void *arg)
{
    struct answer *answer = arg;

    loop_post_owed(answer->answers->gate->shared.steward, tell_sessions, answer);
}

static void begin_gathering(void *arg)
{
    struct answer *answer = arg;
    struct worker *worker = answer->answers->gate->workers[0];

    if (!worker->ended)
        answer->gather = gather_new(worker, GATHER_SESSIONS, answers_on_gathered, answer);
    if (!answer->gather)
        answers_on_gathered(answer);
}

/* ---- signals; on the SQL thread ---- */

static void answer_signal(void *arg)
{
    struct answer *answer = arg;
    struct gate_shared *shared = &answer->answers->gate->shared;

    if (!signalling_answer(shared, buf_bytes(&answer->question), &answer->text))
        buf_reset(&answer->text);
    loop_post_owed(shared->steward, tell_text, answer);
}

/* ---- questions; on the steward ---- */

static struct answer *answer_new(struct answers *a, uint32_t number)
{
    struct answer *answer = a->n < ANSWERS_MAX ? calloc(1, sizeof *answer) : NULL;

    if (!answer)
        return NULL;
    *answer = (struct answer){
        .answers = a, .number = number, .question = BUF_INIT(DETAILS_MAX), .text = BUF_INIT(PIECE_MAX)
    };
    LIST_INSERT_HEAD(&a->under_way, answer, entry);
    a->n++;
    return answer;
}

static void answer_begin(struct answers *a, uint32_t number, bool sessions, struct bytes details)
{
    const struct gate *g = a->gate;
    struct answer *answer = answer_new(a, number);
    bool begun = false;

    if (!answer) {
        tell_end(a, number);
        return;
    }
    if (sessions)
        begun = loop_post(g->workers[0]->loop, begin_gathering, answer);
    else if (buf_append(&answer->question, details))
        begun = sql_thread_post(g->shared.sql, answer_signal, answer);
    if (!begun)
        tell_text(answer);
}

bool answers_take(struct answers *a, const struct link *link, const struct os_packet *packet)
{
    struct form f = form_from(packet->data, NULL);
    uint32_t number;
    char what;

    a->link = *link;
    form_u32(&f, &number);
    form_char(&f, &what);
    if (!form_ok(&f))
        return false;
    switch ((enum elder_question)what) {
    case ELDER_SESSIONS:
        answer_begin(a, number, true, f.in.left);
        return true;
    case ELDER_SIGNAL:
        answer_begin(a, number, false, f.in.left);
        return true;
    case ELDER_FIGURES:
        link_set_limit(&a->link, TELL_MS);
        if (figures_tell_more(a->gate, &a->link, a->told, true))
            tell_end(a, number);
        return true;
    }
    return false;
}

void answers_hush(struct answers *a)
{
    if (a)
        a->link.fd = -1;
}

void answers_free(struct answers *a)
{
    struct answer *answer;

    if (!a)
        return;
    while ((answer = LIST_FIRST(&a->under_way)) != NULL)
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): it does not follow LIST_REMOVE */
        answer_free(answer);
    free(a);
}
