/*
 * pgseal explain: which rule governs a connection, and why not the ones before it.
 *
 * The decision is policy_match()'s, the same as in the gate; here it is only told. A client that would try
 * twice (sslmode allow, prefer) is judged twice, and the first attempt that is not refused counts.
 */
#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "cmd/explain_host.h"
#include "cmd/explain_load.h"
#include "cmd/facts.h"
#include "cmd/usage.h"
#include "cmd/view_out.h"
#include "pki/peer.h"
#include "policy/ident.h"
#include "policy/match.h"
#include "policy/match_text.h"
#include "policy/method.h"
#include "policy/words.h"

#include <netdb.h>

#define EXPLAIN_ARENA_MAX ((size_t)1 << 30)
enum { EXPLAIN_ARENA_FIRST = 16 * 1024, WHY_MAX = 512, DEMANDS_MAX = 6, NOTES_MAX = 6 + FACT_NOTES_MAX };

struct skipped {
    const struct hba_rule *rule;
    enum match_field failed;
    struct str why;
};

/* One attempt of the client, and how it went. */
struct attempt {
    bool tls;
    struct decision decision;
    struct skipped *skipped;
    size_t n_skipped;
    const struct skipped *nearest; /* NULL: none */
};

struct explanation {
    const struct cmd *cmd;
    struct arena *arena;
    const struct policy *policy;
    struct facts facts;
    struct explain_host host;
    struct attempt attempts[2];
    size_t n_attempts;
    struct attempt *last; /* the one that counts */
    struct str demands[DEMANDS_MAX];
    size_t n_demands;
    struct str notes[NOTES_MAX];
    size_t n_notes;
    bool refused; /* a fact about the certificate or the OS user refuses what the rule admits */
    struct str fix;
};

/* ---- judging ---- */

static void note_str(struct explanation *x, struct str text)
{
    for (size_t i = 0; i < x->n_notes; i++)
        if (str_equal(x->notes[i], text))
            return;
    if (x->n_notes < NOTES_MAX)
        x->notes[x->n_notes++] = text;
}

static void explain_note(struct explanation *x, const char *text)
{
    note_str(x, str_c(text));
}

static void demand(struct explanation *x, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void demand(struct explanation *x, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    if (x->n_demands < DEMANDS_MAX && arena_vprintf(x->arena, &x->demands[x->n_demands], fmt, args))
        x->n_demands++;
    va_end(args);
}

struct tracing {
    struct explanation *x;
    struct attempt *attempt;
};

static void trace_rule(void *arg, const struct hba_rule *rule, enum match_field failed)
{
    struct tracing *t = arg;
    struct attempt *a = t->attempt;
    char why[WHY_MAX];

    if (failed == FIELD_NONE)
        return;
    struct skipped *s = &a->skipped[a->n_skipped++];
    policy_explain_field(rule, &t->x->facts.conn, failed, why, sizeof why);
    *s = (struct skipped){ rule, failed, STR("") };
    (void)arena_str(t->x->arena, str_c(why), &s->why);
    /* Further along is nearer, and a rule that would admit is nearer than one that would refuse. */
    bool nearer = !a->nearest || failed > a->nearest->failed;
    if (rule->method != HBA_METHOD_REJECT && nearer)
        a->nearest = s;
}

static enum code explain_judge(struct explanation *x, struct attempt *a)
{
    struct tracing tracing = { x, a };
    struct trace trace = { trace_rule, &tracing };
    struct conn_facts *conn = &x->facts.conn;

    conn->tls = a->tls;
    a->skipped = arena_array(x->arena, policy_rule_count(x->policy), sizeof *a->skipped);
    if (!a->skipped)
        return E_NOMEM;
    for (;;) {
        a->n_skipped = 0;
        a->nearest = NULL;
        enum code code = policy_match(x->policy, conn, &trace, &a->decision);
        if (code == E_NEED_NAME) {
            facts_look_up(x->arena, conn, a->decision.need);
        } else if (code == E_NEED_ROLES) {
            explain_note(x, "roles= was not given: assuming that the user is a member of no other role");
            x->facts.roles = (struct role_set){ &conn->user, 1 };
            conn->roles = &x->facts.roles;
        } else {
            return code;
        }
    }
}

static bool admits(const struct attempt *a)
{
    return a->decision.verdict == VERDICT_RULE && a->decision.rule->method != HBA_METHOD_REJECT;
}

static enum code judge_all(struct explanation *x)
{
    for (size_t i = 0; i < x->facts.n_attempts; i++) {
        x->last = &x->attempts[x->n_attempts++];
        x->last->tls = x->facts.attempts[i];
        TRY(explain_judge(x, x->last));
        if (admits(x->last))
            break;
    }
    return OK;
}

/* ---- what the rule will ask for ---- */

/** What the map, or equality, says about an authenticated name. */
static void judge_name(struct explanation *x, struct str name, const char *what)
{
    const struct hba_rule *rule = x->last->decision.rule;
    struct ident_question question = { rule->map, x->facts.conn.user, name, x->facts.conn.roles };
    const struct role_set alone = { &x->facts.conn.user, 1 };
    struct err why = { .code = OK };

    if (!question.roles)
        question.roles = &alone;
    enum code code = ident_check(x->policy, &question, &why);
    if (code == OK) {
        demand(x, "%s \"%.*s\" may act as \"%.*s\"", what, STR_ARG(name), STR_ARG(question.role));
        return;
    }
    x->refused = true;
    demand(x, "refused: %s", err_text(&why));
}

/* clientname=SAN: any of the certificate's alternative names will do. */
static void demand_alternative_name(struct explanation *x, const struct hba_rule *rule)
{
    const struct role_set alone = { &x->facts.conn.user, 1 };

    if (rule->map.n > 0)
        demand(x, "map \"%.*s\" must allow one of the certificate's alternative names to act as \"%.*s\"",
               STR_ARG(rule->map), STR_ARG(x->facts.conn.user));
    else
        demand(x, "one of the certificate's alternative names must be \"%.*s\"", STR_ARG(x->facts.conn.user));
    const struct str *counts = NULL;
    for (size_t i = 0; i < x->facts.n_sans; i++) {
        const struct ident_question question = { rule->map, x->facts.conn.user, x->facts.sans[i],
                                                 x->facts.conn.roles ? x->facts.conn.roles : &alone };
        if (!peer_san_counts(x->facts.sans[i]))
            continue;
        counts = &x->facts.sans[i];
        if (ident_check(x->policy, &question, NULL) == OK)
            break;
    }
    if (counts) {
        judge_name(x, *counts, "the certificate's name");
    } else if (x->facts.n_sans > 0) {
        x->refused = true;
        demand(x, "refused: \"%.*s\" is not a URI, a DNS name or an e-mail address, and no map sees it",
               STR_ARG(x->facts.sans[x->facts.n_sans - 1]));
    }
}

static void demand_certificate(struct explanation *x, const struct hba_rule *rule)
{
    bool dn = rule->clientname == CLIENTNAME_DN;
    const struct fact_cert *cert = &x->facts.cert;

    struct str refusal = x->host.refuses_certificate;
    x->refused = x->refused || refusal.n > 0;
    demand(x, "%.*s", STR_ARG(refusal.n > 0 ? refusal : x->host.signed_by));
    if (rule->clientcert != CLIENTCERT_VERIFY_FULL)
        return;
    if (rule->clientname == CLIENTNAME_SAN) {
        demand_alternative_name(x, rule);
        return;
    }
    if (rule->map.n > 0)
        demand(x, "map \"%.*s\" must allow the certificate's %s to act as \"%.*s\"", STR_ARG(rule->map),
               dn ? "DN" : "CN", STR_ARG(x->facts.conn.user));
    else
        demand(x, "the certificate's %s must be \"%.*s\"", dn ? "DN" : "CN", STR_ARG(x->facts.conn.user));
    if (!cert->given)
        return;
    if (dn || cert->has_cn) {
        judge_name(x, dn ? cert->dn : cert->cn, "the certificate's name");
    } else {
        x->refused = true;
        demand(x, "refused: the certificate has no CN");
    }
}

/* The operating system's user is the proof, through a map if there is one. */
static void demand_os_user(struct explanation *x, const struct hba_rule *rule)
{
    if (x->facts.os_user.p)
        judge_name(x, x->facts.os_user, "the operating system's user");
    else if (rule->map.n > 0)
        demand(x, "map \"%.*s\" must allow the operating system's user to act as \"%.*s\"",
               STR_ARG(rule->map), STR_ARG(x->facts.conn.user));
    else
        demand(x, "the operating system's user must be \"%.*s\"", STR_ARG(x->facts.conn.user));
}

static void demand_method(struct explanation *x, const struct hba_rule *rule)
{
    enum hba_needs needs = hba_method_needs(rule->method);
    const char *asks = hba_method_asks(rule->method);

    if (needs == HBA_NEEDS_PEER)
        demand_os_user(x, rule);
    else if (asks && (needs != HBA_NEEDS_NOTHING || rule->clientcert == CLIENTCERT_NONE))
        demand(x, "%s%s", asks, x->last->tls ? hba_method_asks_over_tls(rule->method) : "");
}

static void find_demands(struct explanation *x)
{
    if (!admits(x->last))
        return;
    const struct hba_rule *rule = x->last->decision.rule;
    if (x->last->tls && x->host.refuses_tls.n > 0) {
        x->refused = true;
        demand(x, "%.*s", STR_ARG(x->host.refuses_tls));
    }
    if (rule->clientcert != CLIENTCERT_NONE)
        demand_certificate(x, rule);
    demand_method(x, rule);
}

/* ---- the narrowest change ---- */

/** Would the connection be admitted with the other transport? Then that is the fix. */
static bool fix_by_transport(struct explanation *x)
{
    struct attempt other = { .tls = !x->last->tls };

    if (x->facts.conn.is_local || x->n_attempts > 1)
        return false;
    enum code code = explain_judge(x, &other);
    x->facts.conn.tls = x->last->tls;
    if (code != OK || !admits(&other))
        return false;
    x->fix = other.tls
                 ? STR("on the client: sslmode=verify-full (or require), so that the connection uses TLS")
                 : STR("on the client: sslmode=disable; better: change the rule so that it admits TLS");
    return true;
}

/** A word of a rule file, quoted where it has to be. */
static enum code quote_word(struct arena *arena, struct str word, bool is_database, struct str *out)
{
    static const char *const database_words[] = { "all", "sameuser", "samerole", "samegroup", "replication" };
    bool quote = word.n == 0 || str_is(word, "all") || word.p[0] == '+' || word.p[0] == '@';
    char *p = arena_alloc(arena, 2 * word.n + 3);
    size_t n = 0;

    if (!p)
        return E_NOMEM;
    quote |= is_database && str_is_one_of(word, database_words, COUNT_OF(database_words));
    for (size_t i = 0; i < word.n; i++)
        quote |= strchr(" ,#\"\t\r\\", word.p[i]) != NULL;
    if (quote)
        p[n++] = '"';
    for (size_t i = 0; i < word.n; i++) {
        if (word.p[i] == '"')
            p[n++] = '"';
        p[n++] = word.p[i];
    }
    if (quote)
        p[n++] = '"';
    *out = str_of(p, n);
    return OK;
}

/** The method of the nearest rule if it proves who somebody is without a password, else SCRAM. */
static const char *method_to_offer(const struct attempt *a, bool tls, bool is_local)
{
    enum hba_method method = a->nearest ? a->nearest->rule->method : HBA_METHOD_SCRAM;
    enum hba_needs needs = hba_method_needs(method);
    bool fits = (needs == HBA_NEEDS_CERT && tls) || (needs == HBA_NEEDS_PEER && is_local);

    return hba_method_name(fits ? method : HBA_METHOD_SCRAM);
}

static enum code fix_by_line(struct explanation *x)
{
    const struct conn_facts *conn = &x->facts.conn;
    const struct attempt *a = x->last;
    bool tls = x->attempts[0].tls || a->tls;
    const char *method = method_to_offer(a, tls, conn->is_local);
    bool physical = conn->replication == REPLICATION_PHYSICAL;
    struct str database = STR("replication"), user, where = STR("at the end of the file");
    char host[NI_MAXHOST];

    if (!physical)
        TRY(quote_word(x->arena, conn->database, true, &database));
    TRY(quote_word(x->arena, conn->user, false, &user));
    conn_facts_host(conn, host, sizeof host);
    if (a->decision.verdict == VERDICT_RULE &&
        !arena_printf(x->arena, &where, "before line %u of %.*s", a->decision.rule->line,
                      STR_ARG(a->decision.rule->file)))
        return E_NOMEM;
    bool ok = conn->is_local ? arena_printf(x->arena, &x->fix, "%.*s: local %.*s %.*s %s", STR_ARG(where),
                                            STR_ARG(database), STR_ARG(user), method)
                             : arena_printf(x->arena, &x->fix, "%.*s: %s %.*s %.*s %s/%d %s", STR_ARG(where),
                                            tls ? "hostssl" : "hostnossl", STR_ARG(database), STR_ARG(user),
                                            host, conn->peer.ss_family == AF_INET ? 32 : 128, method);
    return ok ? OK : E_NOMEM;
}

static enum code find_fix(struct explanation *x)
{
    if (admits(x->last))
        return OK;
    return fix_by_transport(x) ? OK : fix_by_line(x);
}

/* ---- telling ---- */

static const char *decision_word(const struct explanation *x)
{
    if (x->last->decision.verdict == VERDICT_NO_RULE)
        return "implicit reject";
    return admits(x->last) && !x->refused ? "accept" : "reject";
}

/* The line that decided, in the words it was written in. */
static struct str rule_text(const struct explanation *x, const struct hba_rule *rule)
{
    struct str text;

    return hba_rule_redacted(x->arena, rule, &text) ? text : STR("");
}

static void json_member(FILE *out, const char *name, struct str text)
{
    (void)fprintf(out, "\"%s\": ", name);
    if (text.p)
        json_text(out, text);
    else
        (void)fputs("null", out);
}

static void json_texts(FILE *out, const struct str *texts, size_t n)
{
    (void)fputc('[', out);
    for (size_t i = 0; i < n; i++) {
        (void)fputs(i ? ", " : "", out);
        json_text(out, texts[i]);
    }
    (void)fputc(']', out);
}

static void json_skipped(FILE *out, const struct skipped *s)
{
    (void)fputc('{', out);
    json_member(out, "file", s->rule->file);
    (void)fprintf(out, ", \"line\": %u, ", s->rule->line);
    json_member(out, "failed", str_c(match_field_name(s->failed)));
    (void)fputs(", ", out);
    json_member(out, "why", s->why);
    (void)fputc('}', out);
}

static void print_json(const struct explanation *x)
{
    FILE *out = x->cmd->out;
    const struct attempt *a = x->last;
    const struct hba_rule *rule = a->decision.rule;
    struct err refusal;

    (void)fprintf(out, "{\"decision\": \"%s\",\n \"matched\": ", decision_word(x));
    if (a->decision.verdict == VERDICT_RULE) {
        (void)fputc('{', out);
        json_member(out, "file", rule->file);
        (void)fprintf(out, ", \"line\": %u, ", rule->line);
        json_member(out, "text", rule_text(x, rule));
        (void)fputs(", ", out);
        json_member(out, "method", str_c(hba_method_name(rule->method)));
        (void)fputc('}', out);
    } else {
        (void)fputs("null", out);
    }
    (void)fprintf(out, ",\n \"tls\": %s,\n \"demands\": ", a->tls ? "true" : "false");
    json_texts(out, x->demands, x->n_demands);
    (void)fputs(",\n \"skipped\": [", out);
    for (size_t i = 0; i < a->n_skipped; i++) {
        (void)fputs(i ? ",\n  " : "\n  ", out);
        json_skipped(out, &a->skipped[i]);
    }
    (void)fputs("],\n \"nearest\": ", out);
    if (a->nearest && !admits(a))
        json_skipped(out, a->nearest);
    else
        (void)fputs("null", out);
    (void)fputs(",\n ", out);
    json_member(out, "fix", x->fix);
    (void)fputs(",\n ", out);
    if (!admits(a))
        (void)policy_refusal(&x->facts.conn, &a->decision, &refusal);
    json_member(out, "refusal", admits(a) ? str_of(NULL, 0) : str_c(refusal.message));
    (void)fputs(",\n \"notes\": ", out);
    json_texts(out, x->notes, x->n_notes);
    (void)fputs("}\n", out);
}

static void print_text(const struct explanation *x)
{
    FILE *out = x->cmd->out;
    const struct attempt *a = x->last;
    const struct hba_rule *rule = a->decision.rule;
    struct err refusal;

    for (size_t i = 0; i < x->n_notes; i++)
        (void)fprintf(out, "note      %.*s\n", STR_ARG(x->notes[i]));
    for (size_t i = 0; i < a->n_skipped; i++)
        (void)fprintf(out, "skipped   %.*s:%u  %-8s  %.*s\n", STR_ARG(a->skipped[i].rule->file),
                      a->skipped[i].rule->line, match_field_name(a->skipped[i].failed),
                      STR_ARG(a->skipped[i].why));
    if (a->decision.verdict == VERDICT_RULE)
        (void)fprintf(out, "matched   %.*s:%u  %.*s\n", STR_ARG(rule->file), rule->line,
                      STR_ARG(rule_text(x, rule)));
    bool good = admits(a) && !x->refused;
    (void)fprintf(out, "decision  %s%s%s", cmd_tint(x->cmd, good ? TINT_GOOD : TINT_BAD), decision_word(x),
                  cmd_tint_end(x->cmd));
    if (a->decision.verdict == VERDICT_RULE)
        (void)fprintf(out, " (%s)", hba_method_name(rule->method));
    (void)fputc('\n', out);
    if (!admits(a)) {
        (void)policy_refusal(&x->facts.conn, &a->decision, &refusal);
        (void)fprintf(out, "client    FATAL:  %s\n", refusal.message);
    }
    for (size_t i = 0; i < x->n_demands; i++)
        (void)fprintf(out, "demands   %.*s\n", STR_ARG(x->demands[i]));
    if (a->nearest && !admits(a))
        (void)fprintf(out, "nearest   %.*s:%u  %.*s\n", STR_ARG(a->nearest->rule->file),
                      a->nearest->rule->line, STR_ARG(a->nearest->why));
    if (x->fix.p)
        (void)fprintf(out, "fix       %.*s\n", STR_ARG(x->fix));
}

/* ---- all of it ---- */

static int explain(struct explanation *x)
{
    for (size_t i = 0; i < x->facts.n_notes; i++)
        note_str(x, x->facts.notes[i]);
    if (x->facts.host.p)
        explain_note(x, "host= names the server: rules do not use it");
    if (x->facts.tls_assumed)
        explain_note(x, "neither tls= nor sslmode= was given: assuming a connection with TLS");
    if (x->facts.n_attempts > 1)
        explain_note(x, x->facts.attempts[0] ? "sslmode=prefer: with TLS first, then without"
                                             : "sslmode=allow: without TLS first, then with it");
    enum code code = judge_all(x);
    if (code == OK) {
        find_demands(x);
        code = find_fix(x);
    }
    if (code != OK)
        return cmd_error(x->cmd, &(struct err){ .code = code });
    if (x->cmd->json)
        print_json(x);
    else
        print_text(x);
    return admits(x->last) && !x->refused ? EXIT_FINE : EXIT_FINDING;
}

int cmd_explain(struct cmd *cmd)
{
    AUTO(arena) struct arena arena;
    AUTO(policy) struct policy *policy = NULL;
    struct explanation x = { .cmd = cmd, .arena = &arena };
    struct diags diags;

    arena_init(&arena, EXPLAIN_ARENA_MAX, EXPLAIN_ARENA_FIRST);
    diags_init(&diags, &arena);
    int status = facts_read(cmd, &arena, &x.facts);
    if (status < 0)
        status = explain_load(cmd, x.facts.sni, &policy, &x.host, &diags);
    if (status >= 0)
        return status;
    x.policy = policy;
    return explain(&x);
}
