/* Rules × routes: what cannot be honoured refuses the load, naming rule and remedy. */
#include "gate/load/honour.h"

#include "conf/settings.h"
#include "gate/load/snapshot.h"
#include "policy/policy.h"
#include "policy/words.h"

bool honour_knows_roles(const struct settings *settings)
{
    for (size_t i = 0; i < settings->n_routes; i++)
        if (settings->routes[i].auth_source != CONF_AUTH_QUERY)
            return false;
    return true;
}

static struct diag *complain(struct diags *diags, const struct hba_rule *rule, const char *text,
                             const struct settings_route *route)
{
    return diags_add(diags, SEV_ERROR, E_CONFIG, rule->file, rule->line,
                     "authentication method \"%s\" cannot be honoured: %s (upstream \"%.*s\")",
                     hba_method_name(rule->method), text, STR_ARG(route->label));
}

static bool may_meet_tls_clients(const struct hba_rule *rule, const struct settings *settings)
{
    if (!settings->ssl)
        return false;
    switch (rule->type) {
    case HBA_HOST:
    case HBA_HOSTSSL:
    case HBA_HOSTNOGSSENC:
        return true;
    case HBA_LOCAL:
    case HBA_HOSTNOSSL:
    case HBA_HOSTGSSENC:
        return false;
    }
    return true;
}

static bool has_login(const struct settings_route *route, enum conf_upstream_login login)
{
    for (size_t i = 0; i < route->upstream_login.n; i++)
        if (route->upstream_login.at[i] == login)
            return true;
    return false;
}

/* Whatever the client proved, is there a way to log in upstream? Unix sockets answer that themselves. */
static bool can_log_in(const struct hba_rule *rule, const struct settings_route *route,
                       const struct upstream *u)
{
    enum hba_needs needs = hba_method_needs(rule->method);
    bool cleartext = needs == HBA_NEEDS_CLEARTEXT || route->auth_source == CONF_AUTH_FILE;

    if (u->all_unix)
        return true;
    if (has_login(route, CONF_LOGIN_SERVICE) && u->info.options.v[CONN_USER].n > 0)
        return true;
    if (has_login(route, CONF_LOGIN_CERT) && u->may_tls && u->files.cert.n > 0)
        return true;
    if (has_login(route, CONF_LOGIN_TRUST) && u->verified)
        return true;
    if (has_login(route, CONF_LOGIN_SCRAM) && (needs == HBA_NEEDS_SCRAM || needs == HBA_NEEDS_MD5_OR_SCRAM))
        return true;
    return has_login(route, CONF_LOGIN_PASSWORD) && cleartext &&
           (needs == HBA_NEEDS_CLEARTEXT || needs == HBA_NEEDS_SCRAM);
}

static bool is_password_method(const struct hba_rule *rule)
{
    return rule->method == HBA_METHOD_PASSWORD || rule->method == HBA_METHOD_MD5 ||
           rule->method == HBA_METHOD_SCRAM;
}

/* Nobody but the client can bind the exchange, and the client does not see the server's certificate. */
static void check_binding(const struct hba_rule *rule, const struct settings_route *route,
                          const struct upstream *u, struct diags *diags)
{
    if (u->info.channel_binding != CHANNEL_BINDING_REQUIRE)
        return;
    struct diag *row = complain(diags, rule,
                                "an exchange that passes through cannot keep channel_binding=require", route);
    diags_hint(diags, row, "Set auth_source = query or file, or leave channel_binding out of upstream.");
}

/* An exchange that the gate's certificate is part of cannot be passed on to another TLS session. */
static void check_relayed(const struct hba_rule *rule, const struct settings_route *route,
                          const struct upstream *u, struct diags *diags)
{
    if (!is_password_method(rule) || !u->may_tls)
        return;
    struct diag *row = complain(
        diags, rule,
        "a TLS client's password exchange cannot pass through to a server that is reached by TLS", route);
    diags_hint(diags, row,
               "Set auth_source = query or file, or reach the server by a unix socket, or make the "
               "rule one for hostnossl or local.");
}

/* Can a connection that the rule decides take this route? Only names that are spelled out say no. */
static bool may_take(const struct settings *settings, const struct hba_rule *rule,
                     const struct settings_route *route)
{
    for (size_t i = 0; i < rule->n_databases; i++)
        if (rule->databases[i].kind != HBA_NAME_EXACT ||
            settings_route(settings, rule->databases[i].text) == route)
            return true;
    return false;
}

static void check_rule(const struct settings *settings, const struct hba_rule *rule,
                       const struct settings_route *route, const struct upstream *u, struct diags *diags)
{
    enum hba_how how = hba_method_how(rule->method);

    if (rule->method == HBA_METHOD_REJECT)
        return;
    if (how == HBA_HOW_NEVER || how == HBA_HOW_ABSENT) {
        complain(diags, rule, "the gate can neither judge nor relay it", route);
        return;
    }
    if (!u->configured)
        return;
    if (route->auth_source == CONF_AUTH_UPSTREAM && (is_password_method(rule) || how == HBA_HOW_RELAYED)) {
        check_binding(rule, route, u, diags);
        if (may_meet_tls_clients(rule, settings))
            check_relayed(rule, route, u, diags);
        return;
    }
    if (how == HBA_HOW_RELAYED) {
        struct diag *row = complain(diags, rule, "only the server behind can judge it", route);
        diags_hint(diags, row, "Set auth_source = upstream, or choose a method that the gate judges.");
        return;
    }
    if (!can_log_in(rule, route, u)) {
        struct diag *row = complain(diags, rule, "upstream_login leaves no way to log in to the server",
                                    route);
        diags_hint(diags, row, "Add cert (with sslcert in upstream), trust or service to upstream_login.");
    }
}

enum code honour_check(const struct settings *settings, const struct policy *policy,
                       const struct upstream *upstreams, struct diags *diags)
{
    for (size_t i = 0; i < policy_rule_count(policy); i++)
        for (size_t j = 0; j < settings->n_routes; j++)
            if (may_take(settings, policy_rule(policy, i), &settings->routes[j]))
                check_rule(settings, policy_rule(policy, i), &settings->routes[j],
                           &upstreams[settings->routes[j].index], diags);
    return diags_ok(diags) ? OK : E_CONFIG;
}
