/* What hba, ident and explain share. */
#include "cmd/rules.h"

#include "cmd/usage.h"

int rules_params(const struct cmd *cmd, const char *version, struct policy_params *out)
{
    uint32_t number = 0;

    if (version && !str_to_u32(str_c(version), PG_VERSION_MIN, PG_VERSION_MAX, &number))
        return cmd_usage(cmd, "--pg-version takes a major version such as 15, not \"%s\"", version);
    *out = (struct policy_params){
        .pg_version = number,
        .ssl_on = true,
        .features = { .roles_known = true, .sans = !version }, /* else as that PostgreSQL reads it */
        .reload = true,
    };
    return -1;
}
