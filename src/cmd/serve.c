/* `pgseal serve`: run the gate in the foreground. */
#include "base/arena.h"
#include "base/check.h"
#include "base/log.h"
#include "cmd/auditor.h"
#include "cmd/cmd.h"
#include "cmd/serve_http.h"
#include "cmd/usage.h"
#include "gate/gate.h"
#include "os/family.h"
#include "os/notify.h"
#include "os/owner.h"

#include <limits.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum { OVERRIDES_MAX = 256, ARGUMENTS_MAX = 2 * OVERRIDES_MAX + 8, CHECK_ARENA_MAX = 16 * 1024 * 1024 };

/* Keys and passwords never reach a core file (main.c), descriptors are as many as allowed. */
static void harden_process(void)
{
    const struct rlimit none = { 0, 0 };
    struct rlimit files;

    (void)setrlimit(RLIMIT_CORE, &none);
    (void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    (void)umask(077);
}

static int check(struct cmd *cmd, const struct gate_params *params)
{
    AUTO(arena) struct arena arena;
    struct diags diags;

    arena_init(&arena, CHECK_ARENA_MAX, 1024);
    diags_init(&diags, &arena);
    enum code code = gate_check(params, &diags);
    int status = cmd_diags(cmd, &diags);
    if (status == EXIT_FINE && code != OK)
        status = code_exit(code);
    if (status != EXIT_FINE && code != E_NOMEM) /* the question has its answer: it would not start */
        status = EXIT_FINDING;
    if (status == EXIT_FINE)
        (void)fprintf(cmd->out, "%s: all files load, and the gate can start%s\n", params->dir,
                      params->login ? "; its servers answer" : "");
    return cmd_finish(cmd, status);
}

/* What a program of this family is started with: `pgseal serve -D DIR`, the settings of -c, perhaps --check. */
static void arguments_of(const struct gate_params *params, bool check_only, const char *out[ARGUMENTS_MAX])
{
    size_t n = 0;

    out[n++] = "pgseal";
    out[n++] = "serve";
    out[n++] = "-D";
    out[n++] = params->dir;
    for (size_t i = 0; i < params->n_overrides; i++) {
        out[n++] = "-c";
        out[n++] = params->overrides[i].p; /* of argv: it ends in a NUL */
    }
    if (check_only)
        out[n++] = "--check";
    out[n] = NULL;
}

/* The process that was started becomes the parent; the gate is its child. */
static int serve_run(struct cmd *cmd, struct gate_params *params)
{
    static const char *const clerk[] = { "pgseal", "clerk", NULL };
    static const char *serve_arguments[ARGUMENTS_MAX], *check_arguments[ARGUMENTS_MAX];
    const struct family_params family = {
        .clerk = clerk, .serve = serve_arguments, .check = check_arguments, .env = params->env
    };
    int status = EXIT_FINE;
    struct err e;

    arguments_of(params, false, serve_arguments);
    arguments_of(params, true, check_arguments);
    if (family_run(&family, &params->ties, &status, &e) != OK)
        return cmd_error(cmd, &e);
    if (params->ties.line < 0)
        return status;
    status = code_exit(gate_run(params));
    (void)close(params->ties.line);
    return status;
}

int cmd_serve(struct cmd *cmd)
{
    const char *dir = cmd_value(cmd, OPT_serve_directory);
    struct str overrides[OVERRIDES_MAX];
    size_t n = 0;

    if (!dir)
        return cmd_usage(cmd, "no directory given: use -D DIR");
    if (cmd_flag(cmd, OPT_serve_login) && !cmd_flag(cmd, OPT_serve_check))
        return cmd_usage(cmd, "--login requires --check");
    if (cmd->n_args > 0)
        return cmd_usage(cmd, "too many arguments (first is \"%s\")", cmd->args[0]);
    for (const char *value; (value = cmd_value_at(cmd, OPT_serve_set, n)) != NULL; n++) {
        if (n == OVERRIDES_MAX)
            return cmd_usage(cmd, "more than %d settings given", OVERRIDES_MAX);
        overrides[n] = str_c(value);
    }
    char *absolute = realpath(dir, NULL);
    if (!absolute) {
        struct err e;
        err_set(&e, E_NO_FILE, "could not access directory \"%s\": %m", dir);
        return cmd_error(cmd, &e);
    }
    struct log log = { .fd = STDERR_FILENO,
                       .min_severity = SEV_WARNING,
                       .levels = os_is_journal(STDERR_FILENO) };
    struct env env = cmd->env;
    env.log = &log;
    struct gate_params params = {
        .dir = absolute,
        .overrides = overrides,
        .n_overrides = n,
        .env = &env,
        .http = &serve_http,
        .login = cmd_flag(cmd, OPT_serve_login),
        .auditor = audit_snapshot,
        .ties = { -1, -1, -1 },
    };
    int status;
    if (cmd_flag(cmd, OPT_serve_check)) {
        /* Root asks for the account that the gate will run under. For good: the settings name programs. */
        struct err e;
        status = os_owner_become(absolute, &e) == OK ? check(cmd, &params) : cmd_error(cmd, &e);
    } else {
        harden_process();
        status = serve_run(cmd, &params);
    }
    free(absolute);
    return status;
}
