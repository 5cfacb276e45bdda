/*
 * pgseal init: a gate's directory that is safe from the first start.
 *
 * Everything is decided before anything is written (init_plan), and nothing that exists is ever replaced, so
 * a second run with --force completes what a first one left out.
 */
#include "cmd/init.h"

#include "base/arena.h"
#include "base/check.h"
#include "cmd/gate_dir.h"
#include "cmd/init_make.h"
#include "cmd/init_notes.h"
#include "cmd/init_report.h"
#include "cmd/init_upstream.h"
#include "cmd/usage.h"
#include "os/owner.h"
#include "pki/leaf.h"

#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    INIT_ARENA_LIMIT = 1 << 24,
    INIT_ARENA_FIRST = 4096,
    PORT_DEFAULT = 6432,           /* beside a PostgreSQL on the same machine, which has 5432 */
    PORT_COMPANION_DEFAULT = 5432, /* where the application expects its server */
    HOST_TEXT_MAX = 256
};

static enum code init_nomem(struct err *e)
{
    return err_set(e, E_NOMEM, "out of memory");
}

/* Without --host: this machine's name and the ways to call it locally. */
static size_t default_hosts(char machine[HOST_TEXT_MAX], const char *out[4])
{
    size_t n = 0;

    if (gethostname(machine, HOST_TEXT_MAX) == 0) {
        machine[HOST_TEXT_MAX - 1] = '\0';
        if (machine[0] && !str_is(str_c(machine), "localhost"))
            out[n++] = machine;
    }
    out[n++] = "localhost";
    out[n++] = "127.0.0.1";
    out[n++] = "::1";
    return n;
}

static enum code plan_hosts(struct init_plan *plan, const struct cmd *cmd, struct err *e)
{
    char machine[HOST_TEXT_MAX];
    const char *usual[4];
    size_t n = 0;

    while (cmd_value_at(cmd, OPT_init_host, n))
        n++;
    bool given = n > 0;
    if (!given)
        n = default_hosts(machine, usual);
    if (n > CA_LIST_MAX)
        return err_set(e, E_USAGE, "more than %d names", CA_LIST_MAX);
    plan->sans = arena_array(plan->arena, n, sizeof *plan->sans);
    if (!plan->sans)
        return init_nomem(e);
    for (size_t i = 0; i < n; i++) {
        const char *host = given ? cmd_value_at(cmd, OPT_init_host, i) : usual[i];
        /* A machine's own name may be one that no certificate can carry. */
        enum code code = san_parse(str_c(host), plan->arena, &plan->sans[plan->n_sans], e);
        if (code != OK && (given || code == E_NOMEM))
            return code;
        if (code != OK)
            continue;
        if (plan->n_sans++ == 0)
            plan->host = arena_c(plan->arena, str_c(host));
    }
    if (!plan->host)
        return init_nomem(e);
    plan->listen = given ? "*" : "localhost";
    return OK;
}

static enum code number(const struct cmd *cmd, enum cmd_opt opt, uint32_t max, unsigned *value, struct err *e)
{
    const char *text = cmd_value(cmd, opt);
    uint32_t v;

    if (!text)
        return OK;
    if (!str_to_u32(str_c(text), 1, max, &v))
        return err_set(e, E_USAGE, "\"%s\" is not a number from 1 to %u", text, max);
    *value = v;
    return OK;
}

static enum code plan_options(struct init_plan *plan, const struct cmd *cmd, struct err *e)
{
    plan->companion = cmd_flag(cmd, OPT_init_companion);
    plan->port = plan->companion ? PORT_COMPANION_DEFAULT : PORT_DEFAULT;
    plan->days = CA_LEAF_DAYS_DEFAULT;
    TRY(plan_hosts(plan, cmd, e));
    TRY(number(cmd, OPT_init_port, 65535, &plan->port, e));
    TRY(number(cmd, OPT_init_days, CA_DAYS_MAX, &plan->days, e));
    if (plan->companion &&
        (cmd_value(cmd, OPT_init_host) || cmd_value(cmd, OPT_init_user) || cmd_value(cmd, OPT_init_days)))
        return err_set(e, E_USAGE,
                       "a companion gate has no certificates: --host, --user and --days cannot be used with "
                       "--companion");
    if (plan->companion)
        plan->listen = "";
    if (cmd_value(cmd, OPT_init_listen))
        plan->listen = cmd_value(cmd, OPT_init_listen);
    plan->user = cmd_value(cmd, OPT_init_user);
    plan->ca_passphrase = (struct passphrase_source){ .file = cmd_value(cmd, OPT_init_ca_passphrase_file),
                                                      .command = cmd_value(cmd,
                                                                           OPT_init_ca_passphrase_command),
                                                      .ask = cmd_flag(cmd, OPT_init_ca_passphrase),
                                                      .what = "the CA's key" };
    TRY(passphrase_check(&plan->ca_passphrase, e));
    return plan->user ? leaf_file_name(plan->user, plan->arena, &plan->user_file, e) : OK;
}

/* Make the directory if need be; its absolute name goes into the plan. */
static enum code plan_dir(struct init_plan *plan, const char *dir, bool force, struct err *e)
{
    bool empty = false;

    TRY(os_dir_empty(dir, &empty, e));
    if (!empty && !force) {
        (void)err_set(e, E_EXISTS, "directory \"%s\" exists but is not empty", dir);
        err_hint(e, "With --force, missing files are added; existing files are never replaced.");
        return E_EXISTS;
    }
    /* 0711: what is public (the CA's certificate, the socket) can be reached, nothing can be listed. */
    TRY(os_mkdir(dir, 0711, e));
    return os_real_path(dir, "resolve", plan->dir, e);
}

/* Where files were there before, they are right, not this run's options. */
static void correct(struct init_plan *plan)
{
    struct gate_facts facts = gate_facts_read(plan->dir, plan->arena);

    if (facts.host)
        plan->host = facts.host;
    if (facts.listen)
        plan->listen = facts.listen;
    if (facts.port)
        plan->port = facts.port;
}

static enum code init_run(const struct cmd *cmd, struct init_plan *plan, struct err *e)
{
    TRY(plan_options(plan, cmd, e));
    TRY(plan_dir(plan, cmd->args[0], cmd_flag(cmd, OPT_init_force), e));
    TRY(init_plan_upstream(plan, cmd_value(cmd, OPT_init_upstream), e));
    TRY(init_make(plan, e));
    TRY(init_plan_server(plan, e));
    TRY(init_plan_notes(plan, e));
    correct(plan);
    return init_report(cmd, plan, e);
}

int cmd_init(struct cmd *cmd)
{
    AUTO(arena) struct arena arena = { .blocks = NULL };
    AUTO(os_owner) struct os_owner as = { 0 };
    struct err e;

    if (cmd->n_args != 1)
        return cmd_usage(cmd, cmd->n_args ? "more than one directory given" : "no directory given");
    struct init_plan *plan = calloc(1, sizeof *plan);
    if (!plan)
        return cmd_error(cmd, &(struct err){ .code = E_NOMEM });
    arena_init(&arena, INIT_ARENA_LIMIT, INIT_ARENA_FIRST);
    plan->arena = &arena;
    plan->env = &cmd->env;
    enum code code = os_owner_enter(cmd->args[0], &as, &e);
    if (code == OK)
        code = init_run(cmd, plan, &e);
    int status = code == OK ? EXIT_FINE : cmd_error(cmd, &e);
    free(plan);
    return status;
}
