/* `pgseal rotate`: certificates that renew themselves. */
#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "cmd/ca_where.h"
#include "cmd/cmd.h"
#include "cmd/rotate_report.h"
#include "cmd/usage.h"
#include "os/owner.h"

enum { ROTATE_ARENA_MAX = 64 << 20, ROTATE_ARENA_FIRST = 16 * 1024, METRICS_LIMIT = 1 << 20 };

/* One invocation over all its targets. */
struct run {
    struct cmd *cmd;
    json_t *all;                   /* NULL without --json */
    struct rotate_metrics metrics; /* for --textfile */
    bool busy;                     /* another run is at work on a target, and will tell of it */
    int status;
};

static void worsen(struct run *run, int status)
{
    if (run->status == EXIT_FINE || status > run->status)
        run->status = status;
}

/* A gate's list is where its settings say; a PostgreSQL is given none. */
static enum code publish_crl(void *ctx, const struct renew_target *target, const char *ca_dir, struct ca *ca,
                             struct err *e)
{
    AUTO(os_owner) struct os_owner as = { 0 };
    struct ca_place place;

    (void)ctx;
    TRY(ca_place_find(target->is_gate ? target->dir : NULL, ca_dir, &place, e));
    return ca_place_write_crl(&place, ca, CA_CRL_DAYS_DEFAULT, &as, e);
}

/* ---- one target ---- */

static enum code load_conf(const struct renew_target *target, struct arena *arena, struct renew_conf *out,
                           struct diags *diags)
{
    *out = (struct renew_conf){ .n = 0 };
    enum code code = renew_conf_load(NULL, target->conf, arena, out, diags);
    return code == E_NO_FILE ? OK : code;
}

static size_t wanted_pairs(const struct cmd *cmd, struct str *out, size_t max)
{
    const char *name;
    size_t n = 0;

    while (n < max && (name = cmd_value_at(cmd, OPT_rotate_pair, n)))
        out[n++] = str_c(name);
    return n;
}

static void rotate_tell(struct run *run, const char *target, const struct renew_report *reports, size_t n)
{
    rotate_metrics_add(&run->metrics, target, reports, n, env_now_s(&run->cmd->env));
    if (run->all) {
        json_t *array = rotate_json(target, reports, n);
        (void)json_array_extend(run->all, array);
        json_decref(array);
    } else {
        rotate_print(run->cmd, target, reports, n);
    }
    for (size_t i = 0; i < n; i++)
        if (!renew_outcome_ok(reports[i].outcome))
            worsen(run, EXIT_FINDING);
}

/* Where the target is: looked for as the owner of what was named, which may not be the owner of the data. */
static enum code find_dir(const char *path, struct arena *arena, char out[OS_PATH_MAX], struct err *e)
{
    AUTO(os_owner) struct os_owner as = { 0 };

    TRY(os_owner_enter(path, &as, e));
    return renew_target_find(path, arena, out, e);
}

static void rotate_target(struct run *run, const char *named)
{
    AUTO(os_owner) struct os_owner as = { 0 };
    AUTO(arena) struct arena arena = { .blocks = NULL };
    AUTO(renew_target) struct renew_target target = { 0 };
    const struct renew_hooks hooks = { .publish_crl = publish_crl };
    char dir[OS_PATH_MAX];
    struct renew_where where = { dir, cmd_value(run->cmd, OPT_rotate_state),
                                 cmd_flag(run->cmd, OPT_rotate_dry_run) };
    struct renew_report *reports = NULL;
    struct str only[RENEW_RULES_MAX];
    struct renew_conf conf;
    struct diags diags;
    struct err e = { 0 };
    size_t n = 0;

    arena_init(&arena, ROTATE_ARENA_MAX, ROTATE_ARENA_FIRST);
    diags_init(&diags, &arena);
    enum code code = find_dir(named, &arena, dir, &e);
    if (code == OK)
        code = os_owner_enter(dir, &as, &e);
    if (code == OK)
        code = renew_target_open(&where, &arena, &target, &e);
    if (code == OK && load_conf(&target, &arena, &conf, &diags) != OK) {
        (void)cmd_diags(run->cmd, &diags);
        worsen(run, EXIT_FINDING);
        rotate_metrics_add_unread(&run->metrics, named, env_now_s(&run->cmd->env));
        return;
    }
    struct renew_params params = { .target = &target,
                                   .conf = &conf,
                                   .hooks = &hooks,
                                   .env = &run->cmd->env,
                                   .only = only,
                                   .n_only = wanted_pairs(run->cmd, only, COUNT_OF(only)),
                                   .clients = cmd_flag(run->cmd, OPT_rotate_clients),
                                   .force = cmd_flag(run->cmd, OPT_rotate_force),
                                   .dry_run = where.look };
    if (code == OK)
        code = renew_all(&params, &arena, &reports, &n, &e);
    run->busy = run->busy || code == E_EXISTS;
    if (code == OK) {
        rotate_tell(run, named, reports, n);
        return;
    }
    worsen(run, cmd_error(run->cmd, &e));
    rotate_metrics_add_unread(&run->metrics, named, env_now_s(&run->cmd->env));
}

/* ---- the command ---- */

static enum code write_metrics(struct run *run, const char *path, struct err *e)
{
    AUTO(buf) struct buf text = BUF_INIT(METRICS_LIMIT);

    TRY(rotate_metrics_text(&run->metrics, &text, e));
    return os_write_file(path, buf_bytes(&text), 0644, OS_WRITE_REPLACE, e);
}

int cmd_rotate(struct cmd *cmd)
{
    const char *dir = cmd_value(cmd, OPT_rotate_directory), *textfile = cmd_value(cmd, OPT_rotate_textfile);
    struct run run = { .cmd = cmd };
    struct err e = { 0 };

    if (!dir && cmd->n_args == 0)
        return cmd_usage(cmd, "no target given: use -D DIR");
    if (cmd_value(cmd, OPT_rotate_state) && (dir != NULL) + cmd->n_args > 1)
        return cmd_usage(cmd, "--state can be used with one target only");
    rotate_metrics_init(&run.metrics);
    run.all = cmd->json ? json_array() : NULL;
    if (dir)
        rotate_target(&run, dir);
    for (size_t i = 0; i < cmd->n_args; i++)
        rotate_target(&run, cmd->args[i]);
    if (run.all) {
        (void)json_dumpf(run.all, cmd->out, JSON_INDENT(2));
        (void)fputc('\n', cmd->out);
        json_decref(run.all);
    }
    if (textfile && !run.busy && write_metrics(&run, textfile, &e) != OK)
        worsen(&run, cmd_error(cmd, &e));
    rotate_metrics_fini(&run.metrics);
    return run.status;
}
