/*
 * Copying sessions in slices.
 *
 * Every worker has one part and walks its list with a cursor that it keeps in the part; parts under way hang
 * on the worker, so that a session which ends moves the cursor on. A worker that has ended answers at once.
 * One more part is the steward's: it receives what the processes before this one copied of theirs.
 */
#include "gate/views/gather.h"

#include "base/check.h"
#include "base/clean.h"
#include "gate/session/console.h"
#include "gate/stats/client_counts.h"
#include "gate/stats/tally.h"
#include "gate/views/cards.h"
#include "gate/work/worker.h"
#include "policy/method.h"
#include "tls/engine.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    SLICE = 256, /* sessions per turn of a loop: about 0.4 ms */
    PART_ARENA_FIRST = 64 * 1024
};
#define PART_ARENA_MAX ((size_t)256 << 20)

struct gather_part {
    struct gather *gather;
    struct worker *worker;
    struct session *cursor;
    struct arena arena;
    struct gather_slice *first, **last;
    const struct tally_row *tally;
    size_t n_tally;
    bool begun;
    bool failed;
    LIST_ENTRY(gather_part) entry;
};

struct gather {
    struct worker *origin;
    void (*done)(void *arg); /* NULL: nobody waits any more; touched on `origin` only */
    void *arg;
    _Atomic unsigned left; /* parts under way */
    unsigned n;            /* workers; one part more is the elders' */
    unsigned wanted;       /* bits of gather_what */
    unsigned process;
    struct gather_part parts[];
};

/* ---- one session ---- */

static void gather_copy(struct gather_part *part, struct str from, struct str *to)
{
    if (from.n > 0 && !arena_str(&part->arena, from, to))
        part->failed = true;
}

static void copy_clean(struct gather_part *part, struct str from, struct str *to)
{
    struct str shown;

    if (!clean_text(CLEAN_NAME, from, &part->arena, &shown))
        part->failed = true;
    else
        gather_copy(part, shown, to);
}

static void copy_c(struct gather_part *part, const char *from, struct str *to)
{
    if (from)
        gather_copy(part, str_c(from), to);
}

static void copy_client(struct gather_part *part, const struct session *s, struct session_card *card)
{
    char host[64];

    gather_copy(part, s->startup.user, &card->owner);
    gather_copy(part, s->startup.shown.user, &card->user);
    gather_copy(part, s->startup.shown.database, &card->database);
    gather_copy(part, s->startup.shown.application_name, &card->application_name);
    card->replication = s->startup.replication != REPLICATION_NONE;
    card->local = s->peer.ss.ss_family == AF_UNIX;
    if (!card->local) {
        address_host(&s->peer, host, sizeof host);
        copy_c(part, host, &card->client_addr);
        copy_clean(part, s->peer_name, &card->client_name);
        card->client_port = address_port(&s->peer);
    }
    if (s->balancer) {
        address_host(s->balancer, host, sizeof host);
        copy_c(part, host, &card->proxy_addr);
        copy_clean(part, s->balancer_id, &card->proxy_id);
    }
}

static void copy_tls(struct gather_part *part, const struct tls_facts *tls, struct session_card *card)
{
    card->tls = tls->used;
    if (!tls->used)
        return;
    card->direct = tls->direct;
    card->alpn = tls->alpn;
    card->bits = tls->bits;
    copy_c(part, tls->version, &card->tls_version);
    copy_c(part, tls->cipher, &card->tls_cipher);
    copy_c(part, tls->group, &card->tls_group);
    gather_copy(part, tls->sni, &card->sni);
    if (!tls->has_cert)
        return;
    copy_clean(part, tls->cert.slash, &card->client_dn);
    gather_copy(part, tls->cert.serial, &card->client_serial);
    copy_clean(part, tls->cert.issuer, &card->issuer_dn);
    card->cert_not_after_s = tls->cert.not_after_s;
}

static void copy_admission(struct gather_part *part, const struct session *s, struct session_card *card)
{
    if (s->rule) {
        copy_c(part, hba_method_name(s->rule->method), &card->method);
        gather_copy(part, s->rule->file, &card->rule_file);
        card->rule_line = s->rule->line;
    } else if (s->console) {
        copy_c(part, hba_method_name(HBA_METHOD_PEER), &card->method);
    }
    copy_clean(part, s->identity, &card->identity);
    copy_clean(part, s->upstream_user, &card->upstream_user);
    card->bound = s->flags & SESSION_BOUND;
}

static void copy_server(struct gather_part *part, const struct session *s, struct session_card *card)
{
    gather_copy(part, s->server_text, &card->upstream);
    if (!s->server.tls)
        return;
    copy_c(part, tls_engine_version(s->server.tls), &card->upstream_tls);
    copy_c(part, tls_engine_cipher(s->server.tls), &card->upstream_cipher);
    card->upstream_sslmode = s->server_sslmode;
}

static void copy_session(struct gather_part *part, const struct session *s, struct session_card *card)
{
    const struct env *env = session_env(s);
    int64_t now_us = env->now_unix_us(env->ctx);

    card->id = s->id;
    card->pid = s->pid;
    card->state = s->state;
    card->process = part->gather->process;
    card->worker = s->worker->index;
    card->started_us = s->started_us;
    card->ready_us = s->ready_us;
    card->upgrades = s->upgrades;
    card->handshake_us = s->handshake_us > 0 ? s->handshake_us : 0;
    card->login_waits = s->login_wait_us < 0;
    card->draining = s->flags & SESSION_DRAINING;
    card->login_wait_us = s->login_wait_us + (card->login_waits ? env_mono_us(env) : 0);
    card->bytes_in = (int64_t)s->client.received;
    card->bytes_out = (int64_t)s->client.sent;
    copy_client(part, s, card);
    copy_tls(part, &s->tls, card);
    copy_admission(part, s, card);
    copy_server(part, s, card);
    if (s->active_ms > 0)
        card->active_us = now_us - (loop_now_ms(s->worker->loop) - s->active_ms) * 1000;
    if (s->console) {
        card->transaction = console_room_state(s, &card->busy);
        gather_copy(part, console_room_query(s), &card->query);
        card->times = console_room_times(s);
    } else {
        card->transaction = s->follow.state;
        card->busy = s->flags & SESSION_BUSY;
    }
}

/* ---- one worker ---- */

static void gather_ends(void *arg)
{
    struct gather *gather = arg;

    if (gather->done && !gather->origin->ended)
        gather->done(gather->arg);
    else
        gather_free(gather);
}

static void part_ends(struct gather_part *part)
{
    struct gather *gather = part->gather;

    if (part->begun)
        LIST_REMOVE(part, entry);
    part->begun = false;
    if (atomic_fetch_sub_explicit(&gather->left, 1, memory_order_acq_rel) != 1)
        return;
    if (part->worker->ended) {
        gather_free(gather); /* the gate is stopping */
        return;
    }
    loop_post_owed(gather->origin->loop, gather_ends, gather);
}

/* Room for as many cards, which the caller counts; NULL: memory ran out. */
static struct gather_slice *new_slice(struct gather_part *part, struct session_card **out_cards)
{
    struct gather_slice *slice = ARENA_NEW(&part->arena, struct gather_slice);
    struct session_card *cards = arena_array(&part->arena, SLICE, sizeof *cards);

    if (!slice || !cards)
        return NULL;
    slice->cards = *out_cards = cards;
    *part->last = slice;
    part->last = &slice->next;
    return slice;
}

static bool add_slice(struct gather_part *part)
{
    struct session_card *cards;
    struct gather_slice *slice = new_slice(part, &cards);

    for (; slice && slice->n < SLICE && part->cursor; slice->n++) {
        copy_session(part, part->cursor, &cards[slice->n]);
        part->cursor = TAILQ_NEXT(part->cursor, entry);
    }
    return slice != NULL;
}

static void on_session_leaves(struct worker *worker, const struct session *session)
{
    struct gather_part *part;

    LIST_FOREACH (part, &worker->gathering, entry)
        if (part->cursor == session)
            part->cursor = TAILQ_NEXT(session, entry);
}

static void gather_begin(struct gather_part *part)
{
    struct worker *worker = part->worker;

    part->begun = true;
    if (part->gather->wanted & GATHER_SESSIONS)
        part->cursor = TAILQ_FIRST(&worker->sessions);
    if (part->gather->wanted & GATHER_TALLY &&
        !tally_copy(worker->tally, &part->arena, &part->tally, &part->n_tally))
        part->failed = true;
    if (part->gather->wanted & GATHER_CLIENTS)
        client_counts_hand_over(worker);
    worker->session_leaves = on_session_leaves;
    LIST_INSERT_HEAD(&worker->gathering, part, entry);
}

static void step(void *arg)
{
    struct gather_part *part = arg;
    struct worker *worker = part->worker;

    if (!part->begun && !worker->ended)
        gather_begin(part);
    if (!worker->ended && part->cursor) {
        if (!add_slice(part))
            part->failed = true;
        else if (part->cursor && loop_post(worker->loop, step, part))
            return;
    }
    if (part->cursor)
        part->failed = true;
    part_ends(part);
}

/* ---- the processes before this one; on the steward ---- */

/* False: it makes no sense. */
static bool take_cards(void *arg, struct bytes piece)
{
    struct gather_part *part = arg;
    struct session_card *cards = NULL;
    struct gather_slice *slice = NULL;
    enum code code = OK;

    while (piece.n > 0 && code == OK) {
        if ((!slice || slice->n == SLICE) && !(slice = new_slice(part, &cards)))
            code = E_NOMEM;
        else if ((code = cards_take(&piece, &part->arena, &cards[slice->n])) == OK)
            slice->n++;
    }
    part->failed = part->failed || code == E_NOMEM;
    return code == OK;
}

static void elders_told(void *arg)
{
    struct gather_part *part = arg;
    struct gather *gather = part->gather;

    if (atomic_fetch_sub_explicit(&gather->left, 1, memory_order_acq_rel) == 1)
        loop_post_owed(gather->origin->loop, gather_ends, gather);
}

static void ask_elders(void *arg)
{
    struct gather_part *part = arg;
    const struct gate_shared *shared = part->worker->shared;
    const struct elder_listener listener = { .take = take_cards, .done = elders_told, .arg = part };

    if (!shared->steward_hooks->query_elders(shared->gate, ELDER_SESSIONS, bytes_of(NULL, 0), &listener))
        elders_told(part);
}

/* Before the workers are asked: until then nobody else is done with the gathering. */
static void begin_elders(struct gather *gather)
{
    struct gate_shared *shared = gather->origin->shared;
    struct gather_part *part = &gather->parts[gather->n];

    if (!(gather->wanted & GATHER_SESSIONS) || !atomic_load(&shared->elder))
        return;
    gather->left++;
    if (loop_post(shared->steward, ask_elders, part))
        return;
    part->failed = true;
    gather->left--;
}

/* ---- the whole ---- */

static void init_part(struct gather *gather, unsigned i, struct worker *worker)
{
    struct gather_part *part = &gather->parts[i];

    part->gather = gather;
    part->worker = worker;
    part->last = &part->first;
    arena_init(&part->arena, PART_ARENA_MAX, PART_ARENA_FIRST);
}

struct gather *gather_new(struct worker *worker, unsigned wanted, void (*done)(void *arg), void *arg)
{
    struct gate_shared *shared = worker->shared;
    struct gather *gather = calloc(1, sizeof *gather + (shared->n_workers + 1) * sizeof gather->parts[0]);

    if (!gather)
        return NULL;
    *gather = (struct gather){ .origin = worker,
                               .done = done,
                               .arg = arg,
                               .n = shared->n_workers,
                               .wanted = wanted,
                               .process = (unsigned)getpid() };
    atomic_init(&gather->left, shared->n_workers + 1); /* one of them is ours */
    for (unsigned i = 0; i < shared->n_workers; i++)
        init_part(gather, i, shared->workers[i]);
    init_part(gather, gather->n, worker);
    begin_elders(gather);
    for (unsigned i = 0; i < shared->n_workers; i++) {
        struct gather_part *part = &gather->parts[i];
        if (loop_post(part->worker->loop, step, part))
            continue;
        part->failed = true;
        part_ends(part);
    }
    if (atomic_fetch_sub_explicit(&gather->left, 1, memory_order_acq_rel) == 1) {
        gather_free(gather); /* not even our own worker could be asked */
        return NULL;
    }
    return gather;
}

void gather_forget(struct gather *gather)
{
    if (gather)
        gather->done = NULL;
}

const struct gather_slice *gather_slices(const struct gather *gather, unsigned worker)
{
    return gather->parts[worker].first;
}

const struct tally_row *gather_tally(const struct gather *gather, unsigned worker, size_t *out_n)
{
    *out_n = gather->parts[worker].n_tally;
    return gather->parts[worker].tally;
}

bool gather_complete(const struct gather *gather)
{
    for (unsigned i = 0; i <= gather->n; i++)
        if (gather->parts[i].failed)
            return false;
    return true;
}

void gather_free(struct gather *gather)
{
    if (!gather)
        return;
    for (unsigned i = 0; i <= gather->n; i++)
        arena_fini(&gather->parts[i].arena);
    free(gather);
}
