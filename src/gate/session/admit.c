/*
 * Policy and authentication.
 *
 * Facts × policy → the first matching rule; then what the rule demands, in PostgreSQL's order: certificate,
 * method (its unit: method.h), certificate's name [src: PostgreSQL 18, ClientAuthentication]. Under auth_source = upstream a
 * password is judged by the upstream server: the exchange then follows in the room upstream.
 */
#include "gate/session/admit.h"

#include "base/check.h"
#include "gate/session/admission.h"
#include "gate/session/console.h"
#include "gate/session/exchange.h"
#include "gate/session/method.h"
#include "gate/session/method_peer.h"
#include "gate/upstream/derive.h"
#include "gate/upstream/lookup.h"
#include "gate/work/worker.h"
#include "net/resolve.h"
#include "policy/match_text.h"
#include "policy/method.h"
#include "tls/context.h"

/* ---- lookups ---- */

static void on_name(void *arg, int gai_error, const struct addrinfo *found, const char *name)
{
    struct session *s = arg;
    struct name_lookup *lookup = &s->admission->facts.lookup;
    bool forward = lookup->state == NAME_REVERSE;

    s->resolve = NULL;
    if (gai_error != 0) {
        lookup->state = forward ? NAME_FORWARD_FAILED : NAME_REVERSE_FAILED;
        lookup->gai_error = gai_error;
    } else if (!forward) {
        lookup->state = arena_str(&s->arena, str_c(name), &lookup->name) ? NAME_REVERSE : NAME_REVERSE_FAILED;
        lookup->gai_error = lookup->state == NAME_REVERSE ? 0 : EAI_MEMORY;
        s->peer_name = lookup->name;
    } else {
        lookup->state = NAME_MISMATCH;
        for (; found; found = found->ai_next)
            if (peer_address_equal(&s->peer.ss, found->ai_addr))
                lookup->state = NAME_CONFIRMED;
    }
    session_resume(s);
}

static enum step look_up_name(struct session *s, enum match_need need, struct err *e)
{
    struct loop *loop = s->worker->loop;
    char host[256];

    if (need == MATCH_NEED_REVERSE)
        s->resolve = resolve_reverse(loop, &s->peer.ss, on_name, s);
    else if (str_to_c(s->admission->facts.lookup.name, host, sizeof host))
        s->resolve = resolve_forward(loop, &(struct resolve_name){ &s->peer.ss, host, "" }, on_name, s);
    if (!s->resolve) {
        err_set(e, E_NOMEM, "out of memory");
        return session_fail(s, PARTING_FATAL);
    }
    return STEP_JOB;
}

static enum step lookup_lost(struct session *s, const struct err *why, struct err *e)
{
    struct log_line line;

    session_log(s, &line, SEV_LOG, "lookup_failed");
    log_err(&line, why);
    log_end(&line);
    /* The status database tells what is wrong with the server: who needs no password for it gets there. */
    if (s->admission->stage == ADMIT_LOGIN && session_is_console(s))
        return STEP_DONE;
    if (why->sqlstate[0] || why->code == E_CONFIG)
        s->cause = CAUSE_LOOKUP;
    err_set(e, E_UNAVAILABLE, "could not look up user \"%.*s\" on the server", STR_ARG(s->startup.user));
    return session_fail(s, PARTING_FATAL);
}

/* ---- what the rule demands ---- */

static enum code check_certificate(struct session *s, struct err *e)
{
    if (s->rule->clientcert == CLIENTCERT_NONE)
        return OK;
    if (!s->tls.context || !tls_context_verifies_clients(s->tls.context))
        return err_set(e, E_CONFIG,
                       "client certificates can only be checked if a root certificate store is available");
    if (!s->tls.has_cert) {
        s->cause = CAUSE_CERT_MISSING;
        return err_set(e, E_AUTH, "connection requires a valid client certificate");
    }
    return OK;
}

/* The gate reads the secret itself, or leaves the exchange to the upstream server. */
static enum step find_secret(struct session *s, struct err *e)
{
    struct admission *a = s->admission;

    switch (a->route->auth_source) {
    case CONF_AUTH_UPSTREAM:
        a->relayed = true;
        return session_goto(s, STATE_ROUTE);
    case CONF_AUTH_FILE:
        exchange_read_userlist(s);
        return a->method->begin(s, e);
    case CONF_AUTH_QUERY:
        a->stage = ADMIT_SECRET;
        a->credential_requested = true;
        return admission_look_up(s, LOOKUP_SECRET, e);
    }
    UNREACHABLE();
}

/* Would TLS have helped? Where that takes another look-up nothing is claimed. */
static bool wants_encryption(struct session *s)
{
    struct conn_facts facts = s->admission->facts;
    struct decision decision;

    if (facts.tls || facts.is_local || !snapshot_tls(s->snapshot, s->worker->index))
        return false;
    facts.tls = true;
    return policy_match(snapshot_policy(s->snapshot), &facts, NULL, &decision) == OK &&
           decision.verdict == VERDICT_RULE && decision.rule->method != HBA_METHOD_REJECT;
}

/* No rule, or one that says reject. */
static enum step turn_away(struct session *s, struct err *e)
{
    struct admission *a = s->admission;

    if (wants_encryption(s))
        s->cause = CAUSE_NO_ENCRYPTION;
    else
        s->cause = a->decision.verdict == VERDICT_RULE ? CAUSE_REJECTED : CAUSE_NO_RULE;
    (void)policy_refusal(&a->facts, &a->decision, e);
    return session_fail(s, PARTING_FATAL);
}

static enum step demand(struct session *s, struct err *e)
{
    struct admission *a = s->admission;

    if (check_certificate(s, e) != OK)
        return session_fail(s, PARTING_FATAL);
    if (s->rule->method == HBA_METHOD_REJECT)
        return turn_away(s, e);
    a->method = method_of(s->rule->method);
    switch (hba_method_how(s->rule->method)) {
    case HBA_HOW_GATE:
        return a->method->begin(s, e);
    case HBA_HOW_SECRET:
        return find_secret(s, e);
    case HBA_HOW_RELAYED:
        if (a->route->auth_source == CONF_AUTH_UPSTREAM)
            return find_secret(s, e);
        break;
    case HBA_HOW_NEVER:
    case HBA_HOW_ABSENT:
        break;
    }
    return admission_refuse(s, "the gate cannot perform this method for this database", e);
}

/* Over a unix socket the gate's own user, or root, always reaches the status database. */
static bool is_own(struct session *s)
{
    uid_t uid;
    gid_t gid;

    if (!session_is_local(s) || !session_is_console(s) || !socket_peer_ids(s->client.fd, &uid, &gid))
        return false;
    return uid == 0 || uid == s->worker->shared->uid;
}

static enum step admit_own(struct session *s, struct err *e)
{
    enum step found = method_peer_find_user(s, e);

    if (found != STEP_DONE)
        return found;
    s->origin = ORIGIN_OWNER;
    if (!s->admission->os_user_error)
        s->identity = s->admission->os_user;
    s->admission->stage = ADMIT_DONE;
    return session_goto(s, STATE_ROUTE);
}

static enum step match(struct session *s, struct err *e)
{
    struct admission *a = s->admission;

    if (is_own(s))
        return admit_own(s, e);
    enum code code = policy_match(snapshot_policy(s->snapshot), &a->facts, NULL, &a->decision);
    if (code == E_NEED_NAME)
        return look_up_name(s, a->decision.need, e);
    if (code == E_NEED_ROLES)
        return admission_look_up(s, LOOKUP_ROLES, e);
    if (code != OK) {
        err_set(e, E_NOMEM, "out of memory");
        return session_fail(s, PARTING_FATAL);
    }
    bool refused = a->decision.verdict == VERDICT_NO_RULE || a->decision.rule->method == HBA_METHOD_REJECT;
    if (refused && a->roles_cached) { /* a membership that was granted or revoked meanwhile counts */
        a->roles_refreshed = true;
        return admission_look_up(s, LOOKUP_ROLES, e);
    }
    if (a->decision.verdict == VERDICT_NO_RULE)
        return turn_away(s, e);
    s->rule = a->decision.rule;
    snapshot_hit(s->snapshot, s->rule, session_env(s)->now_unix_us(session_env(s)->ctx));
    return demand(s, e);
}

static bool admit_begin(struct session *s)
{
    struct admission *a = ARENA_NEW(&s->scratch, struct admission);

    if (!a)
        return false;
    a->route = session_route(s);
    a->final = BUF_INIT(MSG_SCRAM_MAX);
    a->facts = (struct conn_facts){
        .is_local = session_is_local(s),
        .tls = s->tls.used,
        .replication = s->startup.replication,
        .peer = s->peer.ss,
        .user = s->startup.user,
        .database = s->startup.database,
    };
    s->admission = a;
    return true;
}

/* Pick up what a lookup has found. */
static enum code lookup_done(struct session *s, struct err *why)
{
    struct admission *a = s->admission;
    struct lookup *lookup = a->lookup;

    a->lookup = NULL;
    a->roles_cached = lookup_cached(lookup);
    enum code code = lookup_take(lookup, &s->scratch, &a->credential, &a->facts.roles, why);
    lookup_free(lookup);
    return code;
}

enum step admit_step(struct session *s, struct err *e)
{
    struct err why;

    if (!s->admission && !admit_begin(s)) {
        err_set(e, E_NOMEM, "out of memory");
        return session_fail(s, PARTING_FATAL);
    }
    if (s->admission->lookup && lookup_done(s, &why) != OK) {
        enum step step = lookup_lost(s, &why, e);
        if (step != STEP_DONE)
            return step;
    }
    switch (s->admission->stage) {
    case ADMIT_MATCH:
        return s->rule ? demand(s, e) : match(s, e);
    case ADMIT_SECRET:
        return s->admission->method->begin(s, e);
    case ADMIT_EXCHANGE:
        return s->admission->method->step(s, e);
    case ADMIT_PROVED:
        return admission_proved(s, e);
    case ADMIT_LOGIN:
        return admission_done(s);
    case ADMIT_DONE:
        break;
    }
    UNREACHABLE();
}

enum step admit_enter(struct session *s, struct err *e)
{
    session_phase_auth(s);
    return admit_step(s, e);
}

bool admit_too_late(struct session *s)
{
    struct err e;

    if (s->state != STATE_ADMIT || !s->admission || !s->admission->lookup ||
        !snapshot_upstream(s->snapshot, s->admission->route)->checked)
        return false;
    s->cause = CAUSE_UPSTREAM_DOWN;
    err_set(&e, E_UNAVAILABLE, "could not look up user \"%.*s\" on the server", STR_ARG(s->startup.user));
    session_end(s, PARTING_FATAL, &e);
    return true;
}

void admit_leave(struct session *s)
{
    struct admission *a = s->admission;

    if (!a)
        return;
    s->admission = NULL;
    lookup_free(a->lookup);
    derive_free(a->derive);
    password_wipe(&a->password);
    scram_server_fini(&a->scram);
    buf_fini(&a->final);
    wipe(a, sizeof *a);
}
