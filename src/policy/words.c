/* Names of methods, options and record types, from the tables. */
#include "policy/policy.h"

static const struct {
    const char *name;
    enum hba_how how;
    enum hba_needs needs;
} methods[] = {
#define X(symbol, name, since, until, how, needs, help)                                                      \
    [HBA_METHOD_##symbol] = { name, HBA_HOW_##how, HBA_NEEDS_##needs },
#include "hba_methods.def"
#undef X
};

static const char *const options[] = {
#define X(symbol, name, type, methods, text, since, help) [HBA_OPTION_##symbol] = (name),
#include "hba_options.def"
#undef X
};

const char *hba_method_name(enum hba_method method)
{
    return methods[method].name;
}

enum hba_how hba_method_how(enum hba_method method)
{
    return methods[method].how;
}

enum hba_needs hba_method_needs(enum hba_method method)
{
    return methods[method].needs;
}

const char *hba_type_name(enum hba_type type)
{
    static const char *const names[] = {
        [HBA_LOCAL] = "local",           [HBA_HOST] = "host",
        [HBA_HOSTSSL] = "hostssl",       [HBA_HOSTNOSSL] = "hostnossl",
        [HBA_HOSTGSSENC] = "hostgssenc", [HBA_HOSTNOGSSENC] = "hostnogssenc",
    };

    return names[type];
}

const char *hba_option_name(enum hba_option option)
{
    return options[option];
}

bool hba_rule_has_secret(const struct hba_rule *rule)
{
    struct str value;

    return hba_rule_option(rule, HBA_OPTION_LDAPBINDPASSWD, &value) ||
           hba_rule_option(rule, HBA_OPTION_RADIUSSECRETS, &value);
}

bool hba_rule_option(const struct hba_rule *rule, enum hba_option option, struct str *out)
{
    if (!rule->options || !rule->options[option].p)
        return false;
    *out = rule->options[option];
    return true;
}
