/*
 * Who is tried out: drawn by lot, at a ClientHello that is no gate's own and asks for a name that decides nothing, with
 * what belongs to the host that serves that name; from an address of which gate/stats/addresses.h knows that its handshakes succeed, and which no rule would let in
 * without TLS: a client that then gave up TLS would give its password to anybody.
 *
 * The lot is drawn for every handshake, the rules are read for the few that are due: once an hour for an address.
 */
#include "gate/session/trial.h"

#include "base/check.h"
#include "base/env.h"
#include "client/verify.h"
#include "client/verify_served.h"
#include "gate/load/trial_certs.h"
#include "gate/session/meters.h"
#include "gate/session/session.h"
#include "gate/session/tally_session.h"
#include "gate/stats/clients.h"
#include "gate/work/worker.h"
#include "pki/cert.h"
#include "policy/reach.h"
#include "tls/diag.h"
#include "tls/engine.h"

#include <netinet/in.h>

enum { REACH_ARENA_MAX = 4 * 1024 * 1024 };

/* What becomes of a trial. */
enum outcome {
    OUTCOME_ACCEPTED, /* a StartupMessage came */
    OUTCOME_REFUSED,
    OUTCOME_UNKNOWN /* it ended for another reason */
};

static const char *const outcome_names[] = { "accepted", "refused", "unknown" };
static const char *const trial_names[] = { [TRIAL_NONE] = "",
                                           [TRIAL_NEXT_CA] = "rollover",
                                           [TRIAL_STRANGER] = "canary chain",
                                           [TRIAL_MISNAMED] = "canary name" };

static bool is_canary(const struct session *s)
{
    return 1u << s->tls.trial & TRIALS_CANARY;
}

/* ---- who is tried out ---- */

static bool drawn(struct session *s, int share)
{
    uint32_t lot;

    return share > 0 && env_random(session_env(s), &lot, sizeof lot) &&
           (uint64_t)lot * SHARE_WHOLE >> 32 < (uint64_t)share;
}

/* Bits 1 << TRIAL_…: what is tried out, if it can be. */
static unsigned drawn_kinds(struct session *s)
{
    const struct settings *settings = session_settings(s);

    return drawn(s, settings->rollover_probe) ? 1u << TRIAL_NEXT_CA
           : drawn(s, settings->canary)       ? TRIALS_CANARY
                                              : 0u;
}

/* What may be shown now. */
static unsigned kinds_in_time(struct session *s, const struct trial_host *host, unsigned kinds)
{
    int64_t now_s = env_now_s(session_env(s));

    for (enum trial trial = TRIAL_NEXT_CA; trial < TRIAL_KINDS; trial++) {
        const struct trial_cert *cert = &host->kinds[trial];
        if (!cert->tls || now_s < cert->from_s || now_s >= cert->until_s)
            kinds &= ~(1u << trial);
    }
    return kinds;
}

static bool has_name(struct session *s, struct tls_context *context, struct str name)
{
    AUTO(cert) struct x509_st *cert = NULL;
    struct cert_names names;
    struct err ignored;

    return cert_from_der(tls_context_certificate(context), &cert, &ignored) == OK &&
           cert_names_of(cert, &s->scratch, &names, &ignored) == OK &&
           verify_host(&names, name, &ignored) == OK;
}

/* The name that the client asks for must be the one it would miss, or not be what it refuses. */
static unsigned kinds_for_name(struct session *s, const struct trial_host *trials, struct str sni,
                               unsigned kinds)
{
    if (sni.n == 0)
        return kinds;
    for (enum trial trial = TRIAL_NEXT_CA; trial < TRIAL_KINDS; trial++)
        if (kinds & 1u << trial &&
            has_name(s, trials->kinds[trial].tls[s->worker->index], sni) == (trial == TRIAL_MISNAMED))
            kinds &= ~(1u << trial);
    return kinds;
}

static void set_part(const struct session *s, struct reach_part *part)
{
    part->family = s->peer.ss.ss_family;
    if (part->family == AF_INET) {
        memcpy(part->addr, &((const struct sockaddr_in *)&s->peer.ss)->sin_addr, 4);
        memset(part->mask, 0xff, 4);
    } else {
        memcpy(part->addr, &((const struct sockaddr_in6 *)&s->peer.ss)->sin6_addr, 16);
        memset(part->mask, 0xff, 16);
    }
}

/* Whoever it is, and whatever database. What is not certain counts as admitted. */
static bool may_be_plain(const struct session *s)
{
    const struct policy *policy = snapshot_policy(s->snapshot);
    struct reach_part part = { .tls = false };
    struct reach_search *search = NULL;
    AUTO(arena) struct arena scratch;

    set_part(s, &part);
    arena_init(&scratch, REACH_ARENA_MAX, 4096);
    for (size_t i = 0; i < policy_rule_count(policy); i++) {
        const struct hba_rule *rule = policy_rule(policy, i);
        if (rule->method == HBA_METHOD_REJECT || rule->type == HBA_HOSTSSL || rule->type == HBA_LOCAL)
            continue;
        if (!search)
            search = reach_search_new(policy, &iface_system, &scratch);
        if (!search || policy_takes(search, rule, &part))
            return true;
    }
    return false;
}

static enum trial choose(struct session *s, const struct trial_host *trials, const struct tls_hello *hello,
                         unsigned kinds)
{
    const struct env *env = session_env(s);
    char host[CLIENT_ADDRESS_SIZE] = "";

    kinds = kinds_for_name(s, trials, hello->sni, kinds_in_time(s, trials, kinds));
    session_host(s, host, sizeof host);
    enum trial trial = addresses_try(clients_addresses(s->worker->shared->clients), host, kinds,
                                     env->now_unix_us(env->ctx));
    if (trial == TRIAL_NONE)
        return TRIAL_NONE;
    bool plain = may_be_plain(s);
    addresses_set_plain_rule(clients_addresses(s->worker->shared->clients), host, plain);
    return plain ? TRIAL_NONE : trial;
}

/* It asks by a name of its own, or by that of a host and says so beside it. */
static bool is_gates_own(const struct session *s, const struct tls_hello *hello)
{
    const uint8_t *nonce = s->worker->shared->nonce;

    return served_name_is(nonce, hello->sni) || served_name_is(nonce, hello->visit);
}

static struct tls_context *on_hello(void *arg, const struct tls_hello *hello)
{
    struct session *s = arg;
    unsigned kinds = drawn_kinds(s), worker = s->worker->index;
    const struct trial_host *trials = kinds ? snapshot_trial_host(s->snapshot, worker, hello->served) : NULL;

    if (!trials || hello->cancel || is_gates_own(s, hello))
        return NULL;
    s->tls.trial = choose(s, trials, hello, kinds);
    return s->tls.trial == TRIAL_NONE ? NULL : trials->kinds[s->tls.trial].tls[worker];
}

void trial_watch(struct session *s)
{
    if (snapshot_trials(s->snapshot) && session_settings(s)->clients_limit > 0 &&
        s->peer.ss.ss_family != AF_UNIX)
        tls_engine_on_hello(s->client.tls, on_hello, s);
}

/* ---- what becomes of it ---- */

static void conclude(struct session *s, enum outcome outcome, int alert)
{
    struct log_line line;

    s->tls.judged = true;
    meters_trial(s->worker->counters, trial_names[s->tls.trial], outcome_names[outcome]);
    session_log(s, &line, SEV_LOG, "trial");
    log_c(&line, "kind", trial_names[s->tls.trial]);
    log_c(&line, "result", outcome_names[outcome]);
    if (alert >= 0)
        log_c(&line, "alert_received", tls_alert_name(alert));
    log_end(&line);
    if (outcome == OUTCOME_REFUSED)
        session_tally_refused_trial(s);
}

/* Some clients say that they do not like a certificate, others just go. */
static bool is_refusal(enum cause cause)
{
    return cause == CAUSE_UNKNOWN_CA || cause == CAUSE_SERVER_EXPIRED || cause == CAUSE_SERVER_REVOKED ||
           cause == CAUSE_SERVER_REFUSED || cause == CAUSE_CLIENT_GONE;
}

bool trial_failed(struct session *s, const struct tls_handshake_facts *facts)
{
    if (s->tls.trial == TRIAL_NONE)
        return false;
    conclude(s, is_refusal(cause_of_handshake(facts)) ? OUTCOME_REFUSED : OUTCOME_UNKNOWN,
             facts->alert_received);
    return true;
}

bool trial_left(struct session *s)
{
    struct tls_handshake_facts facts;

    if (s->tls.trial == TRIAL_NONE)
        return false;
    tls_engine_facts(s->client.tls, &facts);
    conclude(s, OUTCOME_REFUSED, facts.alert_received);
    return true;
}

enum step trial_startup(struct session *s, struct err *e)
{
    if (s->tls.trial == TRIAL_NONE)
        return STEP_DONE;
    conclude(s, OUTCOME_ACCEPTED, -1);
    if (!is_canary(s))
        return STEP_DONE;
    /* 57P03: libpq tries the next host, and does not try without TLS [src: PostgreSQL 18, fe-connect.c]. */
    s->cause = CAUSE_CANARY;
    err_set(e, E_UNAVAILABLE,
            "connection was used to test whether the client verifies the server's certificate");
    err_detail(e, s->tls.trial == TRIAL_STRANGER
                      ? "The client accepted a certificate of an unknown certificate authority."
                      : "The client accepted a certificate for another host name.");
    err_hint(
        e,
        "Connect again. To protect the client against impostors, use sslmode=verify-full with sslrootcert.");
    return session_fail(s, PARTING_FATAL);
}

void trial_ended(struct session *s)
{
    if (s->tls.trial != TRIAL_NONE && !s->tls.judged)
        conclude(s, OUTCOME_UNKNOWN, -1);
}
