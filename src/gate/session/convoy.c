#include "gate/session/convoy.h"

#include "base/check.h"
#include "base/secret.h"
#include "gate/session/accept.h"
#include "gate/session/pack.h"
#include "gate/session/pieces.h"
#include "gate/session/session.h"
#include "gate/stats/tally.h"
#include "net/loop.h"

#include <stdlib.h>

enum {
    FAILURES_ARENA_MAX = 4 << 20,
    STAYS_MAX = 12 /* reasons; pack_can() has eight */
};

struct doomed {
    uint64_t id;
};

/* ---- the old process ---- */

/* How many sessions stay for a reason of pack_can()'s. */
struct stay {
    const char *why; /* NULL: the end */
    unsigned n;
};

struct convoy_part {
    struct convoy *convoy;
    struct worker *worker;
    struct stay stays[STAYS_MAX + 1];
};

struct convoy {
    struct gate_shared *shared;
    const struct link *link;
    void (*done)(void *arg);
    void *arg;
    _Atomic unsigned left; /* workers that have not taken this round's step */
    _Atomic unsigned moved, stayed;
    atomic_bool failed;
    struct convoy_part parts[];
};

struct convoy *convoy_new(struct gate_shared *shared, const struct link *link, void (*done)(void *arg),
                          void *arg)
{
    struct convoy *c = calloc(1, sizeof *c + shared->n_workers * sizeof c->parts[0]);

    if (!c)
        return NULL;
    c->shared = shared;
    c->link = link;
    c->done = done;
    c->arg = arg;
    for (unsigned i = 0; i < shared->n_workers; i++)
        c->parts[i] = (struct convoy_part){ .convoy = c, .worker = shared->workers[i] };
    return c;
}

void convoy_free(struct convoy *convoy)
{
    free(convoy);
}

struct convoy_counts convoy_counts(const struct convoy *c)
{
    return (struct convoy_counts){ .moved = atomic_load(&c->moved),
                                   .stayed = atomic_load(&c->stayed),
                                   .failed = atomic_load(&c->failed) };
}

void convoy_cancel(struct convoy *convoy)
{
    atomic_store(&convoy->failed, true);
}

static void start_round(struct convoy *c, void (*step)(void *part))
{
    atomic_store(&c->left, c->shared->n_workers);
    for (unsigned i = 0; i < c->shared->n_workers; i++)
        loop_post_owed(c->parts[i].worker->loop, step, &c->parts[i]);
}

/* On a worker. */
static void end_part(struct convoy *c)
{
    if (atomic_fetch_sub(&c->left, 1) == 1)
        loop_post_owed(c->shared->steward, c->done, c->arg);
}

static bool send_session(const struct convoy_part *part, struct session *s, struct buf *packed)
{
    int fds[PACK_FDS];

    buf_reset(packed);
    if (pack_session(s, packed, fds) != OK)
        return false;
    bool sent = pieces_send(part->convoy->link, part->worker->index, buf_bytes(packed), fds);
    wipe(packed->p, packed->n);
    return sent;
}

/* What this worker has counted of failures. */
static bool send_failures(const struct convoy_part *part)
{
    AUTO(arena) struct arena arena;
    const struct tally_row *rows;
    size_t n = 0;

    arena_init(&arena, FAILURES_ARENA_MAX, 1024);
    bool sent = tally_copy(part->worker->tally, &arena, &rows, &n);
    while (sent && n > 0) { /* the oldest first, as they came */
        struct tally_saved saved;
        tally_save(&rows[--n], &saved);
        sent = link_send(part->convoy->link, LINK_FAILURE, bytes_of(&saved, sizeof saved), NULL);
    }
    return sent;
}

static void note_stay(struct convoy_part *part, const struct session *s)
{
    struct stay *stay = part->stays;
    const char *why = "";

    if (s->state == STATE_FAREWELL || pack_can(s, &why))
        return;
    atomic_fetch_add(&part->convoy->stayed, 1);
    while (stay->why && strcmp(stay->why, why) != 0)
        stay++;
    if (stay == &part->stays[STAYS_MAX])
        return;
    stay->why = why;
    stay->n++;
}

static unsigned count_stays(const struct convoy_part *part, const char *why)
{
    for (const struct stay *stay = part->stays; stay->why; stay++)
        if (strcmp(stay->why, why) == 0)
            return stay->n;
    return 0;
}

void convoy_stays(const struct convoy *c, void (*each)(void *arg, const char *why, unsigned n), void *arg)
{
    for (unsigned i = 0; i < c->shared->n_workers; i++)
        for (const struct stay *stay = c->parts[i].stays; stay->why; stay++) {
            unsigned before = 0, n = 0;
            for (unsigned k = 0; k < c->shared->n_workers; k++) {
                before += k < i ? count_stays(&c->parts[k], stay->why) : 0;
                n += count_stays(&c->parts[k], stay->why);
            }
            if (before == 0)
                each(arg, stay->why, n);
        }
}

static void depart(void *arg)
{
    struct convoy_part *part = arg;
    struct convoy *c = part->convoy;
    struct buf packed = BUF_INIT(PACK_MAX);
    struct session *s;

    if (!buf_reserve(&packed, PIECES_PACKED_FIRST))
        atomic_store(&c->failed, true);
    pack_freeze(part->worker);
    TAILQ_FOREACH (s, &part->worker->sessions, entry) {
        if (atomic_load(&c->failed))
            break;
        if (!(s->flags & SESSION_HELD))
            note_stay(part, s);
        else if (send_session(part, s, &packed))
            atomic_fetch_add(&c->moved, 1);
        else
            atomic_store(&c->failed, true);
    }
    buf_fini_secret(&packed);
    if (!atomic_load(&c->failed) && !send_failures(part))
        atomic_store(&c->failed, true);
    end_part(c);
}

void convoy_depart(struct convoy *convoy)
{
    start_round(convoy, depart);
}

static void thaw(void *arg)
{
    struct convoy_part *part = arg;

    pack_thaw(part->worker);
    end_part(part->convoy);
}

void convoy_thaw(struct convoy *convoy)
{
    start_round(convoy, thaw);
}

/* The other process may have died at this moment: then it does so as a gate that serves. */
static void forget(void *arg)
{
    struct convoy_part *part = arg;
    struct session *s, *next;

    for (s = TAILQ_FIRST(&part->worker->sessions); s; s = next) {
        next = TAILQ_NEXT(s, entry);
        if (!(s->flags & SESSION_HELD))
            continue;
        const struct doomed doomed = { .id = s->id };
        if (pack_is_doomed(s))
            (void)!link_send(part->convoy->link, LINK_DOOMED, bytes_of(&doomed, sizeof doomed), NULL);
        pack_forget(s);
    }
    end_part(part->convoy);
}

void convoy_forget(struct convoy *convoy)
{
    start_round(convoy, forget);
}

/* ---- the new process ---- */

struct arrivals {
    struct gate_shared *shared;
    void (*settled)(void *arg);
    void *arg;
    _Atomic unsigned left; /* sessions that their workers have not taken; and one, until the end is known */
    unsigned count;
    atomic_bool failed;
    char trouble[256];
    unsigned next_failure;
    unsigned n_workers; /* of the old process, which has as many */
    struct assembly assemblies[];
};

/* A whole one, for its worker. */
struct arrival {
    struct arrivals *arrivals;
    struct worker *worker;
    struct assembly whole;
};

struct arrivals *arrivals_new(struct gate_shared *shared, void (*settled)(void *arg), void *arg)
{
    struct arrivals *a = calloc(1, sizeof *a + shared->n_workers * sizeof a->assemblies[0]);

    if (!a)
        return NULL;
    a->shared = shared;
    a->settled = settled;
    a->arg = arg;
    a->left = 1;
    a->n_workers = shared->n_workers;
    for (unsigned i = 0; i < a->n_workers; i++)
        assembly_init(&a->assemblies[i]);
    return a;
}

void arrivals_free(struct arrivals *a)
{
    if (!a)
        return;
    for (unsigned i = 0; i < a->n_workers; i++)
        assembly_fini(&a->assemblies[i]);
    free(a);
}

static void leave_one(struct arrivals *a)
{
    if (atomic_fetch_sub(&a->left, 1) == 1)
        loop_post_owed(a->shared->steward, a->settled, a->arg);
}

/* On its worker. */
static void arrive(void *arg)
{
    struct arrival *arrival = arg;
    struct arrivals *a = arrival->arrivals;
    struct session *s;
    struct err e;

    enum code code = pack_take(arrival->worker, buf_bytes(&arrival->whole.packed), arrival->whole.fds, &s,
                               &e);
    if (code != OK && !atomic_exchange(&a->failed, true))
        (void)str_to_c(str_c(e.message), a->trouble, sizeof a->trouble);
    buf_fini_secret(&arrival->whole.packed);
    free(arrival);
    leave_one(a);
}

static bool send_to_worker(struct arrivals *a, struct assembly *from)
{
    struct arrival *arrival = malloc(sizeof *arrival);

    if (!arrival)
        return false;
    unsigned worker = pack_worker(buf_bytes(&from->packed), a->n_workers);
    *arrival = (struct arrival){ .arrivals = a,
                                 .worker = a->shared->workers[worker],
                                 .whole = assembly_take(from) };
    a->count++;
    atomic_fetch_add(&a->left, 1);
    loop_post_owed(arrival->worker->loop, arrive, arrival);
    return true;
}

static bool take_piece(struct arrivals *a, struct os_packet *packet)
{
    struct assembly *whole;

    return pieces_take(a->assemblies, a->n_workers, packet, &whole) && (!whole || send_to_worker(a, whole));
}

/* ---- who was to end meanwhile ---- */

struct doom {
    struct worker *worker;
    uint64_t id;
};

static void doom(void *arg)
{
    struct doom *doom = arg;
    struct session *s;

    TAILQ_FOREACH (s, &doom->worker->sessions, entry)
        if (s->id == doom->id && s->flags & SESSION_HELD) {
            session_drain(s, true);
            break;
        }
    free(doom);
}

static bool take_doomed(const struct arrivals *a, const struct os_packet *packet)
{
    struct doomed doomed;

    if (packet->data.n != sizeof doomed)
        return false;
    memcpy(&doomed, packet->data.p, sizeof doomed);
    for (unsigned i = 0; i < a->n_workers; i++) {
        struct doom *order = malloc(sizeof *order);
        if (!order)
            return false;
        *order = (struct doom){ .worker = a->shared->workers[i], .id = doomed.id };
        loop_post_owed(order->worker->loop, doom, order);
    }
    return true;
}

/* ---- failures ---- */

struct failure {
    struct worker *worker;
    struct tally_row row;
};

static void note_failure(void *arg)
{
    struct failure *failure = arg;

    tally_note(failure->worker->tally, &failure->row);
    free(failure);
}

/* They are spread over the workers, each of which keeps so many: views add them up. */
static bool take_failure(struct arrivals *a, const struct os_packet *packet)
{
    struct tally_saved saved;
    struct failure *failure;

    if (packet->data.n != sizeof saved)
        return false;
    memcpy(&saved, packet->data.p, sizeof saved);
    failure = malloc(sizeof *failure);
    if (!failure)
        return false;
    failure->worker = a->shared->workers[a->next_failure++ % a->n_workers];
    if (tally_restore(&saved, &failure->row))
        loop_post_owed(failure->worker->loop, note_failure, failure);
    else
        free(failure);
    return true;
}

static bool take_by_type(struct arrivals *arrivals, struct os_packet *packet)
{
    if (packet->type == LINK_SESSION)
        return take_piece(arrivals, packet);
    if (packet->type == LINK_FAILURE)
        return take_failure(arrivals, packet);
    return take_doomed(arrivals, packet);
}

bool arrivals_take(struct arrivals *arrivals, struct os_packet *packet)
{
    bool taken = take_by_type(arrivals, packet);

    os_packet_close(packet);
    return taken;
}

void arrivals_end(struct arrivals *arrivals)
{
    leave_one(arrivals);
}

const char *arrivals_trouble(const struct arrivals *arrivals)
{
    return atomic_load(&arrivals->failed) ? arrivals->trouble : NULL;
}

unsigned arrivals_count(const struct arrivals *arrivals)
{
    return arrivals->count;
}

static void begin(void *arg)
{
    struct worker *worker = arg;
    struct session *s, *next;

    for (s = TAILQ_FIRST(&worker->sessions); s; s = next) {
        next = TAILQ_NEXT(s, entry);
        if (s->flags & SESSION_HELD)
            pack_begin(s);
    }
    accept_again(worker);
}

void arrivals_begin(struct arrivals *arrivals)
{
    for (unsigned i = 0; i < arrivals->n_workers; i++)
        loop_post_owed(arrivals->shared->workers[i]->loop, begin, arrivals->shared->workers[i]);
}
