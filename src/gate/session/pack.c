/*
 * From one process to the next.
 *
 * A pack begins with its length and format and with the cancel key, which says whose it is; then comes what is known
 * of the session, then its two connections. What is read is believed no more than what a stranger sends.
 */
#include "gate/session/pack.h"

#include "base/check.h"
#include "base/secret.h"
#include "gate/session/farewell.h"
#include "gate/session/limit.h"
#include "gate/session/meters.h"
#include "gate/session/pack_form.h"
#include "gate/session/registry.h"
#include "gate/session/relay.h"
#include "gate/session/revoke.h"
#include "gate/session/roster.h"
#include "gate/session/walk.h"
#include "gate/work/worker.h"
#include "net/stream_pack.h"
#include "tls/engine_facts.h"
#include "tls/engine_pack.h"

#include <unistd.h>

/* ---- the old process ---- */

/* For each state; NULL: it may go over. */
static const char *why_not_yet(enum state state)
{
    switch (state) {
    case STATE_GREET:
    case STATE_STARTUP:
        return "no StartupMessage yet";
    case STATE_SEAL:
        return "TLS handshake in progress";
    case STATE_CANCEL:
        return "cancel request";
    case STATE_ADMIT:
    case STATE_ROUTE:
    case STATE_UPSTREAM:
        return "login in progress";
    case STATE_CONSOLE:
        return "status database";
    case STATE_FAREWELL:
        return "ending";
    case STATE_RELAY:
    case STATE_COUNT:
        break;
    }
    return NULL;
}

static const char *why_not_tls(const struct stream *stream)
{
    if (!stream->tls || tls_engine_own_records(stream->tls))
        return NULL;
    return strcmp(tls_engine_version(stream->tls), "TLSv1.3") != 0
               ? "TLS version older than 1.3"
               : "records by OpenSSL (tls_record_layer, or the cipher)";
}

bool pack_can(const struct session *s, const char **out_why)
{
    const char *why = why_not_yet(s->state);

    if (!why)
        why = why_not_tls(&s->client);
    if (!why)
        why = why_not_tls(&s->server);
    if (!why && (!stream_can_pack(&s->client) || !stream_can_pack(&s->server) || stream_over(&s->server) ||
                 s->client.finishing || s->client.unsendable))
        why = "ending";
    if (why)
        *out_why = why;
    return !why;
}

void pack_freeze(struct worker *worker)
{
    struct session *s;
    const char *why;

    TAILQ_FOREACH (s, &worker->sessions, entry) {
        if (s->flags & SESSION_HELD || !pack_can(s, &why))
            continue;
        meters_bytes(s);
        relay_hold(s);
    }
}

void pack_thaw(struct worker *worker)
{
    struct session *s, *next;

    for (s = TAILQ_FIRST(&worker->sessions); s; s = next) {
        next = TAILQ_NEXT(s, entry);
        if (s->flags & SESSION_HELD)
            relay_go_on(s);
    }
}

/* What says to whom the pack goes. */
struct pack_head {
    uint32_t size, format;
    struct bytes key;
};

static void form_head(struct form *f, struct pack_head *head)
{
    form_u32(f, &head->size);
    form_u32(f, &head->format);
    head->key = form_bytes(f, head->key);
}

static void form_body(struct form *f, struct session *s)
{
    pack_form(s, f);
    stream_pack(&s->client, f);
    stream_pack(&s->server, f);
}

enum code pack_session(struct session *s, struct buf *out, int out_fds[PACK_FDS])
{
    struct pack_head head = { .format = PACK_FORMAT, .key = bytes_of(s->key, s->key_n) };
    struct form f = form_to(out);
    size_t at = out->n;

    CHECK(s->flags & SESSION_HELD && s->in.n == 0 && s->out.n == 0);
    form_head(&f, &head);
    form_body(&f, s);
    enum code code = form_end(&f);
    if (code != OK) {
        if (out->p)
            wipe(out->p + at, out->n - at);
        out->n = at;
        out->failed = false;
        return code;
    }
    head.size = (uint32_t)(out->n - at);
    for (unsigned i = 0; i < sizeof head.size; i++)
        out->p[at + i] = (uint8_t)(head.size >> (8 * (sizeof head.size - 1 - i)));
    out_fds[0] = s->client.fd;
    out_fds[1] = s->server.fd;
    return OK;
}

bool pack_is_doomed(const struct session *s)
{
    return s->flags & SESSION_DOOMED;
}

static void let_go(struct session *s)
{
    CHECK(s->flags & SESSION_HELD);
    registry_remove(s->worker, s);
    farewell_without_a_word(s);
}

void pack_forget(struct session *s)
{
    let_go(s);
}

/* ---- the new process ---- */

unsigned pack_worker(struct bytes packed, unsigned n_workers)
{
    struct form f = form_from(packed, NULL);
    struct pack_head head = { 0 };

    form_head(&f, &head);
    return registry_worker(head.key, n_workers);
}

static void take_facts(struct session *s, struct form *f)
{
    const struct tls_engine *tls = s->client.tls;

    form_require(f, s->tls.used == (tls != NULL));
    if (!tls)
        return;
    s->tls.version = tls_engine_version(tls);
    s->tls.cipher = tls_engine_cipher(tls);
    s->tls.group = tls_engine_group(tls);
    s->tls.bits = tls_engine_bits(tls);
}

static bool take_streams(struct session *s, const int fds[PACK_FDS], struct form *f)
{
    const struct stream_end client = { fds[0], walk_on_client, s }, server = { fds[1], relay_on_server, s };
    bool taken = stream_take(&s->client, &s->worker->room, &client, f);

    if (!stream_take(&s->server, &s->worker->room, &server, f) || !taken)
        return false;
    form_require(f, !stream_over(&s->server) && !s->client.finishing && !s->client.unsendable);
    take_facts(s, f);
    return form_ok(f);
}

/* All that is in the pack but the key, which is the registry's. */
static enum code fill(struct session *s, struct form *f, const int fds[PACK_FDS])
{
    pack_form(s, f);
    if (!take_streams(s, fds, f)) /* which takes the descriptors in any case */
        return f->nomem ? E_NOMEM : E_PROTOCOL;
    if (s->client.eof)
        s->flags |= SESSION_DEAF;
    s->metered_in = s->client.received;
    s->metered_out = s->client.sent;
    s->upgrades++;
    return form_end(f);
}

static void join(struct session *s)
{
    struct gate_shared *shared = s->worker->shared;
    unsigned long last = atomic_load(&shared->session_ids);

    while (last < s->id && !atomic_compare_exchange_weak(&shared->session_ids, &last, s->id))
        ;
    if (s->flags & SESSION_COUNTED)
        atomic_fetch_add_explicit(&shared->connections, 1, memory_order_relaxed);
    limit_join(s);
    meters_moved(s);
    roster_add(s->worker, s);
}

static enum code complain(enum code code, struct err *e)
{
    return code == E_NOMEM
               ? err_set(e, code, "out of memory")
               : err_set(e, code, "the other process sent something that is not a session of this worker");
}

static void close_both(const int fds[PACK_FDS])
{
    for (int i = 0; i < PACK_FDS; i++)
        (void)close(fds[i]);
}

enum code pack_take(struct worker *worker, struct bytes packed, const int fds[PACK_FDS], struct session **out,
                    struct err *e)
{
    struct pack_head head = { 0 };
    struct session *s = walk_adopt(worker);

    if (!s) {
        close_both(fds);
        return complain(E_NOMEM, e);
    }
    struct form f = form_from(packed, &s->arena);
    form_head(&f, &head);
    form_require(&f, head.size == packed.n && head.format == PACK_FORMAT);
    enum code code = fill(s, &f, fds);
    if (code == OK && head.key.n > 0 && !registry_put(worker, s, head.key))
        code = E_PROTOCOL;
    if (code != OK) {
        farewell_release(s);
        return complain(code, e);
    }
    join(s);
    *out = s;
    return OK;
}

void pack_begin(struct session *s)
{
    CHECK(s->flags & SESSION_HELD);
    relay_go_on(s);
    if (s->state == STATE_RELAY)
        (void)session_end_revoked(s); /* by a list that the other process did not know */
}

void pack_drop(struct session *s)
{
    let_go(s);
}
