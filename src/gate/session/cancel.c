/*
 * Cancel requests.
 *
 * (pid, key) is the gate's; the key tells the worker. There the server's own key is sent to the very server
 * of the session, under the session's protection. The client is held until that has been done, for it takes
 * the end of its connection to mean that the signal was sent. Nothing is ever answered [src: PostgreSQL 18,
 * "Canceling Requests in Progress"]. A key that no session here has may be another gate's:
 * gate/upstream/forward.h.
 *
 * From another gate requests come one after the other over a connection that stays; each is answered with its
 * number when it has been carried out, for the other gate's client waits.
 */
#include "gate/session/cancel.h"

#include "auth/cancel_key.h"
#include "base/arena.h"
#include "base/check.h"
#include "base/secret.h"
#include "client/conninfo.h"
#include "client/verify.h"
#include "conf/route.h"
#include "gate/load/http_access.h"
#include "gate/load/snapshot.h"
#include "gate/session/console.h"
#include "gate/session/meters.h"
#include "gate/session/pending.h"
#include "gate/session/registry.h"
#include "gate/session/tally_session.h"
#include "gate/stats/tally.h"
#include "gate/upstream/forward.h"
#include "gate/work/worker.h"
#include "net/loop.h"
#include "pgwire/frontend.h"
#include "pki/cert.h"
#include "tls/engine.h"

#include <stdlib.h>

enum {
    CANCEL_MS = 10000,
    PEER_ERRANDS_MAX = 64, /* of one connection of another gate */
    PEER_ARENA_MAX = 256 * 1024
};

/** A request on its way: made by the worker that accepted it, carried out by the one that has the session. */
struct errand {
    struct worker *from, *to;
    struct session *asker; /* NULL: has gone meanwhile. Only touched on `from` */
    uint32_t pid;
    uint8_t key[CANCEL_KEY_MAX];
    size_t key_n;
    struct snapshot *snapshot; /* of the session: its upstream's contexts */
    struct cancel_route route;
    struct server_conn *leg;
    struct forward *forward;       /* instead of `leg`, where no session of ours has the key */
    bool from_peer;                /* another gate sent it: it goes no further */
    bool limited;                  /* it would have gone further, but there were too many */
    bool vouched;                  /* its key carries a MAC that fits */
    uint32_t number;               /* on the other gate's connection */
    struct prefix prefix;          /* of the client */
    struct errand *next;           /* of the asker's */
    struct timer *deadline;        /* a server that takes the request but never closes is not waited for */
    struct loop_message *way_back; /* to `from`, which must not fail; NULL once sent */
    LIST_ENTRY(errand) entry;      /* while `leg` or `forward` is there: on `to` */
};

static void errand_free(struct errand *errand)
{
    if (!errand)
        return;
    wipe(errand->key, sizeof errand->key);
    wipe(&errand->route, sizeof errand->route);
    loop_message_free(errand->way_back);
    snapshot_unref(errand->snapshot);
    free(errand);
}

static void forget_errand(struct session *asker, const struct errand *errand)
{
    struct errand **at = &asker->errand;

    while (*at != errand)
        at = &(*at)->next;
    *at = errand->next;
    asker->n_errands--;
}

/* Another gate is told which of its requests it was, and may send more. */
static void answer_peer(struct session *peer, uint32_t number)
{
    const uint8_t bytes[] = { (uint8_t)(number >> 24), (uint8_t)(number >> 16), (uint8_t)(number >> 8),
                              (uint8_t)number };

    buf_append(&peer->out, bytes_of(bytes, sizeof bytes));
    if (cancel_is_idle(peer) && (peer->flags & SESSION_DRAINING || peer->snapshot != peer->worker->snapshot))
        session_end(peer, PARTING_SILENT, NULL);
    else
        session_resume(peer);
}

/* On `from`: the client may go. */
static void report(void *arg)
{
    struct errand *errand = arg;
    struct session *asker = errand->asker;
    uint32_t number = errand->number;
    bool limited = errand->limited;

    if (asker)
        forget_errand(asker, errand);
    errand_free(errand);
    if (!asker)
        return;
    if (limited)
        session_tally_failure(asker, CAUSE_CANCELS);
    if (asker->origin == ORIGIN_GATE)
        answer_peer(asker, number);
    else
        session_end(asker, PARTING_SILENT, NULL);
}

static struct errand *errand_new(struct worker *from, struct worker *to, uint32_t pid)
{
    struct errand *errand = calloc(1, sizeof *errand);

    if (!errand)
        return NULL;
    errand->from = from;
    errand->to = to;
    errand->pid = pid;
    errand->way_back = loop_message_new(report, errand);
    if (errand->way_back)
        return errand;
    errand_free(errand);
    return NULL;
}

/* On `to`. */
static void carried_out(struct errand *errand)
{
    if (errand->leg || errand->forward)
        LIST_REMOVE(errand, entry);
    server_conn_free(errand->leg);
    errand->leg = NULL;
    forward_free(errand->forward);
    errand->forward = NULL;
    timer_close(errand->deadline);
    errand->deadline = NULL;
    snapshot_unref(errand->snapshot);
    errand->snapshot = NULL;
    struct loop_message *way_back = errand->way_back;
    errand->way_back = NULL;
    loop_send(errand->from->loop, way_back);
}

static void cancel_on_ready(void *arg)
{
    struct errand *errand = arg;
    AUTO(buf) struct buf out = BUF_INIT(512);
    struct err e;

    frontend_cancel(&out, errand->route.pid, bytes_of(errand->route.key, errand->route.key_n));
    bool sent = server_conn_send_buf(errand->leg, &out, &e) == OK;
    buf_fini_secret(&out);
    if (!sent)
        carried_out(errand);
}

static void carried_out_late(void *arg)
{
    carried_out(arg);
}

static void set_out(struct errand *errand)
{
    errand->deadline = timer_new(errand->to->loop, carried_out_late, errand);
    if (errand->deadline)
        timer_set(errand->deadline, CANCEL_MS);
    LIST_INSERT_HEAD(&errand->to->errands, errand, entry);
}

static void cancel_on_data(void *arg, struct bytes data)
{
    (void)data;
    carried_out(arg); /* a server that answers a cancel is not one */
}

static void on_end(void *arg, const struct err *e)
{
    (void)e;
    carried_out(arg);
}

static void log_ignored(const struct errand *errand, const char *why)
{
    struct log_line line;

    log_begin(&line, &errand->to->env, SEV_LOG, "cancel_ignored");
    log_c(&line, "message", why);
    log_int(&line, "pid", errand->pid);
    log_end(&line);
}

/* On `to`: begin to tell the session's server. */
static bool go_to_server(struct errand *errand, const struct session *target)
{
    const struct server_conn_owner owner = { cancel_on_ready, cancel_on_data, on_end, on_end, errand };

    errand->route = *target->cancel_route;
    errand->snapshot = snapshot_ref(target->snapshot);
    const struct settings_route *route = settings_route(snapshot_settings(errand->snapshot),
                                                        target->startup.database);
    errand->leg = server_conn_new_at(errand->to, snapshot_upstream(errand->snapshot, route), &errand->route,
                                     &owner);
    if (!errand->leg)
        return false;
    set_out(errand);
    return true;
}

static void count_result(const struct errand *errand, const char *result)
{
    meters_cancel(errand->to->counters, result);
}

/* On `to`, which is the first worker: it has the connections to the other gates. */
static void go_to_peers(void *arg)
{
    struct errand *errand = arg;
    const struct forward_request request = { .cancel = { errand->pid, bytes_of(errand->key, errand->key_n) },
                                             .prefix = errand->prefix,
                                             .vouched = errand->vouched };
    struct log_line line;

    if (errand->to->ended) {
        errand_free(errand);
        return;
    }
    errand->forward = forward_new(errand->to, &request, carried_out_late, errand);
    if (!errand->forward) {
        errand->limited = true;
        count_result(errand, "limited");
        log_ignored(errand, "too many cancel requests for the gates of cancel_peers");
        carried_out(errand);
        return;
    }
    count_result(errand, "forwarded");
    log_begin(&line, &errand->to->env, SEV_LOG, "cancel_forwarded");
    log_int(&line, "pid", errand->pid);
    log_end(&line);
    set_out(errand);
}

/* On `to`: nobody here has the key. Perhaps somebody elsewhere does, unless nobody can. */
static void look_elsewhere(struct errand *errand, bool pid_known)
{
    struct snapshot *snapshot = errand->to->snapshot;
    const struct bytes secret = secret_bytes(&snapshot_http_access(snapshot)->cancels),
                       key = bytes_of(errand->key, errand->key_n);
    size_t n_peers;

    (void)snapshot_peers(snapshot, &n_peers);
    errand->vouched = secret.n > 0 && cancel_key_fits(secret, errand->pid, key);
    if (errand->from_peer || n_peers == 0) {
        count_result(errand, "unknown");
        log_ignored(errand, pid_known ? "wrong key in cancel request"
                                      : "PID in cancel request did not match any process");
    } else if (secret.n > 0 && key.n > CANCEL_KEY_SHORT && !errand->vouched) {
        count_result(errand, "invented");
        log_ignored(errand, "the key in cancel request was not made by a gate of cancel_peers");
    } else {
        errand->to = errand->to->shared->workers[0];
        if (loop_post(errand->to->loop, go_to_peers, errand))
            return;
    }
    carried_out(errand);
}

/* On `to`: find the session and go to its server. */
static void carry_out(void *arg)
{
    struct errand *errand = arg;
    bool pid_known;

    if (errand->to->ended) { /* posted to a loop that runs no more: everybody is going */
        errand_free(errand);
        return;
    }
    struct session *target = registry_find(errand->to, errand->pid, bytes_of(errand->key, errand->key_n),
                                           &pid_known);

    if (target && target->console) {
        count_result(errand, "sent");
        session_cancel(target);
    } else if (target && target->cancel_route) {
        count_result(errand, "sent");
        if (go_to_server(errand, target))
            return;
    } else {
        look_elsewhere(errand, pid_known);
        return;
    }
    carried_out(errand);
}

void cancel_session(struct session *s)
{
    struct errand *errand = s->cancel_route ? errand_new(s->worker, s->worker, (uint32_t)s->pid) : NULL;
    if (errand && !go_to_server(errand, s))
        errand_free(errand);
}

void cancel_abandon(struct worker *worker)
{
    struct errand *errand;

    while ((errand = LIST_FIRST(&worker->errands)) != NULL) {
        LIST_REMOVE(errand, entry);
        server_conn_free(errand->leg);
        forward_free(errand->forward);
        timer_close(errand->deadline);
        errand_free(errand);
    }
    forwarder_free(worker->forwarder);
    worker->forwarder = NULL;
}

bool cancel_is_idle(const struct session *s)
{
    return s->state == STATE_CANCEL && s->origin == ORIGIN_GATE && s->n_errands == 0;
}

/* Whom we listen to: who shows a certificate with the name of one of cancel_peers. */
static bool is_peer(const struct session *s)
{
    AUTO(cert) X509 *cert = s->client.tls ? tls_engine_peer(s->client.tls) : NULL;
    AUTO(arena) struct arena scratch;
    struct cert_names names;
    struct err ignored;
    size_t n;
    const struct upstream *peers = snapshot_peers(s->snapshot, &n);

    arena_init(&scratch, PEER_ARENA_MAX, 1024);
    if (!cert || cert_names_of(cert, &scratch, &names, &ignored) != OK)
        return false;
    for (size_t i = 0; i < n; i++)
        if (verify_host(&names, peers[i].info.hosts[0].host, &ignored) == OK)
            return true;
    return false;
}

/* The first request of another gate: from now on its connection is kept. */
static bool take_peer(struct session *s, struct err *e)
{
    if (!is_peer(s)) {
        err_set(e, E_AUTH, "cancel request from a gate that is not in \"cancel_peers\"");
        return false;
    }
    pending_leave(s);
    session_phase_none(s);
    return true;
}

static bool send_errand(struct session *s, const struct cancel *cancel)
{
    struct gate_shared *shared = s->worker->shared;
    struct worker *to = shared->workers[registry_worker(cancel->key, shared->n_workers)];
    struct errand *errand = errand_new(s->worker, to, cancel->pid);

    if (!errand)
        return false;
    errand->asker = s;
    errand->from_peer = s->origin == ORIGIN_GATE;
    errand->number = s->n_requests++;
    errand->prefix = prefix_of_address(&s->peer.ss);
    errand->key_n = cancel->key.n;
    memcpy(errand->key, cancel->key.p, cancel->key.n);
    if (!loop_post(errand->to->loop, carry_out, errand)) {
        errand_free(errand);
        return false;
    }
    errand->next = s->errand;
    s->errand = errand;
    s->n_errands++;
    return true;
}

/* STEP_JOB: it is under way. */
static enum step take_request(struct session *s, struct err *e)
{
    struct hello_packet packet;
    struct cancel cancel;

    enum code code = hello_next(&s->hello, buf_bytes(&s->in), &packet);
    if (code == E_MORE)
        return s->flags & SESSION_DEAF ? session_fail(s, PARTING_SILENT) : STEP_MORE;
    if (code != OK || packet.kind != HELLO_CANCEL) {
        err_set(e, E_PROTOCOL, "invalid length of cancel request packet");
        return session_fail(s, PARTING_LOGGED);
    }
    if (cancel_parse(packet.body, &cancel, e) != OK)
        return session_fail(s, PARTING_LOGGED);
    if (cancel.pid == 0) {
        err_set(e, E_PROTOCOL, "invalid cancel request with PID 0");
        return session_fail(s, PARTING_LOGGED);
    }
    if (s->origin == ORIGIN_GATE && s->n_requests == 0 && !take_peer(s, e))
        return session_fail(s, PARTING_LOGGED);
    if (!send_errand(s, &cancel))
        return session_fail(s, PARTING_SILENT);
    wipe(s->in.p, packet.used);
    buf_consume(&s->in, packet.used);
    return STEP_JOB;
}

enum step cancel_step(struct session *s, struct err *e)
{
    enum step step = STEP_JOB;

    if (s->origin != ORIGIN_GATE)
        return s->errand ? STEP_JOB : take_request(s, e);
    while (step == STEP_JOB && s->n_errands < PEER_ERRANDS_MAX)
        step = take_request(s, e);
    return step;
}

void cancel_leave(struct session *s)
{
    for (struct errand *errand = s->errand; errand; errand = errand->next)
        errand->asker = NULL;
    s->errand = NULL;
    s->n_errands = 0;
}

void cancel_drain(struct session *s, bool now)
{
    if (now || cancel_is_idle(s))
        session_end(s, PARTING_SILENT, NULL);
}
