/* A cancel request on its way to the other gates. */
#include "base/buf.h"
#include "base/check.h"
#include "base/log.h"
#include "base/secret.h"
#include "gate/load/snapshot.h"
#include "gate/session/worker_private.h"
#include "gate/upstream/leg.h"
#include "gate/upstream/peers.h"
#include "pgwire/frontend.h"
#include "pgwire/hello.h"

#include <stdlib.h>

/* A client that guesses keys makes each guess cost a handshake per peer: so only so many at a time. */
enum { FORWARDS_MAX = 16 };

struct forward_leg {
    struct forward *forward;
    const struct upstream *peer;
    struct leg *leg;
};

struct forward {
    struct worker *worker;
    struct snapshot *snapshot; /* of the legs' contexts */
    void (*done)(void *arg);
    void *arg;
    uint32_t pid;
    uint8_t key[CANCEL_KEY_MAX];
    size_t key_n;
    size_t n_open;
    struct forward_leg legs[CANCEL_PEERS_MAX];
};

/* A leg has done its work, or cannot; the last one to end tells the owner. */
static void end_leg(struct forward_leg *at)
{
    struct forward *forward = at->forward;

    leg_free(at->leg);
    at->leg = NULL;
    if (--forward->n_open == 0)
        forward->done(forward->arg);
}

static void on_ready(void *arg)
{
    struct forward_leg *at = arg;
    struct forward *forward = at->forward;
    AUTO(buf) struct buf out = BUF_INIT(512);
    struct err e;

    leg_accepted(at->leg);
    frontend_cancel(&out, forward->pid, bytes_of(forward->key, forward->key_n));
    bool sent = leg_send_buf(at->leg, &out, &e) == OK;
    buf_fini_secret(&out);
    if (!sent)
        end_leg(at);
}

static void on_data(void *arg, struct bytes data)
{
    (void)data;
    end_leg(arg); /* a gate answers nothing */
}

/* The peer has done what it can: it holds the connection until then, as for any client. */
static void on_closed(void *arg, const struct err *e)
{
    (void)e;
    end_leg(arg);
}

static void on_failed(void *arg, const struct err *e)
{
    struct forward_leg *at = arg;
    struct log_line line;
    const struct conn_host *host = &at->peer->info.hosts[0];

    log_begin(&line, worker_env(at->forward->worker), SEV_WARNING, "cancel_peer_failed");
    log_str(&line, "peer", host->host);
    log_int(&line, "port", host->port);
    log_err(&line, e);
    log_end(&line);
    end_leg(at);
}

struct forward *forward_new(struct worker *worker, const struct cancel *cancel, void (*done)(void *arg),
                            void *arg)
{
    size_t n;
    const struct upstream *peers = snapshot_peers(worker_snapshot(worker), &n);
    struct forward *forward = n > 0 && worker->n_forwards < FORWARDS_MAX ? calloc(1, sizeof *forward) : NULL;

    if (!forward)
        return NULL;
    CHECK(cancel->key.n <= sizeof forward->key);
    worker->n_forwards++;
    forward->worker = worker;
    forward->snapshot = snapshot_ref(worker_snapshot(worker));
    forward->done = done;
    forward->arg = arg;
    forward->pid = cancel->pid;
    forward->key_n = cancel->key.n;
    memcpy(forward->key, cancel->key.p, cancel->key.n);
    for (size_t i = 0; i < n; i++) {
        struct forward_leg *at = &forward->legs[i];
        const struct leg_owner owner = { on_ready, on_data, on_closed, on_failed, at };
        *at = (struct forward_leg){ .forward = forward, .peer = &peers[i] };
        at->leg = leg_new(worker, &peers[i], &owner);
        if (at->leg)
            forward->n_open++;
    }
    if (forward->n_open == 0) {
        forward_free(forward);
        return NULL;
    }
    return forward;
}

void forward_free(struct forward *forward)
{
    if (!forward)
        return;
    for (size_t i = 0; i < CANCEL_PEERS_MAX; i++)
        leg_free(forward->legs[i].leg);
    forward->worker->n_forwards--;
    snapshot_unref(forward->snapshot);
    wipe(forward->key, sizeof forward->key);
    free(forward);
}
