/* Which CA a verb of `pgseal cert` works with. */
#include "cmd/cert_job.h"

#include "cmd/number_option.h"

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
    *out = CA_CRL_DAYS_DEFAULT;
    return cmd_read_number(job->cmd, OPT_cert_crl_days, CA_DAYS_MAX, out, e);
}

bool cert_is_path(const char *argument)
{
    struct str s = str_c(argument);

    return str_find(s, '/') < s.n || str_ends(s, STR(".crt")) || str_ends(s, STR(".pem"));
}
