#include "audit/check_rules.h"

#include "audit/check_shape.h"
#include "audit/edit.h"
#include "audit/rule_audit.h"
#include "base/check.h"
#include "base/ip.h"
#include "conf/settings.h"
#include "policy/method.h"
#include "policy/policy.h"
#include "policy/shadow.h"
#include "policy/words.h"

enum { SHADOWS_SHOWN = 8 };

/* ---- checks ---- */

static void check_trust(struct rule_audit *l)
{
    bool from_network = l->plain != REACH_NONE || l->sealed != REACH_NONE;

    switch (l->rule->clientcert) {
    case CLIENTCERT_VERIFY_FULL:
        return; /* the certificate's name is the proof */
    case CLIENTCERT_VERIFY_CA:
        rule_audit_report_any(l, CHECK_TRUST_WITH_ANY_CERTIFICATE,
                              "any certificate of the client CA admits any user");
        return;
    case CLIENTCERT_NONE:
        break;
    }
    if (from_network)
        rule_audit_report_any(l, CHECK_TRUST_FROM_NETWORK,
                              "another machine is admitted without authentication");
    else
        rule_audit_about(l, audit_add(l->audit, CHECK_TRUST_HERE, l->where,
                                      "anyone on this machine is admitted without authentication"));
}

#define SOUND                                                                                                \
    {                                                                                                        \
        0, NULL                                                                                              \
    }
#define WEAK(check, what)                                                                                    \
    {                                                                                                        \
        CHECK_##check, what                                                                                  \
    }

/* What is weak in a method, whoever uses it: tables/hba_methods.def. */
static const struct {
    enum check check;
    const char *what; /* NULL: nothing */
} weak_methods[] = {
#define X(symbol, name, word, since, until, records, options, check, how, unit, needs, leaves, refusal,      \
          asks, asks_over_tls, audit, help)                                                                  \
    [HBA_METHOD_##symbol] = audit,
#include "hba_methods.def"
#undef X
};

static void check_passwords(struct rule_audit *l)
{
    const struct hba_rule *rule = l->rule;
    enum hba_needs needs = hba_method_needs(rule->method);
    const char *weakness = weak_methods[rule->method].what;
    enum check check = weak_methods[rule->method].check;

    if (needs == HBA_NEEDS_CLEARTEXT)
        rule_audit_report(l, CHECK_PASSWORD_IN_CLEARTEXT, false, "the password is sent in cleartext");
    if (weakness && needs == HBA_NEEDS_CLEARTEXT) /* without TLS it is worse, and said above */
        rule_audit_report(l, check, true, weakness);
    else if (weakness)
        rule_audit_report_any(l, check, weakness);
    if ((needs == HBA_NEEDS_CLEARTEXT || needs == HBA_NEEDS_MD5_OR_SCRAM || needs == HBA_NEEDS_SCRAM) &&
        rule->clientcert == CLIENTCERT_NONE && subject_client_ca(l->audit->subject, 0))
        rule_audit_report(l, CHECK_PASSWORD_WITHOUT_CERTIFICATE, true, "only a password is required");
}

static bool is_dead(const struct rule_audit *l)
{
    return l->rule->type == HBA_HOSTGSSENC ||
           (l->rule->type == HBA_HOSTSSL && !l->audit->subject->settings->ssl);
}

static bool is_for_mapped(const struct hba_rule *rule)
{
    static const uint8_t all[IP_MAPPED_BITS / 8] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                                     0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
    const struct hba_addr *address = &rule->address;

    return address->kind == HBA_ADDR_NET && address->family == AF_INET6 && ip_is_mapped(address->addr) &&
           memcmp(address->mask, all, sizeof all) == 0;
}

static void check_rule(struct rule_audit *l, struct reach_search *search)
{
    struct audit *a = l->audit;

    if (is_for_mapped(l->rule)) {
        rule_audit_about(
            l, audit_add(
                   a, CHECK_RULE_FOR_MAPPED, l->where,
                   "::ffff:a.b.c.d is treated as a.b.c.d, as in PostgreSQL: the rule matches no connection"));
        return;
    }
    if (is_dead(l)) {
        rule_audit_about(l, audit_add(a, CHECK_RULE_NEVER_MATCHES, l->where,
                                      "no connection can be of the type %s", hba_type_name(l->rule->type)));
        return;
    }
    if (l->rule->method == HBA_METHOD_REJECT)
        return;
    if (policy_reach(search, l->rule, false, &l->plain, &l->plain_facts) != OK ||
        (a->subject->settings->ssl &&
         policy_reach(search, l->rule, true, &l->sealed, &l->sealed_facts) != OK)) {
        a->nomem = true;
        return;
    }
    struct finding *f = rule_audit_report(l, CHECK_PLAINTEXT_FROM_NETWORK, false,
                                          "another machine may connect without TLS");
    if (l->rule->type == HBA_HOST)
        edit_rule_type(l, f, "hostssl");
    if (l->rule->method == HBA_METHOD_TRUST)
        check_trust(l);
    else
        check_passwords(l);
    check_shape_of_rule(l);
}

/* "rule 3 at pg_hba.conf:7 (scram-sha-256)", and so on. */
static struct str takers(struct rule_audit *l, const struct shadow *shadow)
{
    const struct policy *policy = l->audit->subject->policy;
    struct str text = STR("");

    for (size_t i = 0; i < shadow->n && i < SHADOWS_SHOWN; i++) {
        const struct hba_rule *by = policy_rule(policy, shadow->by[i] - 1);
        struct str place = audit_place(l->audit, by->file, by->line);
        text = audit_text(l->audit, "%.*s%srule %u at %.*s (%s)", STR_ARG(text),
                          i == 0               ? ""
                          : i + 1 == shadow->n ? " and "
                                               : ", ",
                          by->number, STR_ARG(place), hba_method_name(by->method));
    }
    return text;
}

static void report_shadow(struct rule_audit *l, const struct shadow *shadow)
{
    const struct policy *policy = l->audit->subject->policy;
    bool lets_in = false;

    for (size_t i = 0; i < shadow->n; i++)
        lets_in = lets_in || policy_rule(policy, shadow->by[i] - 1)->method != HBA_METHOD_REJECT;
    enum check check = l->rule->method == HBA_METHOD_REJECT && lets_in ? CHECK_REJECT_SHADOWED
                                                                       : CHECK_RULE_SHADOWED;
    struct str by = takers(l, shadow);
    if (shadow->n == 1)
        rule_audit_about(
            l, audit_add(l->audit, check, l->where, "%.*s matches all its connections first", STR_ARG(by)));
    else if (shadow->n <= SHADOWS_SHOWN)
        rule_audit_about(l, audit_add(l->audit, check, l->where,
                                      "%.*s together match all its connections first", STR_ARG(by)));
    else
        rule_audit_about(l, audit_add(l->audit, check, l->where,
                                      "%.*s and %zu more rules together match all its connections first",
                                      STR_ARG(by), shadow->n - SHADOWS_SHOWN));
}

/* ---- all rules ---- */

static bool is_here(struct str address)
{
    return str_is(address, "localhost") || str_is(address, "::1") || str_starts(address, STR("127."));
}

/* A balancer on this machine brings others' connections. */
static bool listens_here_only(const struct settings *settings)
{
    for (size_t i = 0; i < settings->listen_addresses.n; i++)
        if (!is_here(settings->listen_addresses.at[i]))
            return false;
    return settings->proxy_protocol_from.n == 0;
}

static void check_revocation(struct audit *a, const struct shadow *shadows)
{
    const struct settings *settings = a->subject->settings;

    if (!settings->ssl || settings->ssl_crl_file.path || settings->ssl_crl_dir.path)
        return;
    for (size_t i = 0; i < policy_rule_count(a->subject->policy); i++) {
        const struct hba_rule *rule = policy_rule(a->subject->policy, i);
        if (rule->clientcert == CLIENTCERT_NONE || rule->method == HBA_METHOD_REJECT || shadows[i].n > 0)
            continue;
        struct str place = audit_place(a, rule->file, rule->line);
        audit_add_setting(
            a, CHECK_CRL_MISSING, "ssl_crl_file",
            "the rule at %.*s accepts client certificates, and a stolen one works until it expires",
            STR_ARG(place));
        return;
    }
}

void check_rules(struct audit *a)
{
    const struct policy *policy = a->subject->policy;
    bool here_only = a->subject->settings_seen && listens_here_only(a->subject->settings);
    const struct shadow *shadows;

    if (!policy)
        return;
    struct reach_search *search = reach_search_new(policy, a->subject->ifaces, a->arena);
    if (!search || policy_shadows(policy, a->arena, &shadows) != OK) {
        a->nomem = true;
        return;
    }
    for (size_t i = 0; i < policy_rule_count(policy) && !a->nomem; i++) {
        const struct hba_rule *rule = policy_rule(policy, i);
        struct rule_audit rule_audit = { .audit = a, .rule = rule, .here_only = here_only };
        rule_audit.where = audit_place(a, rule->file, rule->line);
        if (shadows[i].n > 0 && !is_for_mapped(rule))
            report_shadow(&rule_audit, &shadows[i]);
        else
            check_rule(&rule_audit, search);
    }
    check_revocation(a, shadows);
    check_shape_of_file(a, shadows);
}
