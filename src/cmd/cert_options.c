/* Options of pgseal cert. */
#include "cmd/cert_options.h"

#include "base/arena.h"
#include "cmd/number_option.h"
#include "pki/journal.h"

enum code cert_read_sans(const struct cert_job *job, struct san **out, size_t *out_n, const char **out_host,
                         struct err *e)
{
    size_t hosts = 0, others = 0;

    while (cmd_value_at(job->cmd, OPT_cert_host, hosts))
        hosts++;
    while (cmd_value_at(job->cmd, OPT_cert_san, others))
        others++;
    if (hosts + others > CA_LIST_MAX)
        return err_set(e, E_USAGE, "more than %d names", CA_LIST_MAX);
    struct san *sans = arena_array(job->arena, hosts + others, sizeof *sans);
    if (!sans)
        return err_set(e, E_NOMEM, "out of memory");
    for (size_t i = 0; i < hosts + others; i++) {
        const char *text = i < hosts ? cmd_value_at(job->cmd, OPT_cert_host, i)
                                     : cmd_value_at(job->cmd, OPT_cert_san, i - hosts);
        TRY(san_parse(str_c(text), job->arena, &sans[i], e));
    }
    *out = sans;
    *out_n = hosts + others;
    *out_host = cmd_value_at(job->cmd, OPT_cert_host, 0);
    return OK;
}

enum code cert_read_use_and_days(const struct cert_job *job, struct ca_request *request, struct err *e)
{
    const char *word = cmd_value(job->cmd, OPT_cert_use);

    if (word && !ca_use_from_name(str_c(word), &request->use))
        return err_set(e, E_USAGE, "--use takes server, client or both, not \"%s\"", word);
    return cmd_read_number(job->cmd, OPT_cert_days, CA_DAYS_MAX, &request->days, e);
}
