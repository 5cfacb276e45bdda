/*
 * Files first, on a thread of the pool: they say which endpoints there are to ask. Then all of these at once; each
 * answer is judged as it comes, and nobody waits for anybody but the end of the look.
 */
#include "cmd/monitor_pass.h"

#include "base/check.h"
#include "client/pasted.h"
#include "monitor/ask.h"
#include "monitor/directory.h"
#include "net/loop.h"
#include "os/files.h"
#include "probe/target.h"

#include <stdlib.h>

struct pass {
    const struct pass_plan *plan;
    pass_fn *fn;
    void *arg;
    struct monitor_params params;
    struct monitor_target *targets;
    struct pass_ask *asks;
    size_t n_asks;
    size_t waiting; /* for so many answers */
    int64_t began_us;
    struct monitor_run run;
};

struct pass_ask {
    struct pass *pass;
    struct monitor_target *target;
    struct monitor_ask *ask;
};

/* A word with a slash names a file, also one that is not there; a connection string may have slashes, too. */
static bool is_path(struct str text)
{
    char path[OS_PATH_MAX];

    if (str_to_c(text, path, sizeof path) && os_exists(path))
        return true;
    return str_find(text, '/') < text.n && str_find(text, '=') == text.n && !pasted_recognized(text);
}

enum code pass_check_target(struct str text, struct err *e)
{
    AUTO(arena) struct arena arena = { .blocks = NULL };
    struct probe_target endpoint;

    arena_init(&arena, 1 << 20, 4096);
    if (is_path(text))
        return OK;
    TRY(probe_target_parse(text, &arena, &endpoint, e));
    if (endpoint.options.v[CONN_HOST].n == 0 && endpoint.options.v[CONN_HOSTADDR].n == 0)
        return err_set(e, E_PARAM, "an endpoint needs a host: \"%.*s\"", STR_ARG(endpoint.text));
    return OK;
}

/* A connection string is shown without what it may hold of secrets. */
static enum code add_endpoint(struct monitor_target *target, struct err *e)
{
    struct probe_target endpoint;
    uint32_t port = 5432;

    TRY(probe_target_parse(target->text, &target->arena, &endpoint, e));
    const struct str *v = endpoint.options.v;
    target->text = endpoint.text;
    if (v[CONN_PORT].n > 0 && !str_to_u32(v[CONN_PORT], 1, 65535, &port))
        return err_set(e, E_PARAM, "invalid port number");
    TRY(monitor_ask_endpoint(target, v[CONN_HOST], v[CONN_HOSTADDR], port, e));
    STAILQ_FIRST(&target->asks)->direct = str_is(v[CONN_SSLNEGOTIATION], "direct");
    return OK;
}

static void read_target(struct monitor_target *target)
{
    struct err e, ignored;
    char path[OS_PATH_MAX];
    enum code code = OK;

    if (!is_path(target->text))
        code = add_endpoint(target, &e);
    else if (str_to_c(target->text, path, sizeof path))
        code = monitor_add_path(target, path, &e);
    if (code != OK)
        (void)!monitor_add_fault(target, "target", target->text, MONITOR_UNKNOWN, err_text(&e), &ignored);
}

/* ---- on the pool ---- */

static void monitor_pass_read_all(void *arg)
{
    struct pass *pass = arg;

    for (size_t i = 0; i < pass->plan->n; i++)
        read_target(&pass->targets[i]);
}

/* ---- on the loop ---- */

static void end(struct pass *pass)
{
    struct err e, ignored;

    for (size_t i = 0; i < pass->plan->n; i++) {
        struct monitor_target *target = &pass->targets[i];
        if (monitor_target_finish(target, &e) != OK)
            (void)!monitor_add_fault(target, "target", target->text, MONITOR_UNKNOWN, err_text(&e), &ignored);
    }
    pass->run.ended_s = env_now_s(pass->plan->env);
    pass->run.duration_s = (double)(env_mono_us(pass->plan->env) - pass->began_us) / 1e6;
    pass->fn(pass->arg, pass);
}

static void on_answer(void *arg, const struct fetch_result *result)
{
    const struct pass_ask *asked = arg;
    struct pass *pass = asked->pass;
    const struct monitor_answer answer = {
        .tls = result->tls,
        .refused = result->refused,
        .without_tls = result->without_tls,
        .how = fetch_how_name(result->how),
        .chain = &result->chain,
        .why = result->err ? err_text(result->err) : "",
    };
    struct err e, ignored;

    if (monitor_ask_answer(asked->target, asked->ask, &answer, &e) != OK)
        (void)!monitor_add_fault(asked->target, "target", asked->ask->label, MONITOR_UNKNOWN, err_text(&e),
                                 &ignored);
    if (--pass->waiting == 0)
        end(pass);
}

static void ask(struct pass_ask *asked)
{
    static const struct err no_memory = { .code = E_NOMEM };
    const struct monitor_ask *what = asked->ask;
    CHECK(what);
    const struct fetch_result lost = { .err = &no_memory };
    enum fetch_how how = what->kind == ASK_ENDPOINT ? asked->pass->plan->how : FETCH_POSTGRES;
    const struct fetch_request request = { .host = what->host,
                                           .hostaddr = what->hostaddr,
                                           .sni = what->sni,
                                           .nameless = what->nameless,
                                           .visit = what->visit,
                                           .port = what->port,
                                           .how = what->plain_tls ? FETCH_TLS
                                                  : what->direct  ? FETCH_DIRECT
                                                                  : how,
                                           .fn = on_answer,
                                           .arg = asked };

    if (!fetch_start(asked->pass->plan->fetcher, &request))
        on_answer(asked, &lost);
}

static void ask_all(void *arg)
{
    struct pass *pass = arg;
    struct monitor_ask *what;
    size_t n = 0;

    for (size_t i = 0; i < pass->plan->n; i++)
        n += pass->targets[i].n_asks;
    pass->asks = n ? calloc(n, sizeof *pass->asks) : NULL;
    if (!pass->asks) {
        end(pass); /* targets without rows are unknown */
        return;
    }
    for (size_t i = 0; i < pass->plan->n; i++) {
        STAILQ_FOREACH (what, &pass->targets[i].asks, next) {
            pass->asks[pass->n_asks++] = (struct pass_ask){ pass, &pass->targets[i], what };
        }
    }
    pass->waiting = n + 1; /* not over before all have been asked */
    for (size_t i = 0; i < n; i++)
        ask(&pass->asks[i]);
    if (--pass->waiting == 0)
        end(pass);
}

bool pass_start(const struct pass_plan *plan, pass_fn *fn, void *arg)
{
    struct pass *pass = calloc(1, sizeof *pass);

    if (!pass)
        return false;
    pass->plan = plan;
    pass->fn = fn;
    pass->arg = arg;
    pass->params = plan->params;
    pass->params.now_s = env_now_s(plan->env);
    pass->began_us = env_mono_us(plan->env);
    pass->targets = calloc(plan->n, sizeof *pass->targets);
    if (!pass->targets) {
        pass_free(pass);
        return false;
    }
    for (size_t i = 0; i < plan->n; i++)
        monitor_target_init(&pass->targets[i], &pass->params, str_c(plan->texts[i]));
    pass->run = (struct monitor_run){ .targets = pass->targets, .n = plan->n };
    if (loop_job(plan->loop, monitor_pass_read_all, ask_all, pass))
        return true;
    pass_free(pass);
    return false;
}

const struct monitor_run *pass_run(const struct pass *pass)
{
    return &pass->run;
}

void pass_free(struct pass *pass)
{
    if (!pass)
        return;
    for (size_t i = 0; pass->targets && i < pass->plan->n; i++)
        monitor_target_fini(&pass->targets[i]);
    free(pass->targets);
    free(pass->asks);
    free(pass);
}
