/*
 * pgseal probe HOST[:PORT]…: look at endpoints from outside, many at once.
 *
 * Each thread takes the next endpoint off a shared counter and keeps its report in a slot and an arena of its
 * own; the main thread only waits and draws the progress bar.
 */
#include "base/arena.h"
#include "base/check.h"
#include "client/conninfo_defaults.h"
#include "cmd/certtext.h"
#include "cmd/cmd.h"
#include "cmd/driver_option.h"
#include "cmd/number_option.h"
#include "cmd/probe_report.h"
#include "cmd/usage.h"
#include "probe/target.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    PROBE_JOBS = 16,
    PROBE_JOBS_MAX = 256,
    PROBE_TIMEOUT_MAX_S = 600,
    PROBE_ARENA_FIRST = 16 * 1024,
    PROBE_BAR = 30,
    PROBE_TICK_MS = 100
};
#define PROBE_ARENA_MAX ((size_t)64 << 20)

struct probe_work {
    const struct probe_params *params;
    const struct probe_target *targets;
    struct probe_result *results;
    struct arena *arenas; /* one per endpoint: reports outlive the threads */
    size_t n;
    atomic_size_t next, finished;
};

static void *probe_thread(void *arg)
{
    struct probe_work *work = arg;
    struct probe_kit kit;
    bool ready = probe_kit_init(&kit) == OK;

    for (size_t i = atomic_fetch_add(&work->next, 1); i < work->n; i = atomic_fetch_add(&work->next, 1)) {
        struct probe_result *result = &work->results[i];
        result->code = ready ? probe_endpoint(work->params, &kit, &work->targets[i], &work->arenas[i],
                                              &result->report, &result->err)
                             : err_set(&result->err, E_NOMEM, "out of memory");
        atomic_fetch_add(&work->finished, 1);
    }
    if (ready)
        probe_kit_fini(&kit);
    return NULL;
}

static void draw_bar(const struct cmd *cmd, size_t done, size_t all)
{
    int filled = (int)(done * PROBE_BAR / all);

    (void)fprintf(cmd->err, "\r[%.*s%*s] %zu/%zu", filled, "##############################",
                  PROBE_BAR - filled, "", done, all);
    if (done == all)
        (void)fprintf(cmd->err, "\r\033[K");
    (void)fflush(cmd->err);
}

/* A bar is worth its ink only where somebody watches and there is something to wait for. */
static void wait_with_bar(const struct cmd *cmd, struct probe_work *work)
{
    if (work->n < 2 || !isatty(fileno(cmd->err)))
        return;
    for (size_t done = 0; done < work->n; (void)usleep(PROBE_TICK_MS * 1000)) {
        done = atomic_load(&work->finished);
        draw_bar(cmd, done, work->n);
    }
}

static enum code run_all(const struct cmd *cmd, struct probe_work *work, size_t jobs)
{
    pthread_t threads[PROBE_JOBS_MAX];
    size_t n = 0;

    while (n < jobs && n < work->n && pthread_create(&threads[n], NULL, probe_thread, work) == 0)
        n++;
    if (n == 0)
        return E_NOMEM;
    wait_with_bar(cmd, work);
    while (n > 0)
        (void)pthread_join(threads[--n], NULL);
    return OK;
}

static int probe_show(const struct cmd *cmd, const struct probe_work *work)
{
    struct err e = { 0 };

    if (cmd_flag(cmd, OPT_probe_nagios))
        return cmd_finish(cmd, probe_nagios(cmd, work->results, work->n));
    if (cmd->json) {
        if (json_print(cmd->out, probe_json(work->results, work->n, env_now_s(&cmd->env)), &e) != OK)
            return cmd_error(cmd, &e);
    }
    for (size_t i = 0; i < work->n; i++) {
        if (work->results[i].code != OK)
            (void)cmd_error(cmd, &work->results[i].err);
        else if (!cmd->json)
            probe_print(cmd, &work->results[i].report);
        if (!cmd->json && i + 1 < work->n)
            (void)fputc('\n', cmd->out);
    }
    return cmd_finish(cmd, probe_status(work->results, work->n));
}

static void probe_read_options(const struct cmd *cmd, struct conn_options *out)
{
    static const struct {
        enum cmd_opt from;
        enum conn_option to;
    } map[] = {
        { OPT_probe_rootcert, CONN_SSLROOTCERT },
        { OPT_probe_crl, CONN_SSLCRL },
        { OPT_probe_cert, CONN_SSLCERT },
        { OPT_probe_key, CONN_SSLKEY },
        { OPT_probe_user, CONN_USER },
        { OPT_probe_dbname, CONN_DBNAME },
        { OPT_probe_address, CONN_HOSTADDR },
    };

    *out = (struct conn_options){ 0 };
    for (size_t i = 0; i < COUNT_OF(map); i++) {
        const char *value = cmd_value(cmd, map[i].from);
        if (value)
            out->v[map[i].to] = str_c(value);
    }
}

/* Slots for `n` endpoints in `arena`. */
static enum code make_work(const struct cmd *cmd, enum pasted_driver driver, struct arena *arena,
                           struct probe_work *work, struct err *e)
{
    struct probe_target *targets = arena_array(arena, cmd->n_args, sizeof *targets);

    work->n = cmd->n_args;
    work->results = arena_array(arena, work->n, sizeof *work->results);
    work->arenas = arena_array(arena, work->n, sizeof *work->arenas);
    if (!targets || !work->results || !work->arenas)
        return err_set(e, E_NOMEM, "out of memory");
    for (size_t i = 0; i < work->n; i++) {
        TRY(probe_target_parse_for(str_c(cmd->args[i]), driver, arena, &targets[i], e));
        arena_init(&work->arenas[i], PROBE_ARENA_MAX, PROBE_ARENA_FIRST);
    }
    work->targets = targets;
    return OK;
}

int cmd_probe(struct cmd *cmd)
{
    AUTO(arena) struct arena arena;
    struct conn_world world;
    struct err e = { 0 };
    uint32_t jobs = PROBE_JOBS, timeout_s = PROBE_TIMEOUT_S;
    struct probe_params params = { .world = &world, .env = &cmd->env };
    struct probe_work work = { .params = &params };
    enum pasted_driver driver = PASTED_LIBPQ;

    arena_init(&arena, PROBE_ARENA_MAX, PROBE_ARENA_FIRST);
    if (cmd_read_number(cmd, OPT_probe_jobs, PROBE_JOBS_MAX, &jobs, &e) != OK ||
        cmd_read_number(cmd, OPT_probe_timeout, PROBE_TIMEOUT_MAX_S, &timeout_s, &e) != OK)
        return cmd_usage(cmd, "%s", err_text(&e));
    int status = cmd_read_driver(cmd, OPT_probe_driver, &driver);
    if (status >= 0)
        return status;
    if (cmd->n_args == 0)
        return cmd_usage(cmd, "no HOST[:PORT] given");
    if (conn_world_system(&arena, &world) != OK)
        return cmd_error(cmd, &(struct err){ .code = E_NOMEM });
    params.timeout_s = timeout_s;
    params.send_password = cmd_flag(cmd, OPT_probe_send_password);
    params.quick = cmd_flag(cmd, OPT_probe_quick);
    probe_read_options(cmd, &params.options);
    enum code code = make_work(cmd, driver, &arena, &work, &e);
    if (code == E_PARAM)
        return cmd_usage(cmd, "%s", err_text(&e));
    if (code == OK)
        code = run_all(cmd, &work, jobs);
    status = code == OK ? probe_show(cmd, &work) : cmd_error(cmd, &e);
    for (size_t i = 0; i < work.n && work.arenas; i++)
        arena_fini(&work.arenas[i]);
    return status;
}
