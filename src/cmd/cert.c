/* pgseal cert: one function per verb. */
#include "base/arena.h"
#include "base/check.h"
#include "cmd/cert_issue.h"
#include "cmd/cert_job.h"
#include "cmd/cert_revoke.h"
#include "cmd/cert_show.h"
#include "cmd/cert_sign.h"
#include "cmd/cert_verify.h"
#include "cmd/usage.h"

enum { CERT_ARENA_LIMIT = 1 << 28, CERT_ARENA_FIRST = 4096 };

/* How many arguments a verb takes. */
static bool arguments_fit(const struct cmd *cmd)
{
    if (cmd->verb == VERB_cert_list)
        return cmd->n_args == 0;
    if (cmd->verb == VERB_cert_sign)
        return cmd->n_args == 1 || cmd->n_args == 2;
    return cmd->verb == VERB_cert_show ? cmd->n_args > 0 : cmd->n_args == 1;
}

static enum code cert_run(struct cert_job *job, int *status, struct err *e)
{
    enum cmd_verb verb = job->cmd->verb;

    if (verb == VERB_cert_issue)
        return cert_issue(job, e);
    if (verb == VERB_cert_sign)
        return cert_sign(job, e);
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
    return cert_run(job, &status, &e) == OK ? status : cmd_error(cmd, &e);
}
