#include "harden/prove.h"

#include "base/arena.h"
#include "base/check.h"
#include "client/conninfo_defaults.h"
#include "conf/settings.h"
#include "pki/cert.h"
#include "policy/match.h"
#include "policy/method.h"
#include "probe/probe.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>

struct proving {
    const struct prove_params *params;
    struct probe_kit kit;
    struct sockaddr_storage addresses[HARDEN_PROOFS_MAX];
    size_t n;
    bool has_sha256;
    uint8_t sha256[CERT_SHA256_SIZE]; /* of the certificate in the file */
    struct err silent;                /* why the last address did not answer */
};

/* ---- where it listens ---- */

static socklen_t size_of(const struct sockaddr *sa)
{
    return sa->sa_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
}

static void add_address(struct proving *p, const struct sockaddr *sa)
{
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)sa;

    if ((sa->sa_family != AF_INET && sa->sa_family != AF_INET6) || p->n == HARDEN_PROOFS_MAX ||
        (sa->sa_family == AF_INET6 && IN6_IS_ADDR_LINKLOCAL(&v6->sin6_addr)))
        return;
    memcpy(&p->addresses[p->n++], sa, size_of(sa));
}

/* All of this machine's, of one family or of both. */
static void add_own(struct proving *p, int family)
{
    struct ifaddrs *list = NULL;

    if (getifaddrs(&list) != 0)
        return;
    for (struct ifaddrs *i = list; i; i = i->ifa_next)
        if (i->ifa_addr && (i->ifa_flags & IFF_UP) &&
            (family == AF_UNSPEC || i->ifa_addr->sa_family == family))
            add_address(p, i->ifa_addr);
    freeifaddrs(list);
}

static void add_named(struct proving *p, struct str name)
{
    const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
    struct addrinfo *found = NULL;
    char host[NI_MAXHOST];

    if (!str_to_c(name, host, sizeof host) || getaddrinfo(host, NULL, &hints, &found) != 0)
        return;
    for (const struct addrinfo *i = found; i; i = i->ai_next)
        add_address(p, i->ai_addr);
    freeaddrinfo(found);
}

static void find_addresses(struct proving *p, const struct settings *settings)
{
    for (size_t i = 0; i < settings->listen_addresses.n; i++) {
        struct str address = settings->listen_addresses.at[i];
        if (str_is(address, "*"))
            add_own(p, AF_UNSPEC);
        else if (str_is(address, "0.0.0.0"))
            add_own(p, AF_INET);
        else if (str_is(address, "::"))
            add_own(p, AF_INET6);
        else
            add_named(p, address);
    }
}

/* ---- what should come of it ---- */

enum expected { EXPECT_UNKNOWN, EXPECT_IN, EXPECT_OUT };

/* Does it let everybody come as far as a password? */
static bool is_open_to_strangers(const struct hba_rule *rule)
{
    switch (hba_method_needs(rule->method)) {
    case HBA_NEEDS_NOTHING:
    case HBA_NEEDS_CLEARTEXT:
    case HBA_NEEDS_MD5_OR_SCRAM:
    case HBA_NEEDS_SCRAM:
        return rule->clientcert == CLIENTCERT_NONE;
    case HBA_NEEDS_CERT:
    case HBA_NEEDS_PEER:
    case HBA_NEEDS_GSS:
    case HBA_NEEDS_OAUTHBEARER:
    case HBA_NEEDS_OTHER:
        break;
    }
    return false;
}

/* A stranger who talks to this machine from its own address. */
static enum expected expect(const struct proving *p, const struct sockaddr_storage *address, bool tls)
{
    const struct audit_subject *subject = &p->params->plan->after.subject;
    const struct conn_facts facts = { .tls = tls,
                                      .peer = *address,
                                      .user = STR(HARDEN_STRANGER),
                                      .database = STR(HARDEN_STRANGER),
                                      .ifaces = subject->ifaces };
    struct decision d;

    if (!subject->policy || policy_match(subject->policy, &facts, NULL, &d) != OK)
        return EXPECT_UNKNOWN;
    if (d.verdict != VERDICT_RULE || d.rule->method == HBA_METHOD_REJECT)
        return EXPECT_OUT;
    return is_open_to_strangers(d.rule) ? EXPECT_IN : EXPECT_UNKNOWN;
}

/* ---- one address ---- */

static enum code look_at(struct proving *p, const char *host, struct probe_report *report, struct err *e)
{
    const struct prove_params *params = p->params;
    struct conn_world world = conn_world_files();
    const struct probe_params probe = {
        .world = &world, .env = params->env, .timeout_s = PROBE_TIMEOUT_S, .quick = true
    };
    struct probe_target target = { .text = str_c(host) };
    struct str port;

    if (!arena_printf(params->arena, &port, "%d", (int)params->plan->after.subject.settings->port))
        return err_set(e, E_NOMEM, "out of memory");
    world.getenv = NULL;
    target.options.v[CONN_HOST] = str_c(params->plan->needs_pair ? params->names->host : host);
    target.options.v[CONN_HOSTADDR] = str_c(host);
    target.options.v[CONN_PORT] = port;
    target.options.v[CONN_USER] = STR(HARDEN_STRANGER);
    target.options.v[CONN_DBNAME] = STR(HARDEN_STRANGER);
    if (params->plan->needs_pair)
        target.options.v[CONN_SSLROOTCERT] = str_c(params->target->root);
    return probe_endpoint(&probe, &p->kit, &target, params->arena, report, e);
}

static enum code judge(struct proving *p, const struct sockaddr_storage *address,
                       const struct probe_report *r, struct harden_proof *out, struct err *e)
{
    const struct mode_verdict *plain = &r->modes[SSLMODE_DISABLE], *full = &r->modes[SSLMODE_VERIFY_FULL];
    bool ssl = p->params->plan->after.subject.settings->ssl;

    if (ssl && !r->tls)
        return err_set(e, E_TLS, "%.*s does not answer with TLS: %.*s", STR_ARG(out->endpoint),
                       STR_ARG(r->tls_error.n > 0 ? r->tls_error : STR("the server's log says why")));
    if (p->has_sha256 && (r->n_chain == 0 || memcmp(r->chain[0].sha256, p->sha256, sizeof p->sha256) != 0))
        return err_set(e, E_TLS, "%.*s serves a different certificate from \"%s\"", STR_ARG(out->endpoint),
                       p->params->target->cert);
    out->plain_refused = !plain->connects;
    out->refusal = plain->error;
    if (plain->connects && expect(p, address, false) == EXPECT_OUT)
        return err_set(e, E_AUTH, "%.*s still admits clients without TLS", STR_ARG(out->endpoint));
    out->verified = full->connects && full->verified == PROOF_FULL;
    if (p->has_sha256 && !out->verified && expect(p, address, true) == EXPECT_IN)
        return err_set(e, E_TLS, "a client at sslmode=verify-full is refused by %.*s: %.*s",
                       STR_ARG(out->endpoint), STR_ARG(full->error));
    return OK;
}

static enum code prove_one(struct proving *p, const struct sockaddr_storage *address,
                           struct harden_proofs *out, struct err *e)
{
    const struct sockaddr *sa = (const struct sockaddr *)address;
    struct harden_proof proof = { .refusal = STR("") };
    struct probe_report report;
    char text[NI_MAXHOST];

    if (getnameinfo(sa, size_of(sa), text, sizeof text, NULL, 0, NI_NUMERICHOST) != 0)
        return OK;
    const char *host = arena_c(p->params->arena, str_c(text));
    if (!host ||
        !arena_printf(p->params->arena, &proof.endpoint, sa->sa_family == AF_INET6 ? "[%s]:%d" : "%s:%d",
                      host, (int)p->params->plan->after.subject.settings->port))
        return err_set(e, E_NOMEM, "out of memory");
    TRY(look_at(p, host, &report, e));
    if (!report.reachable) {
        struct str why = report.n_addresses > 0 ? report.addresses[0].error : STR("it does not answer");
        (void)err_set(&p->silent, E_CONNECT, "%.*s: %.*s", STR_ARG(proof.endpoint), STR_ARG(why));
        return OK;
    }
    TRY(judge(p, address, &report, &proof, e));
    out->items[out->n++] = proof;
    return OK;
}

static enum code prove_all(struct proving *p, struct harden_proofs *out, struct err *e)
{
    for (size_t i = 0; i < p->n; i++)
        TRY(prove_one(p, &p->addresses[i], out, e));
    if (p->n > 0 && out->n == 0) {
        *e = p->silent;
        return E_CONNECT;
    }
    return OK;
}

enum code harden_prove(const struct prove_params *params, struct harden_proofs *out, struct err *e)
{
    struct proving p = { .params = params };
    AUTO(cert_list) struct cert_list chain = { 0 };

    *out = (struct harden_proofs){ .n = 0 };
    if (params->plan->needs_pair) {
        TRY(cert_chain_load(params->target->cert, &chain, e));
        p.has_sha256 = cert_sha256(chain.items[0], p.sha256);
    }
    find_addresses(&p, params->plan->after.subject.settings);
    TRY(probe_kit_init(&p.kit));
    enum code code = prove_all(&p, out, e);
    probe_kit_fini(&p.kit);
    return code;
}
