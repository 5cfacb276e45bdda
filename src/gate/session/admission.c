/* What admit, exchange and upstream say and do alike: who is admitted, refused, looked up. */
#include "gate/session/admission.h"

#include "auth/password.h"
#include "base/check.h"
#include "base/env.h"
#include "gate/session/console.h"
#include "gate/upstream/lookup.h"
#include "gate/work/worker.h"
#include "policy/ident.h"
#include "policy/method.h"

bool route_hides_user(const struct session *s)
{
    const struct settings_logins *logins = &s->admission->route->upstream_login;

    if (session_is_console(s))
        return true;
    for (size_t i = 0; i < logins->n; i++)
        if (logins->at[i] == CONF_LOGIN_SERVICE)
            return true;
    return false;
}

enum code admission_failed(const struct session *s, struct err *e)
{
    const struct str user = s->startup.user;

    const char *refusal = hba_method_refusal(s->rule->method);
    bool by_secret = hba_method_how(s->rule->method) == HBA_HOW_SECRET;

    if (refusal)
        return err_set(e, by_secret ? E_PASSWORD : E_AUTH, "%s authentication failed for user \"%.*s\"",
                       refusal, STR_ARG(user));
    return err_set(e, E_AUTH, "authentication failed for user \"%.*s\": invalid authentication method",
                   STR_ARG(user));
}

/* Like admission_failed(), with a reason that stays in the log. */
enum step admission_refuse(struct session *s, const char *reason, struct err *e)
{
    struct log_line line;

    session_log(s, &line, SEV_LOG, "authentication_failed");
    log_c(&line, "method", hba_method_name(s->rule->method));
    log_c(&line, "reason", reason);
    log_end(&line);
    (void)admission_failed(s, e);
    return session_fail(s, PARTING_FATAL);
}

static void log_authenticated(struct session *s)
{
    struct log_line line;

    if (!(session_settings(s)->log_connections & 1u << CONF_LOG_AUTHENTICATION))
        return;
    session_log(s, &line, SEV_LOG, "connection_authenticated");
    if (s->identity.p)
        log_str(&line, "identity", s->identity);
    log_c(&line, "method", hba_method_name(s->rule->method));
    log_str(&line, "file", s->rule->file);
    log_int(&line, "line", s->rule->line);
    log_end(&line);
}

/* Known, and logged, before a map or the certificate's name may refuse [src: PostgreSQL 18, set_authn_id]. */
void admission_identified(struct session *s, struct str identity)
{
    if (s->identity.p)
        return;
    s->identity = identity;
    log_authenticated(s);
}

/* E_NEED_ROLES: a map line asks for memberships. Otherwise OK or E_AUTH with the reason in `why`. */
static enum code check_certificate_name(struct session *s, struct err *why)
{
    const struct tls_facts *t = &s->tls;
    bool by_dn = s->rule->clientname == CLIENTNAME_DN;

    if (!by_dn && !t->cert.has_cn)
        return err_set(
            why, E_AUTH,
            "certificate authentication failed for user \"%.*s\": client certificate contains no user name",
            STR_ARG(s->startup.user));
    const struct ident_question question = {
        .map = s->rule->map,
        .role = s->startup.user,
        .name = by_dn ? t->cert.dn : t->cert.cn,
        .roles = s->admission->facts.roles,
    };
    return ident_check(snapshot_policy(s->snapshot), &question, why);
}

/* Each of the certificate's alternative names in turn, the first that may act as the user. As above. */
static enum code find_alternative_name(struct session *s, struct str *out, struct err *why)
{
    const struct peer_cert *cert = &s->tls.cert;
    struct ident_question question = { .map = s->rule->map,
                                       .role = s->startup.user,
                                       .roles = s->admission->facts.roles };
    enum code first = OK;

    for (size_t i = 0; i < cert->n_sans; i++) {
        struct err ignored;
        question.name = cert->sans[i];
        enum code code = ident_check(snapshot_policy(s->snapshot), &question, i == 0 ? why : &ignored);
        if (code == OK)
            *out = cert->sans[i];
        if (code == OK || code == E_NEED_ROLES || code == E_NOMEM)
            return code;
        first = i == 0 ? code : first;
    }
    if (cert->n_sans > 1)
        err_detail(why, "The certificate has %zu alternative names, and none of them fits.", cert->n_sans);
    return cert->n_sans > 0 ? first
                            : err_set(why, E_AUTH,
                                      "certificate authentication failed for user \"%.*s\": client "
                                      "certificate contains no alternative name",
                                      STR_ARG(s->startup.user));
}

static const char *name_mismatch(const struct hba_rule *rule)
{
    switch (rule->clientname) {
    case CLIENTNAME_CN:
        return "CN mismatch";
    case CLIENTNAME_DN:
        return "DN mismatch";
    case CLIENTNAME_SAN:
        return "SAN mismatch";
    }
    UNREACHABLE();
}

static enum code refuse_name(struct session *s, const struct err *why, struct err *e)
{
    struct log_line line;

    session_log(s, &line, SEV_LOG, "authentication_failed");
    log_c(&line, "method", hba_method_name(s->rule->method));
    log_c(&line, "reason", err_text(why));
    if (why->detail[0])
        log_c(&line, "detail", why->detail);
    if (hba_method_needs(s->rule->method) != HBA_NEEDS_CERT)
        log_c(&line, "clientcert", name_mismatch(s->rule));
    log_end(&line);
    s->cause = CAUSE_MAP_OTHER_USER;
    return admission_failed(s, e);
}

enum code admission_succeeded(struct session *s, struct err *e)
{
    enum hba_needs needs = hba_method_needs(s->rule->method);
    bool by_san = s->rule->clientcert == CLIENTCERT_VERIFY_FULL && s->rule->clientname == CLIENTNAME_SAN;
    struct str name = s->tls.cert.dn;
    struct err why = { 0 };
    enum code code = OK;

    if (by_san) /* which of them is the identity, the map says */
        code = find_alternative_name(s, &name, &why);
    if (code == E_NEED_ROLES)
        return code;
    if (needs == HBA_NEEDS_CERT)
        admission_identified(s, name);
    else if (needs != HBA_NEEDS_NOTHING &&
             needs != HBA_NEEDS_PEER) /* who is at a socket's end is known already */
        admission_identified(s, s->startup.user);
    if (s->rule->clientcert == CLIENTCERT_VERIFY_FULL && !by_san)
        code = check_certificate_name(s, &why);
    if (code != OK)
        return code == E_NEED_ROLES ? code : refuse_name(s, &why, e);
    if (!s->identity.p) /* `trust` proves nothing, and is told anyway */
        log_authenticated(s);
    s->admitted_mono_us = env_mono_us(session_env(s));
    return OK;
}

static void on_lookup(void *arg)
{
    session_resume(arg);
}

/* Ask the upstream server for memberships or the secret; the answer is picked up by the next step. */
enum step admission_look_up(struct session *s, enum lookup_kind kind, struct err *e)
{
    struct admission *a = s->admission;
    const struct lookup_question question = {
        s->snapshot, a->route, kind, s->startup.user, a->roles_refreshed, prefix_of_address(&s->peer.ss)
    };

    a->lookup = lookup_new(s->worker, &question, on_lookup, s);
    if (!a->lookup) {
        err_set(e, E_NOMEM, "out of memory");
        return session_fail(s, PARTING_FATAL);
    }
    return STEP_JOB;
}

enum step admission_done(struct session *s)
{
    s->admission->stage = ADMIT_DONE;
    return session_goto(s, STATE_ROUTE);
}

/* No server will see this user's own login, and auth_query can tell whether it is allowed. */
static bool must_ask_for_login(const struct session *s)
{
    const struct admission *a = s->admission;

    return a->route->auth_source == CONF_AUTH_QUERY && !a->credential_requested && route_hides_user(s);
}

enum step admission_proved(struct session *s, struct err *e)
{
    struct admission *a = s->admission;
    enum code code = admission_succeeded(s, e);

    if (code == E_NEED_ROLES) {
        a->stage = ADMIT_PROVED;
        return admission_look_up(s, LOOKUP_ROLES, e);
    }
    if (code != OK) {
        /* As from PostgreSQL: the exchange succeeded, the name did not. */
        buf_append_buf(&s->out, &a->final);
        return session_fail(s, PARTING_FATAL);
    }
    if (!must_ask_for_login(s))
        return admission_done(s);
    a->stage = ADMIT_LOGIN;
    return admission_look_up(s, LOOKUP_SECRET, e);
}

static enum code wrong_type(enum proof_kind kind, uint8_t type, struct err *e)
{
    switch (kind) {
    case PROOF_PASSWORD:
        return password_wrong_type(type, e);
    case PROOF_SASL:
        return sasl_wrong_type(type, e);
    case PROOF_GSS:
        return gss_wrong_type(type, e);
    }
    UNREACHABLE();
}

enum code admission_take(struct session *s, enum proof_kind kind, struct msg *out, size_t *used,
                         struct err *e)
{
    /* Of the two that speak SASL only SCRAM is short [src: PostgreSQL 18, pg_be_oauth_mech]. */
    bool scram = kind == PROOF_SASL && hba_method_needs(s->rule->method) != HBA_NEEDS_OAUTHBEARER;

    if (s->in.n > 0 && s->in.p[0] != 'p') {
        s->parting = PARTING_FATAL;
        return wrong_type(kind, s->in.p[0], e);
    }
    enum code code = msg_next(buf_bytes(&s->in), scram ? MSG_SCRAM_MAX : MSG_PASSWORD_MAX, out, used);
    if (code == E_MORE && s->flags & SESSION_DEAF && s->in.n == 0) {
        s->parting = PARTING_SILENT;
        return E_CLOSED;
    }
    if (code == E_PROTOCOL || (code == E_MORE && s->flags & SESSION_DEAF)) {
        s->parting = kind == PROOF_PASSWORD ? PARTING_LOGGED : PARTING_FATAL;
        return kind == PROOF_PASSWORD ? err_set(e, E_PROTOCOL, "invalid message length")
                                      : admission_failed(s, e);
    }
    return code;
}
