/*
 * A look at all targets every so often, whoever asks or not: a scrape is answered at once with what was found last,
 * and no number of scrapes makes the monitor ask endpoints more often.
 */
#include "cmd/monitor_exporter.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "conf/settings.h"
#include "lex/conf_lex.h"
#include "net/loop.h"
#include "watch/http.h"
#include "watch/metrics.h"

#include <signal.h>

enum { METRICS_TEXT_MAX = 64 << 20, SETTINGS_ARENA_MAX = 1 << 20 };

struct exporter {
    const struct exporter_params *params;
    struct loop *loop;
    struct timer *timer;
    struct http *http;
    struct buf text; /* of the last look; empty: none is over yet */
    bool looking, over;
};

static void monitor_exporter_look(void *arg);

static void looked(void *arg, struct pass *pass)
{
    struct exporter *x = arg;

    buf_reset(&x->text);
    monitor_print_metrics(pass_run(pass), &x->text);
    if (!buf_ok(&x->text))
        buf_reset(&x->text);
    pass_free(pass);
    x->looking = false;
    if (x->over)
        loop_stop(x->loop);
    else
        timer_set(x->timer, x->params->interval_ms);
}

static void monitor_exporter_look(void *arg)
{
    struct exporter *x = arg;

    x->looking = pass_start(x->params->plan, looked, x);
    if (!x->looking)
        timer_set(x->timer, x->params->interval_ms);
}

static void show_metrics(void *ctx, struct http_reply *reply)
{
    const struct exporter *x = ctx;

    if (x->text.n > 0)
        http_reply_send(reply, 200, METRICS_CONTENT_TYPE, buf_bytes(&x->text));
    else
        http_reply_send(reply, 503, "text/plain; charset=utf-8",
                        str_bytes(STR("the targets have not been examined yet\n")));
}

static void show_health(void *ctx, struct http_reply *reply)
{
    (void)ctx;
    http_reply_send(reply, 200, "text/plain; charset=utf-8", str_bytes(STR("ok\n")));
}

static void monitor_exporter_on_signal(void *arg, int signum)
{
    struct exporter *x = arg;

    (void)signum;
    x->over = true;
    if (!x->looking)
        loop_stop(x->loop);
}

/* ---- the start ---- */

/* No configuration but the address. */
static enum code read_nothing(void *ctx, const char *path, struct buf *out, struct err *e)
{
    (void)ctx, (void)path, (void)out, (void)e;
    return OK;
}

static enum code list_nothing(void *ctx, const char *path, bool (*add)(void *add_ctx, struct str name),
                              void *add_ctx, struct err *e)
{
    (void)ctx, (void)path, (void)add, (void)add_ctx, (void)e;
    return OK;
}

static enum code make_settings(const char *address, struct settings **out, struct err *e)
{
    AUTO(arena) struct arena arena = { .blocks = NULL };
    const struct conf_fs fs = { .read = read_nothing, .list = list_nothing };
    struct diags diags;
    struct str override;

    arena_init(&arena, SETTINGS_ARENA_MAX, 4096);
    diags_init(&diags, &arena);
    if (!arena_printf(&arena, &override, "http_listen=%s", address))
        return err_set(e, E_NOMEM, "out of memory");
    const struct settings_params params = {
        .dir = STR("/"), .overrides = &override, .n_overrides = 1, .fs = &fs
    };
    if (settings_load(&params, out, &diags) == OK)
        return OK;
    return err_set(e, E_PARAM, "invalid --listen address: \"%s\"", address);
}

static enum code open_http(struct exporter *x, struct err *e)
{
    static const struct http_route routes[] = {
        { .path = "/metrics", .answer = show_metrics },
        { .path = "/healthz", .open = true, .answer = show_health },
    };
    const struct http_access access = { .tls = NULL };
    struct settings *settings = NULL;

    TRY(make_settings(x->params->address, &settings, e));
    const struct http_params params = { .loop = x->loop,
                                        .env = &x->params->cmd->env,
                                        .settings = settings,
                                        .routes = routes,
                                        .n_routes = COUNT_OF(routes),
                                        .ctx = x };
    enum code code = http_open(&params, &x->http, e);
    settings_unref(settings);
    if (code == OK && !http_set_access(x->http, &access))
        code = err_set(e, E_NOMEM, "out of memory");
    return code;
}

static enum code serve(struct exporter *x, struct err *e)
{
    struct signal_watch *terminate = signal_watch_new(x->loop, SIGTERM, monitor_exporter_on_signal, x);
    struct signal_watch *interrupt = signal_watch_new(x->loop, SIGINT, monitor_exporter_on_signal, x);
    enum code code = x->timer && terminate && interrupt ? OK : err_set(e, E_NOMEM, "out of memory");

    if (code == OK)
        code = open_http(x, e);
    if (code == OK) {
        (void)fprintf(x->params->cmd->err, "pgseal: listening on %s, serving /metrics\n", x->params->address);
        (void)fflush(x->params->cmd->err);
        monitor_exporter_look(x);
        loop_run(x->loop);
    }
    http_close(x->http);
    if (terminate)
        signal_watch_close(terminate);
    if (interrupt)
        signal_watch_close(interrupt);
    return code;
}

enum code exporter_run(const struct exporter_params *params, struct err *e)
{
    struct exporter x = { .params = params, .loop = params->plan->loop, .text = BUF_INIT(METRICS_TEXT_MAX) };

    x.timer = timer_new(x.loop, monitor_exporter_look, &x);
    enum code code = serve(&x, e);
    if (x.timer)
        timer_close(x.timer);
    buf_fini(&x.text);
    return code;
}
