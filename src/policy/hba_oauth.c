/*
 * The method oauth: scope, issuer, and a validator that the server is set to trust.
 * [src: PostgreSQL 18, "OAuth Authorization/Authentication"; hba.c, auth-oauth.c check_oauth_validator]
 */
#include "policy/hba_oauth.h"

#include "policy/hba_list.h"
#include "policy/line.h"
#include "policy/method.h"
#include "policy/policy_impl.h"
#include "policy/words.h"

struct find_item {
    struct str wanted;
    bool found;
};

static bool is_wanted(void *arg, struct str item)
{
    struct find_item *f = arg;

    f->found |= str_equal(item, f->wanted);
    return !f->found;
}

/** The validator must be one of the libraries that the server is set to trust. */
static enum code check_validator(struct line_parser *p, const struct hba_rule *rule)
{
    struct str libraries = str_c(p->params->oauth_validator_libraries);
    struct find_item find = { .found = false };
    size_t n = 0;

    if (libraries.n == 0)
        return line_bad(p, E_CONFIG, NULL,
                        "oauth_validator_libraries must be set for authentication method %s",
                        hba_method_name(rule->method));
    bool named = hba_rule_option(rule, HBA_OPTION_VALIDATOR, &find.wanted);
    bool ok = hba_split_list(libraries, named ? is_wanted : NULL, &find, &n);
    if (!ok || (!named && n == 1))
        return OK;
    if (!named)
        return line_bad(p, E_CONFIG, NULL,
                        "authentication method \"oauth\" requires argument \"validator\" to be set when "
                        "oauth_validator_libraries contains multiple options");
    if (find.found)
        return OK;
    return line_bad(p, E_CONFIG, NULL, "validator \"%.*s\" is not permitted by %s", STR_ARG(find.wanted),
                    "oauth_validator_libraries");
}

enum code hba_oauth_check(struct line_parser *p, const struct hba_rule *rule)
{
    struct str delegate;

    if (!hba_option_given(rule, HBA_OPTION_SCOPE))
        return hba_option_missing(p, rule, "scope");
    if (!hba_option_given(rule, HBA_OPTION_ISSUER))
        return hba_option_missing(p, rule, "issuer");
    if (!p->params->features.oauth_unchecked)
        TRY(check_validator(p, rule));
    if (hba_rule_option(rule, HBA_OPTION_DELEGATE_IDENT, &delegate) && str_is(delegate, "1") &&
        hba_option_given(rule, HBA_OPTION_MAP))
        return line_bad(p, E_CONFIG, NULL, "map cannot be used in combination with delegate_ident_mapping");
    return OK;
}
