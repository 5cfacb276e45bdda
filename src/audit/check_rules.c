#include "audit/check_rules.h"

#include "audit/finding.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/ip.h"
#include "conf/settings.h"
#include "policy/cover.h"
#include "policy/match.h"
#include "policy/method.h"
#include "policy/policy.h"
#include "policy/reach.h"
#include "policy/tell.h"
#include "policy/words.h"

enum { WITNESS_MAX = 4096, HOST_MAX = 64, SHADOWS_SHOWN = 8 };

struct look {
    struct audit *audit;
    const struct hba_rule *rule;
    struct str where;
    enum reach plain, sealed; /* from another machine, without TLS and with it */
    struct conn_facts plain_facts, sealed_facts;
    bool here_only; /* the gate listens on this machine only */
};

/* ---- evidence ---- */

/* A value of a connection string. */
static void put_value(struct buf *out, const char *key, struct str value)
{
    bool quote = value.n == 0;

    for (size_t i = 0; i < value.n; i++)
        quote = quote || strchr(" \t\n\r\v\f'\\=", value.p[i]);
    buf_printf(out, " %s=%s", key, quote ? "'" : "");
    for (size_t i = 0; i < value.n; i++) {
        if (strchr("'\\", value.p[i]))
            buf_append_c(out, "\\");
        buf_append_byte(out, (uint8_t)value.p[i]);
    }
    buf_append_c(out, quote ? "'" : "");
}

static struct str witness_text(struct look *l, const struct conn_facts *facts)
{
    AUTO(buf) struct buf out = BUF_INIT(WITNESS_MAX);
    struct str text = STR("");
    char host[HOST_MAX];

    conn_facts_host(facts, host, sizeof host);
    buf_printf(&out, "addr=%s", host);
    put_value(&out, "user", facts->user);
    if (facts->replication == REPLICATION_PHYSICAL)
        buf_append_c(&out, " replication=true");
    else
        put_value(&out, "dbname", facts->database);
    buf_printf(&out, " tls=%s", facts->tls ? "1.3" : "none");
    if (!arena_str(l->audit->arena, buf_str(&out), &text))
        l->audit->nomem = true;
    return text;
}

/* Does the answer depend on what the witness leaves open? */
static bool depends(const struct look *l, struct conn_facts facts, enum code on)
{
    struct decision decision;

    if (on == E_NEED_ROLES)
        facts.roles = NULL;
    else
        facts.lookup = (struct name_lookup){ .state = NAME_NOT_ASKED };
    return policy_match(l->audit->subject->policy, &facts, NULL, &decision) == on;
}

/* What lets the connection in besides what explain is told: its host's name, its user's roles. */
static const char *condition(const struct look *l, const struct conn_facts *facts)
{
    if (facts->lookup.state == NAME_CONFIRMED)
        return ", if its host has a name that the rule wants";
    if (facts->roles && facts->roles->n > 1)
        return ", if the user is a member of the rule's role";
    if (depends(l, *facts, E_NEED_ROLES))
        return ", unless the user is a member of an earlier rule's role";
    if (depends(l, *facts, E_NEED_NAME))
        return ", unless its host has a name that an earlier rule wants";
    return "";
}

/* A rule keeps its text when lines are added above it. */
static struct finding *about_rule(struct look *l, struct finding *f)
{
    struct str shown;

    if (f && hba_rule_shown(l->audit->arena, l->rule, &shown))
        f->about = audit_text(l->audit, "%.*s %.*s", STR_ARG(l->rule->file), STR_ARG(shown));
    else
        l->audit->nomem = true;
    return f;
}

/* Report `what` with the connection that shows it; nothing where there is none. */
static void report(struct look *l, enum check check, bool tls, const char *what)
{
    enum reach reach = tls ? l->sealed : l->plain;
    const struct conn_facts *facts = tls ? &l->sealed_facts : &l->plain_facts;
    const char *now = !l->here_only ? ""
                      : l->audit->subject->kind == SUBJECT_GATE
                          ? " (just now the gate listens on this machine only)"
                          : " (just now the server listens on this machine only)";

    if (reach == REACH_UNKNOWN) {
        about_rule(l, audit_add(l->audit, check, l->where, "%s, for names that fit the rule's expressions%s",
                                what, now));
    } else if (reach == REACH_FOUND) {
        struct str witness = witness_text(l, facts);
        struct finding *f = about_rule(l, audit_add(l->audit, check, l->where, "%s: %.*s%s%s", what,
                                                    STR_ARG(witness), condition(l, facts), now));
        if (f)
            f->witness = witness;
    }
}

/* Without TLS if that is possible, else with it. */
static void report_any(struct look *l, enum check check, const char *what)
{
    report(l, check, l->plain == REACH_NONE, what);
}

/* ---- checks ---- */

static void check_trust(struct look *l)
{
    bool from_network = l->plain != REACH_NONE || l->sealed != REACH_NONE;

    switch (l->rule->clientcert) {
    case CLIENTCERT_VERIFY_FULL:
        return; /* the certificate's name is the proof */
    case CLIENTCERT_VERIFY_CA:
        report_any(l, CHECK_TRUST_WITH_ANY_CERTIFICATE, "any certificate of the client CA lets any user in");
        return;
    case CLIENTCERT_NONE:
        break;
    }
    if (from_network)
        report_any(l, CHECK_TRUST_FROM_NETWORK, "another machine is let in without any proof");
    else
        about_rule(l, audit_add(l->audit, CHECK_TRUST_HERE, l->where,
                                "whoever is on this machine is let in without any proof"));
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

static void check_passwords(struct look *l)
{
    const struct hba_rule *rule = l->rule;
    enum hba_needs needs = hba_method_needs(rule->method);
    const char *weakness = weak_methods[rule->method].what;
    enum check check = weak_methods[rule->method].check;

    if (needs == HBA_NEEDS_CLEARTEXT)
        report(l, CHECK_PASSWORD_IN_CLEARTEXT, false, "a password is sent as it is");
    if (weakness && needs == HBA_NEEDS_CLEARTEXT) /* without TLS it is worse, and said above */
        report(l, check, true, weakness);
    else if (weakness)
        report_any(l, check, weakness);
    if ((needs == HBA_NEEDS_CLEARTEXT || needs == HBA_NEEDS_MD5_OR_SCRAM || needs == HBA_NEEDS_SCRAM) &&
        rule->clientcert == CLIENTCERT_NONE && l->audit->subject->settings->ssl_ca_file.path)
        report(l, CHECK_PASSWORD_WITHOUT_CERTIFICATE, true, "a password is the only proof");
}

static bool is_dead(const struct look *l)
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

static void check_rule(struct look *l, struct reach_search *search)
{
    struct audit *a = l->audit;

    if (is_for_mapped(l->rule)) {
        about_rule(l,
                   audit_add(a, CHECK_RULE_FOR_MAPPED, l->where,
                             "::ffff:a.b.c.d is a.b.c.d here, as it is for PostgreSQL: the rule matches no "
                             "connection"));
        return;
    }
    if (is_dead(l)) {
        about_rule(l, audit_add(a, CHECK_RULE_NEVER_MATCHES, l->where, "no connection ever is of the type %s",
                                hba_type_name(l->rule->type)));
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
    report(l, CHECK_PLAINTEXT_FROM_NETWORK, false, "another machine may connect without TLS");
    if (l->rule->method == HBA_METHOD_TRUST)
        check_trust(l);
    else
        check_passwords(l);
}

/* "rule 3 at pg_hba.conf:7 (scram-sha-256)", and so on. */
static struct str takers(struct look *l, const struct shadow *shadow)
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

static void report_shadow(struct look *l, const struct shadow *shadow)
{
    const struct policy *policy = l->audit->subject->policy;
    bool lets_in = false;

    for (size_t i = 0; i < shadow->n; i++)
        lets_in = lets_in || policy_rule(policy, shadow->by[i] - 1)->method != HBA_METHOD_REJECT;
    enum check check = l->rule->method == HBA_METHOD_REJECT && lets_in ? CHECK_REJECT_SHADOWED
                                                                       : CHECK_RULE_SHADOWED;
    struct str by = takers(l, shadow);
    if (shadow->n == 1)
        about_rule(l,
                   audit_add(l->audit, check, l->where, "%.*s takes all its connections first", STR_ARG(by)));
    else if (shadow->n <= SHADOWS_SHOWN)
        about_rule(l, audit_add(l->audit, check, l->where, "%.*s together take all its connections first",
                                STR_ARG(by)));
    else
        about_rule(l, audit_add(l->audit, check, l->where,
                                "%.*s and %zu more rules together take all its connections first",
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
            "the rule at %.*s takes client certificates, and a stolen one stays good until it expires",
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
        struct look look = { .audit = a, .rule = rule, .here_only = here_only };
        look.where = audit_place(a, rule->file, rule->line);
        if (shadows[i].n > 0 && !is_for_mapped(rule))
            report_shadow(&look, &shadows[i]);
        else
            check_rule(&look, search);
    }
    check_revocation(a, shadows);
}
