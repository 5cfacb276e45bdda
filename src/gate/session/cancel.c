/*
 * Cancel requests.
 *
 * (pid, key) is the gate's; the key tells the worker. There the server's own key is sent to the very server
 * of the session, under the session's protection. The client is held until that has been done, for it takes
 * the end of its connection to mean that the signal was sent. Nothing is ever answered [src: PostgreSQL 18,
 * "Canceling Requests in Progress"]. A key that no session here has may be another gate's:
 * gate/upstream/peers.h.
 */
#include "base/check.h"
#include "base/secret.h"
#include "gate/session/console.h"
#include "gate/session/rooms.h"
#include "gate/session/worker_private.h"
#include "gate/stats/meters.h"
#include "gate/upstream/peers.h"
#include "net/loop.h"
#include "pgwire/frontend.h"

#include <stdlib.h>

enum { CANCEL_MS = 10000 };

/** A request on its way: made by the worker that accepted it, carried out by the one that has the session. */
struct errand {
    struct worker *from, *to;
    struct session *asker; /* NULL: has gone meanwhile. Only touched on `from` */
    uint32_t pid;
    uint8_t key[CANCEL_KEY_MAX];
    size_t key_n;
    struct snapshot *snapshot; /* of the session: its upstream's contexts */
    struct cancel_route route;
    struct leg *leg;
    struct forward *forward;       /* instead of `leg`, where no session of ours has the key */
    bool from_peer;                /* another gate sent it: it goes no further */
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

/* On `from`: the client may go. */
static void report(void *arg)
{
    struct errand *errand = arg;
    struct session *asker = errand->asker;

    if (asker)
        asker->errand = NULL;
    errand_free(errand);
    if (asker)
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
    leg_free(errand->leg);
    errand->leg = NULL;
    forward_free(errand->forward);
    errand->forward = NULL;
    timer_close(errand->deadline);
    errand->deadline = NULL;
    snapshot_unref(errand->snapshot);
    errand->snapshot = NULL;
    struct loop_message *way_back = errand->way_back;
    errand->way_back = NULL;
    loop_send(worker_loop(errand->from), way_back);
}

static void on_ready(void *arg)
{
    struct errand *errand = arg;
    AUTO(buf) struct buf out = BUF_INIT(512);
    struct err e;

    frontend_cancel(&out, errand->route.pid, bytes_of(errand->route.key, errand->route.key_n));
    bool sent = leg_send_buf(errand->leg, &out, &e) == OK;
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
    errand->deadline = timer_new(worker_loop(errand->to), carried_out_late, errand);
    if (errand->deadline)
        timer_set(errand->deadline, CANCEL_MS);
    LIST_INSERT_HEAD(&errand->to->errands, errand, entry);
}

static void on_data(void *arg, struct bytes data)
{
    (void)data;
    carried_out(arg); /* a server that answers a cancel is not one */
}

static void on_end(void *arg, const struct err *e)
{
    (void)e;
    carried_out(arg);
}

static void log_unknown(struct errand *errand, bool pid_known)
{
    struct log_line line;

    log_begin(&line, worker_env(errand->to), SEV_LOG, "cancel_ignored");
    log_c(&line, "message",
          pid_known ? "wrong key in cancel request" : "PID in cancel request did not match any process");
    log_int(&line, "pid", errand->pid);
    log_end(&line);
}

/* On `to`: begin to tell the session's server. */
static bool go_to_server(struct errand *errand, const struct session *target)
{
    const struct leg_owner owner = { on_ready, on_data, on_end, on_end, errand };

    errand->route = *target->cancel_route;
    errand->snapshot = snapshot_ref(target->snapshot);
    const struct settings_route *route = settings_route(snapshot_settings(errand->snapshot),
                                                        target->startup.database);
    errand->leg = leg_new_at(errand->to, snapshot_upstream(errand->snapshot, route), &errand->route, &owner);
    if (!errand->leg)
        return false;
    set_out(errand);
    return true;
}

/* On `to`: nobody here has the key, perhaps somebody elsewhere. */
static bool go_to_peers(struct errand *errand)
{
    const struct cancel cancel = { errand->pid, bytes_of(errand->key, errand->key_n) };
    struct log_line line;

    if (errand->from_peer)
        return false;
    errand->forward = forward_new(errand->to, &cancel, carried_out_late, errand);
    if (!errand->forward)
        return false;
    log_begin(&line, worker_env(errand->to), SEV_LOG, "cancel_forwarded");
    log_int(&line, "pid", errand->pid);
    log_end(&line);
    set_out(errand);
    return true;
}

static void count_result(const struct errand *errand, const char *result)
{
    meters_cancel(worker_counters(errand->to), result);
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
        console_room_cancel(target);
    } else if (target && target->cancel_route) {
        count_result(errand, "sent");
        if (go_to_server(errand, target))
            return;
    } else {
        if (go_to_peers(errand)) {
            count_result(errand, "forwarded");
            return;
        }
        count_result(errand, "unknown");
        log_unknown(errand, pid_known);
    }
    carried_out(errand);
}

void cancel_session(struct session *s)
{
    if (s->console) {
        console_room_cancel(s);
        return;
    }
    struct errand *errand = s->cancel_route ? errand_new(s->worker, s->worker, (uint32_t)s->pid) : NULL;
    if (errand && !go_to_server(errand, s))
        errand_free(errand);
}

void cancel_abandon(struct worker *worker)
{
    struct errand *errand;

    while ((errand = LIST_FIRST(&worker->errands)) != NULL) {
        LIST_REMOVE(errand, entry);
        leg_free(errand->leg);
        forward_free(errand->forward);
        timer_close(errand->deadline);
        errand_free(errand);
    }
}

enum step cancel_step(struct session *s, struct err *e)
{
    struct hello_packet packet;
    struct cancel cancel;

    if (s->errand)
        return STEP_JOB;
    if (hello_next(&s->hello, buf_bytes(&s->in), &packet) != OK ||
        cancel_parse(packet.body, &cancel, e) != OK)
        return session_fail(s, PARTING_LOGGED);
    if (cancel.pid == 0) {
        err_set(e, E_PROTOCOL, "invalid cancel request with PID 0");
        return session_fail(s, PARTING_LOGGED);
    }
    if (s->peer_gate && !peers_know(s)) {
        err_set(e, E_AUTH, "a cancel request of a gate that is not in \"cancel_peers\" is not taken");
        return session_fail(s, PARTING_LOGGED);
    }
    struct gate_shared *shared = worker_shared(s->worker);
    struct worker *to = shared->workers[registry_worker(cancel.key, shared->n_workers)];
    struct errand *errand = errand_new(s->worker, to, cancel.pid);
    if (!errand)
        return session_fail(s, PARTING_SILENT);
    errand->asker = s;
    errand->from_peer = s->peer_gate;
    errand->key_n = cancel.key.n;
    memcpy(errand->key, cancel.key.p, cancel.key.n);
    if (!worker_post(errand->to, carry_out, errand)) {
        errand_free(errand);
        return session_fail(s, PARTING_SILENT);
    }
    s->errand = errand;
    return STEP_JOB;
}

void cancel_leave(struct session *s)
{
    if (s->errand)
        s->errand->asker = NULL;
    s->errand = NULL;
}
