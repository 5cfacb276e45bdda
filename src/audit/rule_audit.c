/* Evidence about a rule: a connection that shows it. */
#include "audit/rule_audit.h"

#include "base/buf.h"
#include "base/check.h"
#include "policy/match.h"
#include "policy/match_text.h"
#include "policy/words.h"

enum { WITNESS_MAX = 4096, HOST_MAX = 64 };

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

static struct str witness_text(struct rule_audit *l, const struct conn_facts *facts)
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
static bool depends(const struct rule_audit *l, struct conn_facts facts, enum code on)
{
    struct decision decision;

    if (on == E_NEED_ROLES)
        facts.roles = NULL;
    else
        facts.lookup = (struct name_lookup){ .state = NAME_NOT_LOOKED_UP };
    return policy_match(l->audit->subject->policy, &facts, NULL, &decision) == on;
}

/* What lets the connection in besides what explain is told: its host's name, its user's roles. */
static const char *condition(const struct rule_audit *l, const struct conn_facts *facts)
{
    if (facts->lookup.state == NAME_CONFIRMED)
        return ", if its host name matches the rule";
    if (facts->roles && facts->roles->n > 1)
        return ", if the user is a member of the rule's role";
    if (depends(l, *facts, E_NEED_ROLES))
        return ", unless the user is a member of an earlier rule's role";
    if (depends(l, *facts, E_NEED_NAME))
        return ", unless its host name matches an earlier rule";
    return "";
}

/* A rule that the operator of a manifest writes itself: what is written in the manifest is what can be changed. */
static void settle_operators(struct rule_audit *l, struct finding *f)
{
    if (!l->audit->subject->manifest || !str_equal(l->rule->file, l->audit->subject->operators_rules))
        return;
    if (l->rule->line <= MANIFEST_FIXED_RULES) {
        f->severity = FINDING_INFO;
        f->fix = STR(
            "CloudNativePG writes this rule, and it cannot be changed; a NetworkPolicy limits who reaches it.");
    } else {
        f->fix = STR(
            "CloudNativePG appends this rule: add \"hostnossl all all all reject\", or rules that are narrower "
            "and a last reject, to spec.postgresql.pg_hba.");
    }
}

struct finding *rule_audit_about(struct rule_audit *l, struct finding *f)
{
    struct str shown;

    if (f)
        settle_operators(l, f);

    if (f && hba_rule_redacted(l->audit->arena, l->rule, &shown))
        f->about = audit_text(l->audit, "%.*s %.*s", STR_ARG(l->rule->file), STR_ARG(shown));
    else
        l->audit->nomem = true;
    return f;
}

struct finding *rule_audit_report(struct rule_audit *l, enum check check, bool tls, const char *what)
{
    enum reach reach = tls ? l->sealed : l->plain;
    const struct conn_facts *facts = tls ? &l->sealed_facts : &l->plain_facts;
    const char *now = !l->here_only ? ""
                      : l->audit->subject->kind == SUBJECT_GATE
                          ? " (at present the gate listens on this machine only)"
                          : " (at present the server listens on this machine only)";

    if (reach == REACH_UNKNOWN)
        return rule_audit_about(l, audit_add(l->audit, check, l->where,
                                             "%s, for names that match the rule's expressions%s", what, now));
    if (reach == REACH_NONE)
        return NULL;
    struct str witness = witness_text(l, facts);
    struct finding *f = rule_audit_about(l, audit_add(l->audit, check, l->where, "%s: %.*s%s%s", what,
                                                      STR_ARG(witness), condition(l, facts), now));
    if (f)
        f->witness = witness;
    return f;
}

struct finding *rule_audit_report_any(struct rule_audit *l, enum check check, const char *what)
{
    return rule_audit_report(l, check, l->plain == REACH_NONE, what);
}
