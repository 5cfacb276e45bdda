/* pgseal cert: one function per verb. */
#include "base/arena.h"
#include "base/check.h"
#include "cmd/cert_cmd.h"

enum { CERT_ARENA_LIMIT = 1 << 28, CERT_ARENA_FIRST = 4096 };

enum code cert_job_ca(struct cert_job *job, struct err *e)
{
    const struct cmd *cmd = job->cmd;

    TRY(ca_place_find(cmd_value(cmd, OPT_cert_directory), cmd_value(cmd, OPT_cert_ca), &job->place, e));
    job->place.passphrase.file = cmd_value(cmd, OPT_cert_ca_passphrase_file);
    job->place.passphrase.command = cmd_value(cmd, OPT_cert_ca_passphrase_command);
    return passphrase_check(&job->place.passphrase, e);
}

enum code cert_job_crl_days(const struct cert_job *job, unsigned *out, struct err *e)
{
    const char *days = cmd_value(job->cmd, OPT_cert_crl_days);

    *out = CA_CRL_DAYS_DEFAULT;
    if (days && !str_to_u32(str_c(days), 1, CA_DAYS_MAX, out))
        return err_set(e, E_USAGE, "--crl-days takes a number within 1 and %d", CA_DAYS_MAX);
    return OK;
}

bool cert_is_path(const char *argument)
{
    struct str s = str_c(argument);

    return str_find(s, '/') < s.n || str_ends(s, STR(".crt")) || str_ends(s, STR(".pem"));
}

/* How many arguments a verb takes. */
static bool arguments_fit(const struct cmd *cmd)
{
    if (cmd->verb == VERB_cert_list)
        return cmd->n_args == 0;
    return cmd->verb == VERB_cert_show ? cmd->n_args > 0 : cmd->n_args == 1;
}

static enum code run(struct cert_job *job, int *status, struct err *e)
{
    enum cmd_verb verb = job->cmd->verb;

    if (verb == VERB_cert_issue)
        return cert_issue(job, e);
    if (verb == VERB_cert_renew)
        return cert_renew(job, e);
    if (verb == VERB_cert_revoke)
        return cert_revoke(job, e);
    if (verb == VERB_cert_show)
        return cert_show(job, e);
    if (verb == VERB_cert_verify)
        return cert_verify(job, status, e);
    return cert_list_issued(job, e);
}

int cmd_cert(struct cmd *cmd)
{
    AUTO(arena) struct arena arena = { .blocks = NULL };
    struct cert_job *job;
    struct err e;
    int status = EXIT_FINE;

    if (!arguments_fit(cmd))
        return cmd_usage(cmd, cmd->n_args ? "too many arguments" : "an argument is missing");
    arena_init(&arena, CERT_ARENA_LIMIT, CERT_ARENA_FIRST);
    job = ARENA_NEW(&arena, struct cert_job);
    if (!job)
        return cmd_error(cmd, &(struct err){ .code = E_NOMEM });
    job->cmd = cmd;
    job->arena = &arena;
    return run(job, &status, &e) == OK ? status : cmd_error(cmd, &e);
}
