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
    PEER_TASKS_MAX = 64, /* of one connection of another gate */
    PEER_ARENA_MAX = 256 * 1024
};

/** A request on its way: made by the worker that accepted it, carried out by the one that has the session. */
struct cancel_task {
    struct worker *from, *to;
    struct session *client; /* NULL: has gone meanwhile. Only touched on `from` */
    uint32_t pid;
    uint8_t key[CANCEL_KEY_MAX];
    size_t key_n;
    struct snapshot *snapshot; /* of the session: its upstream's contexts */
    struct cancel_route route;
    struct server_conn *conn;
    struct forward *forward;      /* instead of `conn`, where no session of ours has the key */
    bool from_peer;               /* another gate sent it: it goes no further */
    bool limited;                 /* it would have gone further, but there were too many */
    bool vouched;                 /* its key carries a MAC that fits */
    uint32_t number;              /* on the other gate's connection */
    bool elder_asked, heir_asked; /* other processes of this gate */
    bool pid_known;
    bool known;                /* somebody has carried it out */
    cancel_answered *answered; /* another process asks; NULL: a client does */
    void *arg;
    struct prefix prefix;          /* of the client */
    struct cancel_task *next;      /* of the client's */
    struct timer *deadline;        /* a server that takes the request but never closes is not waited for */
    struct loop_message *way_back; /* to `from`, which must not fail; NULL once sent */
    LIST_ENTRY(cancel_task) entry; /* while `conn` or `forward` is there: on `to` */
};

static void cancel_task_free(struct cancel_task *task)
{
    if (!task)
        return;
    wipe(task->key, sizeof task->key);
    wipe(&task->route, sizeof task->route);
    loop_message_free(task->way_back);
    snapshot_unref(task->snapshot);
    free(task);
}

static void forget_task(struct session *client, const struct cancel_task *task)
{
    struct cancel_task **at = &client->cancel_task;

    while (*at != task)
        at = &(*at)->next;
    *at = task->next;
    client->n_cancel_tasks--;
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
    struct cancel_task *task = arg;
    struct session *client = task->client;
    uint32_t number = task->number;
    bool limited = task->limited;

    if (client)
        forget_task(client, task);
    if (task->answered)
        task->answered(task->arg, task->known);
    cancel_task_free(task);
    if (!client)
        return;
    if (limited)
        session_tally_failure(client, CAUSE_CANCELS);
    if (client->origin == ORIGIN_GATE)
        answer_peer(client, number);
    else
        session_end(client, PARTING_SILENT, NULL);
}

static struct cancel_task *cancel_task_new(struct worker *from, struct worker *to, uint32_t pid)
{
    struct cancel_task *task = calloc(1, sizeof *task);

    if (!task)
        return NULL;
    task->from = from;
    task->to = to;
    task->pid = pid;
    task->way_back = loop_message_new(report, task);
    if (task->way_back)
        return task;
    cancel_task_free(task);
    return NULL;
}

/* On `to`. */
static void finish_task(struct cancel_task *task)
{
    if (task->conn || task->forward)
        LIST_REMOVE(task, entry);
    server_conn_free(task->conn);
    task->conn = NULL;
    forward_free(task->forward);
    task->forward = NULL;
    timer_close(task->deadline);
    task->deadline = NULL;
    snapshot_unref(task->snapshot);
    task->snapshot = NULL;
    struct loop_message *way_back = task->way_back;
    task->way_back = NULL;
    loop_send(task->from->loop, way_back);
}

static void cancel_on_ready(void *arg)
{
    struct cancel_task *task = arg;
    AUTO(buf) struct buf out = BUF_INIT(512);
    struct err e;

    frontend_cancel(&out, task->route.pid, bytes_of(task->route.key, task->route.key_n));
    bool sent = server_conn_send_buf(task->conn, &out, &e) == OK;
    buf_fini_secret(&out);
    if (!sent)
        finish_task(task);
}

static void finish_task_late(void *arg)
{
    finish_task(arg);
}

static void start_deadline(struct cancel_task *task)
{
    task->deadline = timer_new(task->to->loop, finish_task_late, task);
    if (task->deadline)
        timer_set(task->deadline, CANCEL_MS);
    LIST_INSERT_HEAD(&task->to->cancel_tasks, task, entry);
}

static void cancel_on_data(void *arg, struct bytes data)
{
    (void)data;
    finish_task(arg); /* a server that answers a cancel is not one */
}

static void on_end(void *arg, const struct err *e)
{
    (void)e;
    finish_task(arg);
}

static void log_ignored(const struct cancel_task *task, const char *why)
{
    struct log_line line;

    log_begin(&line, &task->to->env, SEV_LOG, "cancel_ignored");
    log_c(&line, "message", why);
    log_int(&line, "pid", task->pid);
    log_end(&line);
}

/* On `to`: begin to tell the session's server. */
static bool go_to_server(struct cancel_task *task, const struct session *target)
{
    const struct server_conn_owner owner = { cancel_on_ready, cancel_on_data, on_end, on_end, task };

    task->route = *target->cancel_route;
    task->snapshot = snapshot_ref(target->snapshot);
    task->conn = server_conn_new_at(task->to, target->upstream, &task->route, &owner);
    if (!task->conn)
        return false;
    start_deadline(task);
    return true;
}

static void count_result(const struct cancel_task *task, const char *result)
{
    meters_cancel(task->to->counters, result);
}

/* On `to`, which is the first worker: it has the connections to the other gates. */
static void go_to_peers(void *arg)
{
    struct cancel_task *task = arg;
    const struct forward_request request = { .cancel = { task->pid, bytes_of(task->key, task->key_n) },
                                             .prefix = task->prefix,
                                             .vouched = task->vouched };
    struct log_line line;

    if (task->to->ended) {
        cancel_task_free(task);
        return;
    }
    task->forward = forward_new(task->to, &request, finish_task_late, task);
    if (!task->forward) {
        task->limited = true;
        count_result(task, "limited");
        log_ignored(task, "too many cancel requests for the gates of cancel_peers");
        finish_task(task);
        return;
    }
    count_result(task, "forwarded");
    log_begin(&line, &task->to->env, SEV_LOG, "cancel_forwarded");
    log_int(&line, "pid", task->pid);
    log_end(&line);
    start_deadline(task);
}

/* On `to`: nobody here has the key. Perhaps somebody elsewhere does, unless nobody can. */
static void try_peers(struct cancel_task *task, bool pid_known)
{
    struct snapshot *snapshot = task->to->snapshot;
    const struct bytes secret = secret_bytes(&snapshot_http_access(snapshot)->cancels),
                       key = bytes_of(task->key, task->key_n);
    size_t n_peers;

    (void)snapshot_peers(snapshot, &n_peers);
    task->vouched = secret.n > 0 && cancel_key_fits(secret, task->pid, key);
    if (task->from_peer || n_peers == 0) {
        count_result(task, "unknown");
        log_ignored(task, pid_known ? "wrong key in cancel request"
                                    : "PID in cancel request did not match any process");
    } else if (secret.n > 0 && key.n > CANCEL_KEY_SHORT && !task->vouched) {
        count_result(task, "invented");
        log_ignored(task, "the key in cancel request was not made by a gate of cancel_peers");
    } else {
        task->to = task->to->shared->workers[0];
        if (loop_post(task->to->loop, go_to_peers, task))
            return;
    }
    finish_task(task);
}

/* ---- other processes of this gate ---- */

static void try_elsewhere(struct cancel_task *task);

/* On `to`. */
static void other_answered(void *arg)
{
    struct cancel_task *task = arg;

    if (task->to->ended) {
        cancel_task_free(task);
    } else if (task->known) {
        count_result(task, "sent");
        finish_task(task);
    } else {
        try_elsewhere(task);
    }
}

/* On the steward. */
static void on_answered(void *arg, bool known)
{
    struct cancel_task *task = arg;

    task->known = known;
    loop_post_owed(task->to->loop, other_answered, task);
}

static void ask_other(struct cancel_task *task, bool elder)
{
    struct gate_shared *shared = task->to->shared;
    struct cancel_request request = { .pid = task->pid, .key_n = (uint16_t)task->key_n };

    memcpy(request.key, task->key, sizeof request.key);
    bool asked = elder ? shared->steward_hooks->ask_elder(shared->gate, &request, on_answered, task)
                       : shared->steward_hooks->ask_heir(shared->gate, &request, on_answered, task);
    wipe(&request, sizeof request);
    if (!asked)
        on_answered(task, false);
}

static void ask_elder(void *arg)
{
    ask_other(arg, true);
}

static void ask_heir(void *arg)
{
    ask_other(arg, false);
}

/* On `to`: nobody in this process has the key. After an upgrade the session may be in another, before gates elsewhere are asked. */
static void try_elsewhere(struct cancel_task *task)
{
    const struct gate_shared *shared = task->to->shared;

    if (!task->elder_asked && atomic_load(&shared->elder)) {
        task->elder_asked = true;
        loop_post_owed(shared->steward, ask_elder, task);
    } else if (!task->heir_asked && atomic_load(&shared->heir)) {
        task->heir_asked = true;
        loop_post_owed(shared->steward, ask_heir, task);
    } else if (task->answered) {
        finish_task(task);
    } else {
        try_peers(task, task->pid_known);
    }
}

/* On `to`: find the session and go to its server. */
static void deliver_task(void *arg)
{
    struct cancel_task *task = arg;
    bool pid_known;

    if (task->to->ended) { /* posted to a loop that runs no more: everybody is going */
        cancel_task_free(task);
        return;
    }
    struct session *target = registry_find(task->to, task->pid, bytes_of(task->key, task->key_n), &pid_known);

    if (target && target->console) {
        count_result(task, "sent");
        task->known = true;
        session_cancel(target);
    } else if (target && target->cancel_route) {
        count_result(task, "sent");
        task->known = true;
        if (go_to_server(task, target))
            return;
    } else if (target) {
        count_result(task, "unknown");
        task->known = true;
        log_ignored(task, "no setting leads to the session's server any more");
    } else {
        task->pid_known = pid_known;
        try_elsewhere(task);
        return;
    }
    finish_task(task);
}

bool cancel_seek(struct gate_shared *shared, const struct cancel_request *request, cancel_answered *answered,
                 void *arg)
{
    const struct bytes key = bytes_of(request->key, request->key_n);
    struct worker *to = shared->workers[registry_worker(key, shared->n_workers)];
    struct cancel_task *task = cancel_task_new(to, to, request->pid);

    if (!task)
        return false;
    task->key_n = key.n;
    memcpy(task->key, key.p, key.n);
    task->elder_asked = task->heir_asked = true; /* whoever asks us asks them, too */
    task->answered = answered;
    task->arg = arg;
    loop_post_owed(to->loop, deliver_task, task);
    return true;
}

void cancel_session(struct session *s)
{
    struct cancel_task *task = s->cancel_route ? cancel_task_new(s->worker, s->worker, (uint32_t)s->pid)
                                               : NULL;
    if (task && !go_to_server(task, s))
        cancel_task_free(task);
}

void cancel_abandon(struct worker *worker)
{
    struct cancel_task *task;

    while ((task = LIST_FIRST(&worker->cancel_tasks)) != NULL) {
        LIST_REMOVE(task, entry);
        server_conn_free(task->conn);
        forward_free(task->forward);
        timer_close(task->deadline);
        cancel_task_free(task);
    }
    forwarder_free(worker->forwarder);
    worker->forwarder = NULL;
}

bool cancel_is_idle(const struct session *s)
{
    return s->state == STATE_CANCEL && s->origin == ORIGIN_GATE && s->n_cancel_tasks == 0;
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

static bool send_task(struct session *s, const struct cancel *cancel)
{
    struct gate_shared *shared = s->worker->shared;
    struct worker *to = shared->workers[registry_worker(cancel->key, shared->n_workers)];
    struct cancel_task *task = cancel_task_new(s->worker, to, cancel->pid);

    if (!task)
        return false;
    task->client = s;
    task->from_peer = s->origin == ORIGIN_GATE;
    task->number = s->n_requests++;
    task->prefix = prefix_of_address(&s->peer.ss);
    task->key_n = cancel->key.n;
    memcpy(task->key, cancel->key.p, cancel->key.n);
    if (!loop_post(task->to->loop, deliver_task, task)) {
        cancel_task_free(task);
        return false;
    }
    task->next = s->cancel_task;
    s->cancel_task = task;
    s->n_cancel_tasks++;
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
    if (!send_task(s, &cancel))
        return session_fail(s, PARTING_SILENT);
    wipe(s->in.p, packet.used);
    buf_consume(&s->in, packet.used);
    return STEP_JOB;
}

enum step cancel_step(struct session *s, struct err *e)
{
    enum step step = STEP_JOB;

    if (s->origin != ORIGIN_GATE)
        return s->cancel_task ? STEP_JOB : take_request(s, e);
    while (step == STEP_JOB && s->n_cancel_tasks < PEER_TASKS_MAX)
        step = take_request(s, e);
    return step;
}

void cancel_leave(struct session *s)
{
    for (struct cancel_task *task = s->cancel_task; task; task = task->next)
        task->client = NULL;
    s->cancel_task = NULL;
    s->n_cancel_tasks = 0;
}

void cancel_drain(struct session *s, bool now)
{
    if (now || cancel_is_idle(s))
        session_end(s, PARTING_SILENT, NULL);
}
