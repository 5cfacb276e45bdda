#include "audit/rehearse.h"

#include "audit/subject.h"
#include "base/arena.h"
#include "base/check.h"
#include "conf/settings.h"
#include "policy/method.h"
#include "policy/policy.h"

#include <arpa/inet.h>

enum { DATABASES_MAX = 64, ADDRESS_MAX = 64 };

struct play {
    const struct rehearse_params *params;
    const struct known_client *client;
    struct arena *arena;
    bool nomem;
};

static struct str rehearse_text(struct play *p, const char *fmt, ...) PRINTF_LIKE(2, 3);
static struct str rehearse_text(struct play *p, const char *fmt, ...)
{
    struct str out = STR("");
    va_list args;

    va_start(args, fmt);
    if (!arena_vprintf(p->arena, &out, fmt, args))
        p->nomem = true;
    va_end(args);
    return out;
}

/* ---- what the rules say ---- */

static bool set_peer(struct conn_facts *facts, struct str address)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)(void *)&facts->peer;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)(void *)&facts->peer;
    char host[ADDRESS_MAX];

    facts->is_local = address.n == 0;
    if (facts->is_local)
        return true;
    for (size_t i = 0; i < address.n; i++) /* the zone of a link-local address */
        if (address.p[i] == '%')
            address = str_first(address, i);
    if (!str_to_c(address, host, sizeof host))
        return false;
    facts->peer.ss_family = AF_INET;
    if (inet_pton(AF_INET, host, &v4->sin_addr) == 1)
        return true;
    facts->peer.ss_family = AF_INET6;
    return inet_pton(AF_INET6, host, &v6->sin6_addr) == 1;
}

static enum code decide_by(struct play *p, const struct audit_subject *by, struct str database, bool tls,
                           struct decision *out)
{
    const struct rehearse_params *params = p->params;
    struct conn_facts facts = { .tls = tls && p->client->address.n > 0,
                                .replication = p->client->replication ? REPLICATION_PHYSICAL
                                                                      : REPLICATION_NONE,
                                .user = p->client->user,
                                .database = database,
                                .ifaces = by->ifaces };
    enum code code = OK;

    if (!set_peer(&facts, p->client->address))
        return E_PARAM;
    for (unsigned i = 0; i < 3; i++) {
        code = policy_match(by->policy, &facts, NULL, out);
        if (code != E_NEED_NAME || !params->look_up)
            break;
        params->look_up(p->arena, &facts, out->need);
    }
    return code;
}

static enum code decide(struct play *p, struct str database, bool tls, struct decision *out)
{
    return decide_by(p, p->params->proposed, database, tls, out);
}

/* ---- what comes of it ---- */

static const struct subject_role *role_of(const struct play *p)
{
    const struct audit_subject *current = p->params->current;

    for (size_t i = 0; current && i < current->n_roles; i++)
        if (str_equal(current->roles[i].name, p->client->user))
            return &current->roles[i];
    return NULL;
}

static struct rehearsed_client rehearse_refused(struct play *p, const struct hba_rule *rule, struct str why,
                                                struct str change)
{
    return (struct rehearsed_client){ p->client, REHEARSED_OUT, rule, why, change };
}

static struct rehearsed_client doubtful(struct play *p, const struct hba_rule *rule, struct str why,
                                        struct str change)
{
    return (struct rehearsed_client){ p->client, REHEARSED_UNKNOWN, rule, why, change };
}

static bool takes(const struct decision *d)
{
    return d->verdict == VERDICT_RULE && d->rule->method != HBA_METHOD_REJECT;
}

/* By which method it was let in: as it was seen, else as the rules of today say. Empty: not known. */
static struct str method_today(struct play *p, struct str database)
{
    const struct audit_subject *current = p->params->current;
    struct decision d;

    if (p->client->method.n > 0 || !current || !current->policy ||
        decide_by(p, current, database, p->client->tls, &d) != OK || !takes(&d))
        return p->client->method;
    return str_c(hba_method_name(d.rule->method));
}

/* Has it never been offered TLS? */
static bool never_asked(const struct play *p)
{
    const struct audit_subject *current = p->params->current;

    return !p->client->tls && current && current->settings_seen && !current->settings->ssl;
}

/* Nobody lets it in. Would TLS help? */
static struct rehearsed_client shut_out(struct play *p, struct str database, const struct decision *d)
{
    const struct hba_rule *rule = d->verdict == VERDICT_RULE ? d->rule : NULL;
    struct str why = rule ? STR("a rule rejects it") : STR("no rule admits it");
    struct decision sealed;

    if (!p->client->tls && p->client->address.n > 0 && decide(p, database, true, &sealed) == OK &&
        takes(&sealed)) {
        if (never_asked(p))
            return doubtful(
                p, rule,
                rehearse_text(p, "%.*s without TLS, which the server does not offer yet", STR_ARG(why)),
                STR("libpq and most drivers use TLS when it is offered; check those that must be configured "
                    "to"));
        return rehearse_refused(
            p, rule, rehearse_text(p, "%.*s without TLS", STR_ARG(why)),
            rehearse_text(
                p, "have it use TLS: sslmode=verify-full with the CA in sslrootcert; then line %u admits it",
                sealed.rule->line));
    }
    return rehearse_refused(p, rule, why,
                            rehearse_text(p, "to admit it, add a rule: %s %.*s \"%.*s\" %.*s%s scram-sha-256",
                                          p->client->address.n == 0 ? "local" : "hostssl",
                                          STR_ARG(p->client->replication ? STR("replication") : database),
                                          STR_ARG(p->client->user), STR_ARG(p->client->address),
                                          p->client->address.n == 0                                 ? ""
                                          : memchr(p->client->address.p, ':', p->client->address.n) ? "/128"
                                                                                                    : "/32"));
}

/* The least version that is asked for. */
static bool too_old(const struct play *p)
{
    const struct audit_subject *proposed = p->params->proposed;

    return p->client->tls && p->client->tls_version.n > 0 && proposed->settings_seen &&
           str_compare(p->client->tls_version,
                       str_c(conf_tls_version_name(proposed->settings->ssl_min_protocol_version))) < 0;
}

static struct rehearsed_client check_certificate(struct play *p, const struct hba_rule *rule)
{
    struct str change = rehearse_text(
        p, "give it a certificate: pgseal cert issue %.*s; then sslcert and sslkey",
        STR_ARG(p->client->user));

    if (p->client->cert == KNOWN_CERT_NONE || !p->client->tls)
        return rehearse_refused(p, rule, STR("the rule demands a client certificate, and it presents none"),
                                change);
    if (p->client->cert == KNOWN_CERT_PRESENTED && rule->clientcert == CLIENTCERT_VERIFY_FULL)
        return doubtful(p, rule, STR("whether its certificate's name matches the user is not known"),
                        STR("compare them"));
    return doubtful(p, rule, STR("the rule demands a client certificate; whether it has one is not known"),
                    change);
}

static bool had_password(struct str method)
{
    return method.n == 0 || str_is(method, "scram-sha-256") || str_is(method, "md5") ||
           str_is(method, "password");
}

/* A rule takes it. Will it get through? */
static struct rehearsed_client let_in(struct play *p, const struct hba_rule *rule, struct str method)
{
    const struct subject_role *role = role_of(p);
    enum hba_needs needs = hba_method_needs(rule->method);
    bool password = needs == HBA_NEEDS_SCRAM || needs == HBA_NEEDS_MD5_OR_SCRAM ||
                    needs == HBA_NEEDS_CLEARTEXT;

    if (too_old(p))
        return rehearse_refused(
            p, NULL,
            rehearse_text(p, "it uses %.*s, and ssl_min_protocol_version is %s",
                          STR_ARG(p->client->tls_version),
                          conf_tls_version_name(p->params->proposed->settings->ssl_min_protocol_version)),
            STR("update its TLS library, or its driver"));
    if (rule->clientcert != CLIENTCERT_NONE &&
        !(p->client->cert == KNOWN_CERT_PRESENTED && rule->clientcert == CLIENTCERT_VERIFY_CA))
        return check_certificate(p, rule);
    if (needs == HBA_NEEDS_SCRAM && role && role->secret == SECRET_MD5)
        return rehearse_refused(p, rule, STR("the rule asks for SCRAM, and the secret of its role is md5"),
                                STR("set its password again with password_encryption = scram-sha-256"));
    if (password && role && role->secret == SECRET_NONE)
        return rehearse_refused(p, rule, STR("the rule asks for a password, and its role has none"),
                                STR("give the role a password, and the client too"));
    if (password && !had_password(method))
        return doubtful(
            p, rule, rehearse_text(p, "the rule asks for a password; it logged in by %.*s", STR_ARG(method)),
            STR("give the role a password, and the client too"));
    if (needs == HBA_NEEDS_PEER && method.n > 0 && !str_is(method, "peer"))
        return doubtful(
            p, rule,
            rehearse_text(p, "the rule asks for the account's name; it logged in by %.*s", STR_ARG(method)),
            STR("make sure that its account has the name of its role, or use a password"));
    return (struct rehearsed_client){ p->client, REHEARSED_IN, rule, STR(""), STR("") };
}

static struct rehearsed_client play_in(struct play *p, struct str database)
{
    bool tls = p->client->tls;
    struct decision d;
    enum code code = decide(p, database, tls, &d);

    bool libpq = p->client->replication && never_asked(p);          /* a standby's connection */
    if (code == OK && !takes(&d) && (p->client->upgrades || libpq)) /* it tries again in TLS, by itself */
        code = decide(p, database, true, &d);
    if (code == OK)
        return takes(&d) ? let_in(p, d.rule, method_today(p, database)) : shut_out(p, database, &d);
    if (code == E_NOMEM)
        p->nomem = true;
    return doubtful(p, NULL,
                    code == E_NEED_ROLES
                        ? STR("it depends on the roles of its user, which are not known here")
                    : code == E_NEED_NAME ? STR("it depends on the name of its host, which is not known here")
                                          : STR("its address cannot be read"),
                    STR(""));
}

/* ---- databases that nobody told ---- */

/* Those that rules name, and one that none does. */
static size_t list_databases(const struct play *p, struct str out[DATABASES_MAX])
{
    const struct policy *policy = p->params->proposed->policy;
    size_t n = 0;

    out[n++] = STR("some other database");
    out[n++] = p->client->user;
    for (size_t i = 0; i < policy_rule_count(policy); i++) {
        const struct hba_rule *rule = policy_rule(policy, i);
        for (size_t d = 0; d < rule->n_databases && n < DATABASES_MAX; d++)
            if (rule->databases[d].kind == HBA_NAME_EXACT)
                out[n++] = rule->databases[d].text;
    }
    return n;
}

static struct rehearsed_client play(struct play *p)
{
    struct str databases[DATABASES_MAX], in = STR(""), out = STR("");
    struct rehearsed_client first, other;

    if (p->client->replication)
        return play_in(p, STR(""));
    if (p->client->database.p)
        return play_in(p, p->client->database);
    size_t n = list_databases(p, databases);
    first = play_in(p, databases[0]);
    bool differs = false;
    for (size_t i = 0; i < n; i++) {
        other = play_in(p, databases[i]);
        differs = differs || other.outcome != first.outcome;
        if (other.outcome == REHEARSED_IN && in.n == 0)
            in = databases[i];
        if (other.outcome == REHEARSED_OUT && out.n == 0)
            out = databases[i];
    }
    if (!differs)
        return first;
    return doubtful(
        p, NULL,
        in.n > 0 && out.n > 0
            ? rehearse_text(
                  p, "its database is not known: it would be admitted to \"%.*s\", but not to \"%.*s\"",
                  STR_ARG(in), STR_ARG(out))
            : STR("its database is not known, and the rules differ by database"),
        STR(""));
}

enum code rehearse(const struct rehearse_params *params, const struct known_clients *known,
                   struct rehearsal *out)
{
    struct rehearsed_client *played = arena_array(params->arena, known->n, sizeof *played);
    struct rehearsed_client *sorted = arena_array(params->arena, known->n, sizeof *sorted);
    size_t n = 0;

    *out = (struct rehearsal){ .items = sorted, .n = known->n };
    if (!played || !sorted)
        return E_NOMEM;
    for (size_t i = 0; i < known->n; i++) {
        struct play p = { .params = params, .client = &known->items[i], .arena = params->arena };
        played[i] = play(&p);
        out->counts[played[i].outcome]++;
        if (p.nomem)
            return E_NOMEM;
    }
    for (unsigned outcome = 0; outcome < REHEARSED_OUTCOMES; outcome++)
        for (size_t i = 0; i < known->n; i++)
            if (played[i].outcome == outcome)
                sorted[n++] = played[i];
    return OK;
}
