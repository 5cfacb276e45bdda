/*
 * Cancel requests on their way to the other gates.
 *
 * One worker sends them all, over one connection per peer, which is kept. A peer answers each request with its
 * number on the connection (four bytes, from 0 on), when it has done what it can and in whatever order. One
 * that closes instead does not keep connections: then each request has one of its own.
 */
#include "gate/upstream/forward.h"

#include "base/buf.h"
#include "base/check.h"
#include "base/log.h"
#include "base/rd.h"
#include "base/secret.h"
#include "gate/load/snapshot.h"
#include "gate/upstream/server_conn.h"
#include "gate/work/worker.h"
#include "net/rate.h"
#include "pgwire/frontend.h"

#include <stdlib.h>

enum {
    RATE_BURST =
        32, /* [choice: an application that gives up all it has running, at a balancer's other gate] */
    RATE_PER_S = 8,
    LINK_MAX = 256, /* requests that wait for one peer */
    NUMBER_BYTES = 4
};

/** A request for one peer. */
struct ask {
    struct link *link;
    struct forward *forward;
    bool sent;
    bool retried;    /* the connection broke: it has been sent twice */
    uint32_t number; /* on the connection */
    uint32_t pid;
    size_t key_n;
    uint8_t key[CANCEL_KEY_MAX];
    TAILQ_ENTRY(ask) entry;
};

TAILQ_HEAD(ask_list, ask);

/** One peer. */
struct link {
    struct forwarder *all;
    struct snapshot *snapshot; /* of the peer's contexts */
    const struct upstream *peer;
    struct server_conn *conn; /* NULL: no connection */
    bool ready;
    bool answers; /* it has answered on this connection: more than one may be on its way */
    bool stale;   /* of a snapshot that is in force no more */
    uint32_t numbers;
    struct buf in;
    struct ask_list waiting, sent;
    size_t n; /* of both */
    LIST_ENTRY(link) entry;
};

struct forwarder {
    struct worker *worker;
    struct rate *rate;
    LIST_HEAD(, link) links;
};

struct forward {
    void (*done)(void *arg);
    void *arg;
    size_t n_open;
    struct ask *asks[CANCEL_PEERS_MAX]; /* NULL: answered */
};

/* ---- requests ---- */

static void ask_free(struct ask *ask)
{
    TAILQ_REMOVE(ask->sent ? &ask->link->sent : &ask->link->waiting, ask, entry);
    ask->link->n--;
    wipe(ask->key, sizeof ask->key);
    free(ask);
}

/* It has been answered, or will not be; the last one of a request tells its owner. */
static void end_ask(struct ask *ask)
{
    struct forward *forward = ask->forward;

    for (size_t i = 0; i < CANCEL_PEERS_MAX; i++)
        if (forward->asks[i] == ask)
            forward->asks[i] = NULL;
    ask_free(ask);
    if (--forward->n_open == 0)
        forward->done(forward->arg);
}

static bool ask_new(struct link *link, struct forward *forward, const struct cancel *cancel)
{
    struct ask *ask = link->n < LINK_MAX ? calloc(1, sizeof *ask) : NULL;

    if (!ask)
        return false;
    CHECK(cancel->key.n <= sizeof ask->key);
    *ask = (struct ask){ .link = link, .forward = forward, .pid = cancel->pid, .key_n = cancel->key.n };
    memcpy(ask->key, cancel->key.p, cancel->key.n);
    TAILQ_INSERT_TAIL(&link->waiting, ask, entry);
    link->n++;
    forward->asks[forward->n_open++] = ask;
    return true;
}

/* ---- connections ---- */

static void flush(struct link *link)
{
    struct ask *ask;
    struct err ignored; /* a connection that is broken says so when it is read */

    while (link->ready && (ask = TAILQ_FIRST(&link->waiting)) != NULL &&
           (link->answers || TAILQ_EMPTY(&link->sent))) {
        AUTO(buf) struct buf out = BUF_INIT(512);
        TAILQ_REMOVE(&link->waiting, ask, entry);
        TAILQ_INSERT_TAIL(&link->sent, ask, entry);
        ask->sent = true;
        ask->number = link->numbers++;
        frontend_cancel(&out, ask->pid, bytes_of(ask->key, ask->key_n));
        (void)!server_conn_send_buf(link->conn, &out, &ignored);
        buf_fini_secret(&out);
    }
}

static void disconnect(struct link *link)
{
    server_conn_free(link->conn);
    link->conn = NULL;
    link->ready = link->answers = false;
    link->numbers = 0;
    buf_reset(&link->in);
}

static void forward_on_ready(void *arg)
{
    struct link *link = arg;

    link->ready = true;
    server_conn_accepted(link->conn);
    flush(link);
}

static void forward_on_data(void *arg, struct bytes data)
{
    struct link *link = arg;
    struct ask *ask;

    if (!buf_append(&link->in, data)) { /* more than there can be answers */
        buf_reset(&link->in);
        return;
    }
    while (link->in.n >= NUMBER_BYTES) {
        struct rd r = rd_over(buf_bytes(&link->in));
        uint32_t number = rd_u32(&r);
        buf_consume(&link->in, NUMBER_BYTES);
        link->answers = true;
        TAILQ_FOREACH (ask, &link->sent, entry)
            if (ask->number == number)
                break;
        if (ask)
            end_ask(ask);
    }
    flush(link);
}

static void on_closed(void *arg, const struct err *e);
static void on_failed(void *arg, const struct err *e);

/* False: memory ran out. */
static bool connect_link(struct link *link)
{
    const struct server_conn_owner owner = { .ready = forward_on_ready,
                                             .data = forward_on_data,
                                             .closed = on_closed,
                                             .failed = on_failed,
                                             .arg = link };

    if (!link->conn)
        link->conn = server_conn_new(link->all->worker, link->peer, &owner);
    return link->conn != NULL;
}

static void end_all(struct ask_list *list)
{
    struct ask *ask;

    while ((ask = TAILQ_FIRST(list)) != NULL)
        end_ask(ask);
}

/* What was on its way is sent once more, over another connection: the peer may have been started again. */
static void send_again(struct link *link)
{
    struct ask *ask;

    while ((ask = TAILQ_LAST(&link->sent, ask_list)) != NULL) {
        if (ask->retried) {
            end_ask(ask);
            continue;
        }
        TAILQ_REMOVE(&link->sent, ask, entry);
        TAILQ_INSERT_HEAD(&link->waiting, ask, entry);
        ask->sent = false;
        ask->retried = true;
    }
    if (!TAILQ_EMPTY(&link->waiting) && !connect_link(link))
        end_all(&link->waiting);
}

static void on_closed(void *arg, const struct err *e)
{
    struct link *link = arg;
    bool answered = link->answers;

    (void)e;
    disconnect(link);
    if (!answered) /* it does so instead of an answer */
        end_all(&link->sent);
    send_again(link);
}

static void on_failed(void *arg, const struct err *e)
{
    struct link *link = arg;
    struct log_line line;
    const struct conn_host *host = &link->peer->info.hosts[0];

    log_begin(&line, &link->all->worker->env, SEV_WARNING, "cancel_peer_failed");
    log_str(&line, "peer", host->host);
    log_int(&line, "port", host->port);
    log_err(&line, e);
    log_end(&line);
    disconnect(link);
    end_all(&link->waiting);
}

static void link_free(struct link *link)
{
    LIST_REMOVE(link, entry);
    disconnect(link);
    buf_fini(&link->in);
    snapshot_unref(link->snapshot);
    free(link);
}

static struct link *link_of(struct forwarder *all, const struct upstream *peer)
{
    struct link *link;

    LIST_FOREACH (link, &all->links, entry)
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): it does not follow LIST_REMOVE */
        if (link->peer == peer && !link->stale)
            return link;
    link = calloc(1, sizeof *link);
    if (!link)
        return NULL;
    *link = (struct link){ .all = all, .peer = peer, .in = BUF_INIT(LINK_MAX * NUMBER_BYTES) };
    link->snapshot = snapshot_ref(all->worker->snapshot);
    TAILQ_INIT(&link->waiting);
    TAILQ_INIT(&link->sent);
    LIST_INSERT_HEAD(&all->links, link, entry);
    return link;
}

/* ---- for the owner ---- */

static struct forwarder *forwarder_of(struct worker *worker)
{
    struct forwarder *all = worker->forwarder;

    if (all)
        return all;
    all = calloc(1, sizeof *all);
    if (!all)
        return NULL;
    all->worker = worker;
    LIST_INIT(&all->links);
    all->rate = rate_new(RATE_BURST, RATE_PER_S);
    if (!all->rate) {
        free(all);
        return NULL;
    }
    worker->forwarder = all;
    return all;
}

/* What another snapshot's peers were reached by has done its duty. */
static void drop_stale(struct forwarder *all)
{
    struct link *link, *next;

    for (link = LIST_FIRST(&all->links); link; link = next) {
        next = LIST_NEXT(link, entry);
        link->stale = link->stale || link->snapshot != all->worker->snapshot;
        if (link->stale && link->n == 0)
            link_free(link);
    }
}

void forward_refresh(struct worker *worker)
{
    if (worker->forwarder)
        drop_stale(worker->forwarder);
}

struct forward *forward_new(struct worker *worker, const struct forward_request *request,
                            void (*done)(void *arg), void *arg)
{
    size_t n;
    const struct upstream *peers = snapshot_peers(worker->snapshot, &n);
    struct forwarder *all = n > 0 ? forwarder_of(worker) : NULL;

    if (!all || (!request->vouched && !rate_take(all->rate, &request->prefix, loop_now_ms(worker->loop))))
        return NULL;
    struct forward *forward = calloc(1, sizeof *forward);
    if (!forward)
        return NULL;
    forward->done = done;
    forward->arg = arg;
    drop_stale(all);
    for (size_t i = 0; i < n; i++) {
        struct link *link = link_of(all, &peers[i]);
        if (link && connect_link(link) && ask_new(link, forward, &request->cancel))
            flush(link);
    }
    if (forward->n_open > 0)
        return forward;
    free(forward);
    return NULL;
}

void forward_free(struct forward *forward)
{
    if (!forward)
        return;
    for (size_t i = 0; i < CANCEL_PEERS_MAX; i++) {
        struct ask *ask = forward->asks[i];
        if (!ask)
            continue;
        struct link *link = ask->link;
        bool silent = ask->sent;
        ask_free(ask);
        if (silent) { /* it may be gone without a word: the others try another connection */
            disconnect(link);
            send_again(link);
        }
    }
    free(forward);
}

void forwarder_free(struct forwarder *all)
{
    struct link *link, *next;

    if (!all)
        return;
    for (link = LIST_FIRST(&all->links); link; link = next) {
        next = LIST_NEXT(link, entry);
        link_free(link);
    }
    rate_free(all->rate);
    free(all);
}
