/* pgseal monitor TARGET…: how long does what is deployed remain valid? */
#include "base/buf.h"
#include "base/check.h"
#include "client/conninfo_defaults.h"
#include "cmd/cmd.h"
#include "cmd/monitor_exporter.h"
#include "cmd/monitor_pass.h"
#include "cmd/monitor_report.h"
#include "cmd/number_option.h"
#include "cmd/usage.h"
#include "conf/http_place.h"
#include "net/loop.h"
#include "os/files.h"

#include <stdlib.h>

enum {
    MONITOR_TIMEOUT_S = 5,
    MONITOR_TIMEOUT_MAX_S = 600,
    MONITOR_INTERVAL_S = 60,
    MONITOR_INTERVAL_MAX_S = 86400,
    MONITOR_DAYS_MAX = 36500,
    MONITOR_TEXT_MAX = 64 << 20,
    MONITOR_ARENA_MAX = 1 << 20
};
/* Look-ups wait on the pool for name servers that may be slow: more than the gate's own, for names are many. */
#define MONITOR_POOL "128"

struct monitor_job {
    const struct cmd *cmd;
    struct arena arena;
    struct conn_world world;
    struct expiry_days days;
    struct trust roots, crls;
    struct pass_plan plan;
    uint32_t timeout_s, interval_s;
    struct pass *pass; /* of the one look */
};

/* ---- options ---- */

static int read_days(struct monitor_job *job)
{
    const char *text = cmd_value(job->cmd, OPT_monitor_days);
    struct str rest = str_c(text), warning, critical;

    if (!text)
        return -1;
    if (!str_split(&rest, ',', &warning) || !str_split(&rest, ',', &critical) || rest.n > 0 ||
        !str_to_u32(warning, 0, MONITOR_DAYS_MAX, &job->days.warning) ||
        !str_to_u32(critical, 0, MONITOR_DAYS_MAX, &job->days.critical) ||
        job->days.critical > job->days.warning)
        return cmd_usage(job->cmd,
                         "--days takes two numbers, WARNING,CRITICAL, the second not above the first");
    job->plan.params.days = &job->days;
    return -1;
}

static int read_trust(struct monitor_job *job)
{
    const char *roots = cmd_value(job->cmd, OPT_monitor_rootcert),
               *crl = cmd_value(job->cmd, OPT_monitor_crl);
    struct err e;

    if (roots && str_is(str_c(roots), "system"))
        job->plan.params.system_roots = true;
    else if (roots && trust_load(roots, &job->roots, &e) != OK)
        return cmd_error(job->cmd, &e);
    else if (roots)
        job->plan.params.roots = &job->roots;
    if (crl && trust_load(crl, &job->crls, &e) != OK)
        return cmd_error(job->cmd, &e);
    if (crl)
        job->plan.params.crls = &job->crls.crls;
    return -1;
}

static int monitor_read_options(struct monitor_job *job)
{
    const struct cmd *cmd = job->cmd;
    const char *how = cmd_value(cmd, OPT_monitor_negotiation), *listen = cmd_value(cmd, OPT_monitor_listen);
    struct http_place place;
    struct err e;

    if (cmd->n_args == 0)
        return cmd_usage(cmd, "no target given");
    if (cmd_read_number(cmd, OPT_monitor_timeout, MONITOR_TIMEOUT_MAX_S, &job->timeout_s, &e) != OK ||
        cmd_read_number(cmd, OPT_monitor_interval, MONITOR_INTERVAL_MAX_S, &job->interval_s, &e) != OK)
        return cmd_usage(cmd, "%s", err_text(&e));
    int status = read_days(job);
    if (status >= 0)
        return status;
    if (how && !fetch_how_find(str_c(how), &job->plan.how))
        return cmd_usage(cmd, "--negotiation takes auto, postgres, direct or tls");
    if (cmd_flag(cmd, OPT_monitor_listen) + cmd_flag(cmd, OPT_monitor_textfile) +
            cmd_flag(cmd, OPT_monitor_nagios) + cmd->json >
        1)
        return cmd_usage(cmd, "only one of --json, --nagios, --textfile and --listen can be given");
    if (listen && (!http_place_parse(str_c(listen), &place) || place.kind == HTTP_OFF))
        return cmd_usage(cmd, "--listen takes HOST:PORT or the path of a Unix-domain socket");
    for (size_t i = 0; i < cmd->n_args; i++)
        if (pass_check_target(str_c(cmd->args[i]), &e) != OK)
            return cmd_usage(cmd, "%s", err_text(&e));
    job->plan.texts = cmd->args;
    job->plan.n = cmd->n_args;
    return read_trust(job);
}

/* ---- one look ---- */

static void looked(void *arg, struct pass *pass)
{
    struct monitor_job *job = arg;

    job->pass = pass;
    loop_stop(job->plan.loop);
}

/* Whatever was found is in the file: who writes it for others to read has done his work. */
static int write_textfile(const struct monitor_job *job, const char *path)
{
    AUTO(buf) struct buf text = BUF_INIT(MONITOR_TEXT_MAX);
    struct err e;

    monitor_print_metrics(pass_run(job->pass), &text);
    enum code code = buf_ok(&text) ? os_write_file(path, buf_bytes(&text), 0644, OS_WRITE_REPLACE, &e)
                                   : err_set(&e, E_NOMEM, "out of memory");
    return code == OK ? EXIT_FINE : cmd_error(job->cmd, &e);
}

static int monitor_show(const struct monitor_job *job)
{
    const struct cmd *cmd = job->cmd;
    const struct monitor_run *run = pass_run(job->pass);
    struct err e = { .code = E_NOMEM };
    bool ok = true;

    if (cmd_flag(cmd, OPT_monitor_textfile))
        return write_textfile(job, cmd_value(cmd, OPT_monitor_textfile));
    if (cmd_flag(cmd, OPT_monitor_nagios))
        return cmd_finish(cmd, monitor_nagios(cmd, run));
    if (cmd->json)
        ok = monitor_say_json(cmd, run, &e) == OK;
    else
        ok = monitor_print(cmd, run);
    return ok ? cmd_finish(cmd, monitor_exit(run)) : cmd_error(cmd, &e);
}

static int run(struct monitor_job *job)
{
    const char *listen = cmd_value(job->cmd, OPT_monitor_listen);
    const struct exporter_params exporter = {
        .cmd = job->cmd, .plan = &job->plan, .address = listen, .interval_ms = (int64_t)job->interval_s * 1000
    };
    struct err e = { .code = E_NOMEM };

    if (listen)
        return exporter_run(&exporter, &e) == OK ? EXIT_FINE : cmd_error(job->cmd, &e);
    if (!pass_start(&job->plan, looked, job))
        return cmd_error(job->cmd, &e);
    loop_run(job->plan.loop);
    int status = monitor_show(job);
    pass_free(job->pass);
    return status;
}

int cmd_monitor(struct cmd *cmd)
{
    struct monitor_job job = { .cmd = cmd, .timeout_s = MONITOR_TIMEOUT_S, .interval_s = MONITOR_INTERVAL_S };

    arena_init(&job.arena, MONITOR_ARENA_MAX, 4096);
    int status = monitor_read_options(&job);
    if (status < 0) {
        (void)setenv("UV_THREADPOOL_SIZE", MONITOR_POOL, 0);
        loop_pool_prepare();
        job.plan.env = &cmd->env;
        job.plan.loop = loop_new();
        job.plan.fetcher = job.plan.loop ? fetcher_new(job.plan.loop, (int64_t)job.timeout_s * 1000) : NULL;
        job.plan.params.world = &job.world;
        job.plan.params.inventory = cmd->json;
        status = job.plan.fetcher && conn_world_system(&job.arena, &job.world) == OK
                     ? run(&job)
                     : cmd_error(cmd, &(struct err){ .code = E_NOMEM });
        if (job.plan.loop)
            loop_free(job.plan.loop);
        fetcher_free(job.plan.fetcher);
    }
    trust_fini(&job.roots);
    trust_fini(&job.crls);
    arena_fini(&job.arena);
    return status;
}
