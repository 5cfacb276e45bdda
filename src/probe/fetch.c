/* Many handshakes on one loop, each against its own deadline. */
#include "probe/fetch.h"

#include "base/buf.h"
#include "base/check.h"
#include "client/hosts.h"
#include "client/negotiate.h"
#include "client/verify.h"
#include "net/loop.h"
#include "net/socket.h"
#include "tls/client_context.h"
#include "tls/engine.h"
#include "tls/hosts.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <resolv.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { FETCH_ROOM = 32 * 1024, FETCH_HOST_MAX = 1025 };

struct fetcher {
    struct loop *loop;
    struct tls_library *library;
    struct tls_port *port;
    struct tls_context *context;
    int64_t timeout_ms;
    unsigned open;
    STAILQ_HEAD(fetch_line, fetch) line; /* those that have not begun */
    uint8_t in[FETCH_ROOM], out[FETCH_ROOM];
};

enum fetch_state { FETCH_RESOLVES, FETCH_CONNECTS, FETCH_ASKS, FETCH_SHAKES };

/* A look-up on the pool; it outlives a fetch whose time is over. */
struct fetch_lookup {
    struct fetch *fetch; /* NULL: nobody wants it any more */
    struct addrinfo *list;
    int error, timeout_s;
    char host[FETCH_HOST_MAX];
};

struct fetch {
    struct fetcher *fetcher;
    fetch_fn *fn;
    void *arg;
    enum fetch_state state;
    enum fetch_how wish, how; /* `how` is what is tried now */
    char host[FETCH_HOST_MAX], hostaddr[FETCH_HOST_MAX], sni[FETCH_HOST_MAX];
    char visit[TLS_VISIT_MAX + 1];
    bool nameless;
    unsigned port;
    int64_t deadline_ms;
    struct address addrs[HOST_ADDRESSES_MAX];
    size_t n_addrs, at;
    struct fetch_lookup *lookup;
    struct timer *timer;
    struct poll *poll;
    int fd;
    struct tls_engine *tls;
    struct err first; /* of what was tried first: the others only guessed */
    bool refused;     /* by every address */
    bool without_tls;
    STAILQ_ENTRY(fetch) next;
};

static const char *const how_names[] = {
    [FETCH_AUTO] = "auto", [FETCH_POSTGRES] = "postgres", [FETCH_DIRECT] = "direct", [FETCH_TLS] = "tls"
};

const char *fetch_how_name(enum fetch_how how)
{
    return how_names[how];
}

bool fetch_how_find(struct str word, enum fetch_how *out)
{
    size_t i = str_index_of(word, how_names, COUNT_OF(how_names));

    if (i == COUNT_OF(how_names))
        return false;
    *out = (enum fetch_how)i;
    return true;
}

/* ---- the end ---- */

static void hang_up(struct fetch *f)
{
    if (f->poll)
        poll_close(f->poll);
    tls_engine_free(f->tls);
    if (f->fd >= 0)
        (void)close(f->fd);
    f->poll = NULL;
    f->tls = NULL;
    f->fd = -1;
}

static void begin_next(struct fetcher *fetcher);

static void on_turn(void *arg)
{
    begin_next(arg);
}

/* Takes the fetch. */
static void fetch_finish(struct fetch *f, const struct fetch_result *result)
{
    struct fetcher *fetcher = f->fetcher;

    if (f->lookup)
        f->lookup->fetch = NULL;
    hang_up(f);
    timer_close(f->timer);
    fetcher->open--;
    /* By way of the loop: one that fails at once must not begin the next one on top of itself. */
    if (!STAILQ_EMPTY(&fetcher->line) && !loop_post(fetcher->loop, on_turn, fetcher))
        begin_next(fetcher);
    f->fn(f->arg, result);
    free(f);
}

static void fetch_fail(struct fetch *f)
{
    const struct fetch_result result = {
        .err = &f->first, .refused = f->refused, .without_tls = f->without_tls, .how = f->wish
    };

    fetch_finish(f, &result);
}

/* The certificates of a session; false: there is none to show. */
static bool collect(const struct fetch *f, struct cert_list *out)
{
    X509 *certs[FETCH_CHAIN_MAX];
    size_t n = tls_engine_peer_chain(f->tls, certs, FETCH_CHAIN_MAX);

    for (size_t i = 0; i < n; i++)
        if (cert_list_add(out, certs[i]) != OK)
            return false;
    return n > 0;
}

static void succeed(struct fetch *f, struct cert_list *chain)
{
    struct fetch_result result = { .tls = true, .how = f->how, .chain = *chain };

    if (f->how == FETCH_DIRECT && !tls_engine_alpn(f->tls))
        result.how = FETCH_TLS; /* it speaks TLS and knows nothing of PostgreSQL's name for it */
    fetch_finish(f, &result);
    cert_list_fini(chain);
}

/* ---- connecting ---- */

static void connect_next(struct fetch *f);

static void remember(struct fetch *f, const struct err *e)
{
    if (f->first.code == OK)
        f->first = *e;
}

static int64_t left_ms(const struct fetch *f)
{
    int64_t left = f->deadline_ms - loop_now_ms(f->fetcher->loop);

    return left > 0 ? left : 0;
}

/* This address did not let us in: the next one. */
static void address_failed(struct fetch *f, const struct err *e)
{
    remember(f, e);
    hang_up(f);
    f->at++;
    connect_next(f);
}

/* Another language for the same address, where we may guess. */
static void language_failed(struct fetch *f, const struct err *e)
{
    remember(f, e);
    hang_up(f);
    if (f->wish != FETCH_AUTO || f->how == FETCH_TLS) {
        fetch_fail(f);
        return;
    }
    f->how = f->how == FETCH_POSTGRES ? FETCH_DIRECT : FETCH_TLS;
    connect_next(f);
}

static void on_time(void *arg)
{
    struct fetch *f = arg;
    struct err e;

    (void)err_set(&e, E_CONNECT, "timeout expired");
    if (f->state == FETCH_CONNECTS && left_ms(f) > 0) { /* the share of this address */
        f->refused = false;
        address_failed(f, &e);
        return;
    }
    f->refused = false;
    remember(f, &e);
    fetch_fail(f);
}

/* ---- talking ---- */

static bool send_all(struct fetch *f, struct bytes data, struct err *e)
{
    while (data.n > 0) {
        ssize_t n = send(f->fd, data.p, data.n, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) { /* what is sent before a handshake's end always fits into an empty socket */
            (void)err_set(e, E_CLOSED, "could not send data to server: %s", strerrordesc_np(errno));
            return false;
        }
        data = bytes_from(data, (size_t)n);
    }
    return true;
}

/* TLS broke off: an endpoint that wanted a certificate of ours has shown its own before that. */
static void shake_failed(struct fetch *f, const struct err *e)
{
    AUTO(cert) X509 *shown = tls_engine_peer(f->tls);
    struct cert_list chain = { 0 };

    if (shown && collect(f, &chain)) {
        succeed(f, &chain);
        return;
    }
    cert_list_fini(&chain);
    language_failed(f, e);
}

static void shaken(struct fetch *f)
{
    struct cert_list chain = { 0 };
    struct tls_io bye = { .out = f->fetcher->out, .out_size = FETCH_ROOM };
    struct err ignored;

    (void)collect(f, &chain);
    tls_engine_close(f->tls, &bye);
    (void)send_all(f, bytes_of(bye.out, bye.out_n), &ignored);
    succeed(f, &chain);
}

static void shake(struct fetch *f, struct bytes in, bool eof)
{
    struct fetcher *fetcher = f->fetcher;
    struct err e = { 0 };

    for (;;) {
        struct tls_io io = { .in = in, .eof = eof, .out = fetcher->out, .out_size = FETCH_ROOM };
        enum tls_status status = tls_engine_handshake(f->tls, &io, &e);
        struct err lost = { 0 };
        bool sent = send_all(f, bytes_of(io.out, io.out_n), &lost);
        in = io.in;
        if (status == TLS_DONE) {
            shaken(f);
            return;
        }
        if (status == TLS_FAILED || status == TLS_CLOSED || !sent) {
            shake_failed(f, status == TLS_FAILED || sent ? &e : &lost);
            return;
        }
        if (status == TLS_WANT_INPUT)
            break;
    }
    f->state = FETCH_SHAKES;
    poll_set(f->poll, POLL_READ);
}

static void begin_tls(struct fetch *f)
{
    const char *host = verify_host_is_ip(str_c(f->host)) ? "" : f->host;
    const char *sni = f->nameless ? "" : f->sni[0] ? f->sni : host;
    struct err e;

    f->tls = tls_engine_new_client(f->fetcher->port, f->fetcher->context, sni, f->how != FETCH_TLS);
    if (!f->tls || (f->visit[0] && !tls_engine_say_visit(f->tls, f->visit))) {
        (void)err_set(&e, E_NOMEM, "out of memory");
        remember(f, &e);
        fetch_fail(f);
        return;
    }
    shake(f, bytes_of(NULL, 0), false);
}

static void answered(struct fetch *f, struct bytes in)
{
    enum attempt_event event;
    struct err e;

    if (in.n == 0) {
        (void)err_set(&e, E_CLOSED, "server closed the connection unexpectedly");
        language_failed(f, &e);
        return;
    }
    if (negotiate_reply(in, &event, &e) == NEGOTIATE_TLS) {
        begin_tls(f);
        return;
    }
    f->without_tls = event == EVENT_TLS_REFUSED;
    if (f->without_tls) { /* it understood the question */
        remember(f, &e);
        fetch_fail(f);
        return;
    }
    language_failed(f, &e);
}

static void fetch_ask(struct fetch *f)
{
    AUTO(buf) struct buf hello = BUF_INIT(64);
    struct err e;

    negotiate_hello(METHOD_TLS, &hello);
    if (!send_all(f, buf_bytes(&hello), &e)) {
        language_failed(f, &e);
        return;
    }
    f->state = FETCH_ASKS;
    poll_set(f->poll, POLL_READ);
}

static void connected(struct fetch *f)
{
    int error = socket_connect_result(f->fd);
    struct err e;

    if (error != 0) {
        f->refused = f->refused && error == ECONNREFUSED;
        (void)err_set(&e, E_CONNECT, "%s", strerrordesc_np(error));
        address_failed(f, &e);
        return;
    }
    f->refused = false;
    timer_set(f->timer, left_ms(f));
    if (f->how == FETCH_POSTGRES)
        fetch_ask(f);
    else
        begin_tls(f);
}

static void fetch_on_ready(void *arg, unsigned events)
{
    struct fetch *f = arg;
    struct err e;

    (void)events;
    if (f->state == FETCH_CONNECTS) {
        connected(f);
        return;
    }
    ssize_t n = recv(f->fd, f->fetcher->in, FETCH_ROOM, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n < 0 && errno == ECONNRESET)
        n = 0;
    if (n < 0) {
        (void)err_set(&e, E_CLOSED, "could not receive data from server: %s", strerrordesc_np(errno));
        language_failed(f, &e);
        return;
    }
    struct bytes in = bytes_of(f->fetcher->in, (size_t)n);
    if (f->state == FETCH_ASKS)
        answered(f, in);
    else
        shake(f, in, n == 0);
}

static void connect_next(struct fetch *f)
{
    struct err e = { 0 };

    for (; f->at < f->n_addrs; f->at++) {
        if (socket_connect(&f->addrs[f->at], &f->fd, &e) == OK) {
            f->poll = poll_new(f->fetcher->loop, f->fd, fetch_on_ready, f);
            if (f->poll)
                break;
            (void)err_set(&e, E_NOMEM, "out of memory");
        }
        f->refused = false;
        remember(f, &e);
        hang_up(f);
    }
    if (f->at == f->n_addrs) {
        fetch_fail(f);
        return;
    }
    f->state = FETCH_CONNECTS;
    /* An address that does not answer leaves time for those after it. */
    timer_set(f->timer, left_ms(f) / (int64_t)(f->n_addrs - f->at));
    poll_set(f->poll, POLL_WRITE);
}

/* ---- where ---- */

static void take_addresses(struct fetch *f, const struct addrinfo *list)
{
    f->n_addrs = conn_addrs_found(list, f->addrs, HOST_ADDRESSES_MAX);
    for (size_t i = 0; i < f->n_addrs; i++)
        address_set_port(&f->addrs[i], f->port);
}

/* On the pool. Name servers that do not answer are given up in about the time that there is. */
static void look_up(void *arg)
{
    const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
    struct fetch_lookup *lookup = arg;

    if (res_init() == 0) {
        _res.retrans = 1;
        _res.retry = _res.nscount > 1 ? lookup->timeout_s / _res.nscount : lookup->timeout_s;
        if (_res.retry < 1)
            _res.retry = 1;
    }
    lookup->error = getaddrinfo(lookup->host, NULL, &hints, &lookup->list);
}

static void looked_up(void *arg)
{
    struct fetch_lookup *lookup = arg;
    struct fetch *f = lookup->fetch;
    struct err e;

    if (f) {
        f->lookup = NULL;
        take_addresses(f, lookup->list);
        if (f->n_addrs == 0) {
            (void)err_set(&e, E_CONNECT, "could not translate host name \"%s\" to address: %s", lookup->host,
                          lookup->error ? gai_strerror(lookup->error) : "no addresses");
            remember(f, &e);
            fetch_fail(f);
        } else {
            f->refused = true;
            connect_next(f);
        }
    }
    if (lookup->list)
        freeaddrinfo(lookup->list);
    free(lookup);
}

static void start_lookup(struct fetch *f, const char *name)
{
    struct fetch_lookup *lookup = calloc(1, sizeof *lookup);
    struct err e;

    if (lookup) {
        lookup->fetch = f;
        lookup->timeout_s = (int)(f->fetcher->timeout_ms / 1000);
        (void)snprintf(lookup->host, sizeof lookup->host, "%s", name);
        f->lookup = lookup;
        if (loop_job(f->fetcher->loop, look_up, looked_up, lookup))
            return;
        f->lookup = NULL;
        free(lookup);
    }
    (void)err_set(&e, E_NOMEM, "out of memory");
    remember(f, &e);
    timer_set(f->timer, 0); /* from the loop, as every answer comes */
}

static void fetch_begin(struct fetch *f)
{
    const struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST };
    const char *name = f->hostaddr[0] ? f->hostaddr : f->host;
    struct addrinfo *list = NULL;

    f->deadline_ms = loop_now_ms(f->fetcher->loop) + f->fetcher->timeout_ms;
    timer_set(f->timer, f->fetcher->timeout_ms);
    if (getaddrinfo(name, NULL, &hints, &list) == 0)
        take_addresses(f, list);
    if (list)
        freeaddrinfo(list);
    if (f->n_addrs == 0) {
        start_lookup(f, name);
        return;
    }
    f->refused = true;
    connect_next(f);
}

static void begin_next(struct fetcher *fetcher)
{
    struct fetch *f;

    if (fetcher->open >= FETCH_OPEN_MAX || !(f = STAILQ_FIRST(&fetcher->line)))
        return;
    STAILQ_REMOVE_HEAD(&fetcher->line, next);
    fetcher->open++;
    fetch_begin(f);
}

bool fetch_start(struct fetcher *fetcher, const struct fetch_request *request)
{
    struct fetch *f = calloc(1, sizeof *f);

    if (!f)
        return false;
    f->fetcher = fetcher;
    f->fn = request->fn;
    f->arg = request->arg;
    f->wish = request->how;
    f->how = request->how == FETCH_AUTO ? FETCH_POSTGRES : request->how;
    f->port = request->port;
    f->nameless = request->nameless;
    f->fd = -1;
    f->timer = timer_new(fetcher->loop, on_time, f);
    bool fits = str_to_c(request->host, f->host, sizeof f->host) &&
                str_to_c(request->sni, f->sni, sizeof f->sni) &&
                str_to_c(request->visit, f->visit, sizeof f->visit) &&
                str_to_c(request->hostaddr, f->hostaddr, sizeof f->hostaddr);
    /* Not from within this call: answers come from the loop. */
    if (f->timer && fits && loop_post(fetcher->loop, on_turn, fetcher)) {
        STAILQ_INSERT_TAIL(&fetcher->line, f, next);
        return true;
    }
    if (f->timer)
        timer_close(f->timer);
    free(f);
    return false;
}

struct fetcher *fetcher_new(struct loop *loop, int64_t timeout_ms)
{
    const struct tls_client_params params = { TLS_CLIENT_LOOKS, .visit = "" };
    struct fetcher *fetcher = calloc(1, sizeof *fetcher);
    struct err ignored;

    if (!fetcher)
        return NULL;
    fetcher->loop = loop;
    fetcher->timeout_ms = timeout_ms;
    STAILQ_INIT(&fetcher->line);
    fetcher->library = tls_library_new();
    fetcher->port = tls_port_new();
    if (fetcher->library && fetcher->port &&
        tls_client_context_new(fetcher->library, &params, &fetcher->context, &ignored) == OK)
        return fetcher;
    fetcher_free(fetcher);
    return NULL;
}

void fetcher_free(struct fetcher *fetcher)
{
    if (!fetcher)
        return;
    tls_context_free(fetcher->context);
    tls_port_free(fetcher->port);
    tls_library_free(fetcher->library);
    free(fetcher);
}
