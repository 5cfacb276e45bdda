#include "gate/steward/passes.h"

#include "base/secret.h"
#include "gate/work/worker.h"
#include "net/loop.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

enum { WAITING_MAX = 1024 };

struct pass_question {
    uint32_t number, pid;
    uint16_t key_n;
    uint8_t key[CANCEL_KEY_MAX];
};

/* One of ours, on its way. */
struct pass {
    struct pass_question question; /* the number remains, the rest until it is sent */
    cancel_answered *answered;
    void *arg;
    LIST_ENTRY(pass) entry;
};

struct passes {
    struct gate_shared *shared;
    const struct link *link; /* NULL: over */
    unsigned refs;           /* its owner, and each of the others' requests that is not answered yet */
    uint32_t last;
    size_t n;
    bool held;
    LIST_HEAD(, pass) waiting;
};

struct pass_answer {
    uint32_t number;
    uint8_t known;
};

/* One of theirs, which a worker of ours looks for. */
struct sought {
    struct passes *passes;
    struct pass_answer answer;
};

struct passes *passes_new(struct gate_shared *shared, const struct link *link, bool held)
{
    struct passes *p = calloc(1, sizeof *p);

    if (!p)
        return NULL;
    /* The link may have been another process's, whose answers are still to come: they have other numbers. */
    *p = (struct passes){ .shared = shared,
                          .link = link,
                          .refs = 1,
                          .last = atomic_load(&shared->generation) << 16,
                          .held = held };
    LIST_INIT(&p->waiting);
    return p;
}

static void passes_unref(struct passes *p)
{
    if (--p->refs == 0)
        free(p);
}

static bool send_question(const struct passes *p, struct pass *pass)
{
    struct pass_question *question = &pass->question;
    bool sent = link_send(p->link, LINK_CANCEL, bytes_of(question, sizeof *question), NULL);

    wipe(question->key, sizeof question->key);
    return sent;
}

bool passes_ask(struct passes *p, const struct cancel_request *request, cancel_answered *answered, void *arg)
{
    struct pass *pass = p->n < WAITING_MAX && p->link ? calloc(1, sizeof *pass) : NULL;

    if (!pass)
        return false;
    pass->answered = answered;
    pass->arg = arg;
    pass->question.number = p->last + 1;
    pass->question.pid = request->pid;
    pass->question.key_n = request->key_n;
    memcpy(pass->question.key, request->key, sizeof pass->question.key);
    if (!p->held && !send_question(p, pass)) {
        free(pass);
        return false;
    }
    p->last++;
    LIST_INSERT_HEAD(&p->waiting, pass, entry);
    p->n++;
    return true;
}

static void answer_pass(struct passes *p, struct pass *pass, bool known)
{
    LIST_REMOVE(pass, entry);
    p->n--;
    wipe(pass->question.key, sizeof pass->question.key);
    pass->answered(pass->arg, known);
    free(pass);
}

void passes_release(struct passes *p)
{
    struct pass *pass, *next;

    if (!p)
        return;
    p->held = false;
    for (pass = LIST_FIRST(&p->waiting); pass; pass = next) {
        next = LIST_NEXT(pass, entry);
        if (!send_question(p, pass))
            answer_pass(p, pass, false);
    }
}

/* On the steward. */
static void answer_sought(void *arg)
{
    struct sought *sought = arg;
    const struct link *link = sought->passes->link;

    if (link)
        (void)!link_send(link, LINK_CANCELED, bytes_of(&sought->answer, sizeof sought->answer), NULL);
    passes_unref(sought->passes);
    free(sought);
}

/* On a worker. */
static void on_sought(void *arg, bool known)
{
    struct sought *sought = arg;

    sought->answer.known = known;
    loop_post_owed(sought->passes->shared->steward, answer_sought, sought);
}

static bool take_question(struct passes *p, const struct os_packet *packet)
{
    struct pass_question question;
    struct sought *sought;

    if (packet->data.n != sizeof question)
        return false;
    memcpy(&question, packet->data.p, sizeof question);
    if (question.key_n == 0 || question.key_n > CANCEL_KEY_MAX)
        return false;
    sought = malloc(sizeof *sought);
    if (!sought)
        return true; /* whoever asks hears of it when the link ends */
    *sought = (struct sought){ .passes = p, .answer = { .number = question.number } };
    struct cancel_request request = { .pid = question.pid, .key_n = question.key_n };
    memcpy(request.key, question.key, sizeof request.key);
    p->refs++;
    if (!cancel_seek(p->shared, &request, on_sought, sought))
        answer_sought(sought);
    return true;
}

static bool take_answer(struct passes *p, const struct os_packet *packet)
{
    struct pass_answer answer;
    struct pass *pass;

    if (packet->data.n != sizeof answer)
        return false;
    memcpy(&answer, packet->data.p, sizeof answer);
    LIST_FOREACH (pass, &p->waiting, entry)
        if (pass->question.number == answer.number) {
            answer_pass(p, pass, answer.known != 0);
            return true;
        }
    return false;
}

bool passes_take(struct passes *passes, const struct os_packet *packet)
{
    return packet->type == LINK_CANCEL ? take_question(passes, packet) : take_answer(passes, packet);
}

void passes_end(struct passes *p)
{
    struct pass *pass;

    if (!p)
        return;
    p->link = NULL;
    while ((pass = LIST_FIRST(&p->waiting)) != NULL)
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): it does not follow LIST_REMOVE */
        answer_pass(p, pass, false);
    passes_unref(p);
}
