/* Rules × routes: what cannot be applied refuses the load, naming rule and remedy. */
#include "gate/load/rule_check.h"

#include "auth/userlist.h"
#include "conf/route.h"
#include "conf/settings.h"
#include "gate/load/snapshot.h"
#include "policy/method.h"
#include "policy/policy.h"

bool rule_check_knows_roles(const struct settings *settings)
{
    for (size_t i = 0; i < settings->n_routes; i++)
        if (settings->routes[i].auth_source != CONF_AUTH_QUERY)
            return false;
    return true;
}

static struct diag *rule_check_complain(struct diags *diags, const struct hba_rule *rule, const char *text,
                                        const struct settings_route *route)
{
    return diags_add(diags, SEV_ERROR, E_CONFIG, rule->file, rule->line,
                     "authentication method \"%s\" cannot be applied: %s (upstream \"%.*s\")",
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

/* Whatever the client proved, is there a way to log in upstream? Unix sockets answer that themselves. */
static bool can_log_in(const struct hba_rule *rule, const struct settings_route *route,
                       const struct upstream *u)
{
    enum hba_leaves leaves = hba_method_leaves(rule->method);
    bool keys = leaves == HBA_LEAVES_KEYS || leaves == HBA_LEAVES_KEYS_OR_NONE;
    bool password = leaves == HBA_LEAVES_PASSWORD ||
                    (leaves == HBA_LEAVES_KEYS && route->auth_source == CONF_AUTH_FILE);

    if (u->all_unix)
        return true;
    if (settings_logs_in_by(&route->upstream_login, CONF_LOGIN_SERVICE) && u->info.options.v[CONN_USER].n > 0)
        return true;
    if (settings_logs_in_by(&route->upstream_login, CONF_LOGIN_CERT) && u->may_tls && u->files.cert.n > 0)
        return true;
    if (settings_logs_in_by(&route->upstream_login, CONF_LOGIN_TRUST) && u->verified)
        return true;
    return (settings_logs_in_by(&route->upstream_login, CONF_LOGIN_SCRAM) && keys) ||
           (settings_logs_in_by(&route->upstream_login, CONF_LOGIN_PASSWORD) && password);
}

/* Did the operator name a way that needs no secret of the client's? Whether the server takes it is not known. */
static bool names_other_way(const struct settings_route *route, const struct upstream *u)
{
    if (settings_logs_in_by(&route->upstream_login, CONF_LOGIN_SERVICE))
        return true;
    if (u->all_unix)
        return settings_logs_in_by(&route->upstream_login, CONF_LOGIN_PEER) ||
               settings_logs_in_by(&route->upstream_login, CONF_LOGIN_TRUST);
    return (settings_logs_in_by(&route->upstream_login, CONF_LOGIN_TRUST) && u->verified) ||
           (settings_logs_in_by(&route->upstream_login, CONF_LOGIN_CERT) && u->may_tls &&
            u->files.cert.n > 0);
}

/* A client that shows no secret is let in by the rule, and then refused by a server that wants one. Over TCP
 * can_log_in() has refused such a load. */
static void warn_no_secret(const struct hba_rule *rule, const struct settings_route *route,
                           struct diags *diags)
{
    if (hba_method_leaves(rule->method) != HBA_LEAVES_NO_SECRET)
        return;
    struct diag *row = diags_add(
        diags, SEV_WARNING, E_CONFIG, rule->file, rule->line,
        "clients of this \"%s\" rule leave the gate no secret to log in to the server "
        "with (upstream \"%.*s\")",
        hba_method_name(rule->method), STR_ARG(route->label));
    diags_detail(diags, row, "They are admitted only if the server asks the gate for no secret.");
    diags_hint(
        diags, row,
        "Let the server admit the gate's operating system user: \"local all all peer map=gate\" in its "
        "pg_hba.conf, a line for each user in its pg_ident.conf; then set upstream_login = 'scram, peer'.");
}

/* An MD5 exchange leaves nothing to log in with, and a SCRAM exchange cannot be made of an MD5 secret. */
static void warn_md5(const struct hba_rule *rule, const struct settings_route *route,
                     const struct userlist *users, struct diags *diags)
{
    const struct userlist_entry *user = NULL;
    struct diag *row;

    if (hba_method_leaves(rule->method) != HBA_LEAVES_KEYS_OR_NONE)
        return;
    if (route->auth_source == CONF_AUTH_FILE) {
        user = users ? userlist_first_md5(users) : NULL;
        if (!user)
            return;
        row = diags_add(
            diags, SEV_WARNING, E_CONFIG, rule->file, rule->line,
            "user \"%.*s\" of auth_file, whose secret is MD5, cannot log in to the server by this "
            "\"md5\" rule (upstream \"%.*s\")",
            STR_ARG(user->user), STR_ARG(route->label));
    } else {
        row = diags_add(
            diags, SEV_WARNING, E_CONFIG, rule->file, rule->line,
            "users whose secret is MD5 cannot log in to the server by this \"md5\" rule (upstream "
            "\"%.*s\")",
            STR_ARG(route->label));
    }
    diags_detail(diags, row,
                 "The gate can log in with a client's SCRAM keys, but an MD5 exchange gives it none.");
    diags_hint(
        diags, row,
        "Give these users SCRAM secrets (password_encryption = scram-sha-256 on the server, then "
        "\\password USER in psql), or add a method without a secret to upstream_login: cert, peer, trust or "
        "service.");
}

static bool is_password_method(const struct hba_rule *rule)
{
    return hba_method_how(rule->method) == HBA_HOW_SECRET;
}

/* Nobody but the client can bind the exchange, and the client does not see the server's certificate. */
static void check_binding(const struct hba_rule *rule, const struct settings_route *route,
                          const struct upstream *u, struct diags *diags)
{
    if (u->info.channel_binding != CHANNEL_BINDING_REQUIRE)
        return;
    struct diag *row = rule_check_complain(diags, rule,
                                           "a relayed exchange cannot use channel_binding=require", route);
    diags_hint(diags, row, "Set auth_source = query or file, or remove channel_binding from upstream.");
}

/* An exchange that the gate's certificate is part of cannot be passed on to another TLS session. */
static void check_relayed(const struct hba_rule *rule, const struct settings_route *route,
                          const struct upstream *u, struct diags *diags)
{
    if (!is_password_method(rule) || !u->may_tls)
        return;
    struct diag *row = rule_check_complain(
        diags, rule,
        "a TLS client's password exchange cannot be relayed to a server that is reached over TLS", route);
    diags_hint(
        diags, row,
        "Set auth_source = query or file, or reach the server over a Unix-domain socket, or make the rule "
        "hostnossl or local.");
}

/* Can a connection that the rule decides take this route? Only names that are spelled out say no. */
static bool may_take(const struct settings *settings, const struct hba_rule *rule,
                     const struct settings_route *route)
{
    if (route->host.p) /* a client asks for whatever name it likes */
        return true;
    for (size_t i = 0; i < rule->n_databases; i++)
        if (rule->databases[i].kind != HBA_NAME_EXACT ||
            settings_route(settings, rule->databases[i].text) == route)
            return true;
    return false;
}

/* The status database is no server: who is judged by the gate is there. */
static bool is_status_only(const struct settings *settings, const struct hba_rule *rule)
{
    for (size_t i = 0; i < rule->n_databases; i++)
        if (rule->databases[i].kind != HBA_NAME_EXACT ||
            !str_equal(rule->databases[i].text, settings->status_database))
            return false;
    return rule->n_databases > 0;
}

static void check_login(const struct rule_check *h, const struct hba_rule *rule,
                        const struct settings_route *route, const struct upstream *u)
{
    if (is_status_only(h->settings, rule))
        return;
    if (!can_log_in(rule, route, u)) {
        struct diag *row = rule_check_complain(h->diags, rule,
                                               "upstream_login leaves no way to log in to the server", route);
        diags_hint(h->diags, row, "Add cert (with sslcert in upstream), trust or service to upstream_login.");
    } else if (!names_other_way(route, u)) {
        warn_no_secret(rule, route, h->diags);
        warn_md5(rule, route, h->users, h->diags);
    }
}

static void check_rule(const struct rule_check *h, const struct hba_rule *rule,
                       const struct settings_route *route, const struct upstream *u)
{
    const struct settings *settings = h->settings;
    struct diags *diags = h->diags;
    enum hba_how how = hba_method_how(rule->method);

    if (rule->method == HBA_METHOD_REJECT)
        return;
    if (how == HBA_HOW_NEVER || how == HBA_HOW_ABSENT) {
        rule_check_complain(diags, rule, "the gate can neither perform nor relay it", route);
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
        struct diag *row = rule_check_complain(diags, rule, "only the upstream server can perform it", route);
        diags_hint(diags, row,
                   "Set auth_source = upstream, or choose a method that the gate performs itself.");
        return;
    }
    check_login(h, rule, route, u);
}

enum code rule_check_check(const struct rule_check *h)
{
    const struct settings *settings = h->settings;

    for (size_t i = 0; i < policy_rule_count(h->policy); i++)
        for (size_t j = 0; j < settings->n_routes; j++)
            if (may_take(settings, policy_rule(h->policy, i), &settings->routes[j]))
                check_rule(h, policy_rule(h->policy, i), &settings->routes[j],
                           &h->upstreams[settings->routes[j].index]);
    return diags_ok(h->diags) ? OK : E_CONFIG;
}
