/* The pages: which path asks the gate what. */
#include "cmd/serve_http.h"

#include "base/buf.h"
#include "base/check.h"
#include "base/slice.h"
#include "gate/gate.h"
#include "watch/http.h"
#include "watch/metrics.h"
#include "watch/page.h"

#include <stdio.h>
#include <stdlib.h>

enum { METRICS_MAX = 64 << 20 /* far above what bounded label sets can make */ };

struct shown {
    struct gate *gate;
    struct http *http;
    struct page *page;
};

static void send_text(struct http_reply *reply, unsigned status, const char *text)
{
    http_reply_send(reply, status, "text/plain; charset=utf-8", str_bytes(str_c(text)));
}

/* Whoever can be asked is alive. */
static void show_health(void *ctx, struct http_reply *reply)
{
    (void)ctx;
    send_text(reply, 200, "ok\n");
}

static void tell_readiness(void *arg, const char *why)
{
    struct http_reply *reply = arg;
    char line[128];

    (void)snprintf(line, sizeof line, "%s\n", why ? why : "ready");
    send_text(reply, why ? 503 : 200, line);
}

static void show_readiness(void *ctx, struct http_reply *reply)
{
    const struct shown *shown = ctx;

    if (!gate_ask_ready(shown->gate, tell_readiness, reply))
        send_text(reply, 503, "out of memory\n");
}

static void ask_gate(void *ctx, page_report_fn *done, void *arg)
{
    const struct shown *shown = ctx;

    gate_report(shown->gate, done, arg);
}

static void show_page(void *ctx, struct http_reply *reply)
{
    (void)ctx;
    page_send_html(reply);
}

/* Relative, for those who reach the gate below a path of another server. */
static void lead_to_page(void *ctx, struct http_reply *reply)
{
    (void)ctx;
    http_reply_header(reply, "Location", "status");
    send_text(reply, 302, "see /status\n");
}

static void show_report(void *ctx, struct http_reply *reply)
{
    const struct shown *shown = ctx;

    page_send_report(shown->page, reply);
}

/* ---- metrics ---- */

static void print_metrics(void *arg, const struct counters *counters)
{
    struct http_reply *reply = arg;
    AUTO(buf) struct buf text = BUF_INIT(METRICS_MAX);

    if (counters)
        metrics_print(counters, &text);
    if (counters && buf_ok(&text))
        http_reply_send(reply, 200, METRICS_CONTENT_TYPE, buf_bytes(&text));
    else
        send_text(reply, 503, "out of memory, or the gate is stopping\n");
}

static void show_metrics(void *ctx, struct http_reply *reply)
{
    const struct shown *shown = ctx;

    if (!gate_measure(shown->gate, print_metrics, reply))
        send_text(reply, 503, "out of memory\n");
}

static const struct http_route routes[] = {
    { .path = "/metrics", .answer = show_metrics },
    /* Asked by those who start and stop gates, and have no token to show. */
    { .path = "/healthz", .open = true, .answer = show_health },
    { .path = "/readyz", .open = true, .answer = show_readiness },
    { .path = "/", .open = true, .answer = lead_to_page },
    /* The page has nothing in it but the question for the report, and the form for a token. */
    { .path = "/status", .open = true, .answer = show_page },
    { .path = "/status.json", .answer = show_report },
};

static void close_shown(void *arg)
{
    struct shown *shown = arg;

    if (!shown)
        return;
    http_close(shown->http);
    page_free(shown->page);
    free(shown);
}

static enum code open_shown(const struct gate_http_start *start, void **out, struct err *e)
{
    struct shown *shown = calloc(1, sizeof *shown);

    if (!shown)
        return err_set(e, E_NOMEM, "out of memory");
    shown->gate = start->gate;
    const struct page_params page = { .env = start->env, .ask = ask_gate, .ctx = shown };
    shown->page = page_new(&page);
    if (!shown->page) {
        free(shown);
        return err_set(e, E_NOMEM, "out of memory");
    }
    const struct http_params params = {
        .loop = start->loop,
        .env = start->env,
        .settings = start->settings,
        .routes = routes,
        .n_routes = COUNT_OF(routes),
        .ctx = shown,
        .sockets = start->sockets,
    };
    enum code code = http_open(&params, &shown->http, e);
    if (code != OK || !shown->http) {
        close_shown(shown);
        *out = NULL;
        return code;
    }
    *out = shown;
    return OK;
}

static bool set_access(void *arg, const struct gate_http_access *access)
{
    struct shown *shown = arg;
    const struct http_access now = {
        .tls = access->tls, .token = access->token, .owner = access->owner, .release = access->release
    };

    return http_set_access(shown->http, &now);
}

static void shown_sockets(const void *arg, struct socket_set *out)
{
    const struct shown *shown = arg;

    http_sockets(shown->http, out);
}

static void shown_leave(void *arg)
{
    const struct shown *shown = arg;

    http_leave(shown->http);
}

static void shut(void *arg)
{
    const struct shown *shown = arg;

    http_shut(shown->http);
}

const struct gate_http serve_http = { .open = open_shown,
                                      .set_access = set_access,
                                      .sockets = shown_sockets,
                                      .leave = shown_leave,
                                      .shut = shut,
                                      .close = close_shown };
