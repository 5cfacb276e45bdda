/*
 * The members of a session, both ways.
 *
 * Left out is what no one asks for once a session relays: all of the login, the StartupMessage's further parameters,
 * answers to GSSENCRequest. What belonged to the old process's snapshot is found again in the new one's: the rule, if it
 * is still there word for word, else the session keeps one of its own for views and log; the server's entry in the
 * conninfo, which says how a cancel request's connection is verified.
 */
#include "gate/session/pack_form.h"

#include "gate/load/snapshot.h"
#include "policy/method.h"
#include "policy/policy.h"
#include "policy/words.h"

#include <netinet/in.h>
#include <sys/un.h>

enum {
    METHOD_VERSION = 18,
    /* What goes over of the flags. A drain is each process's own business. */
    FLAGS = SESSION_COUNTED | SESSION_DRAINING | SESSION_DEAF | SESSION_BUSY | SESSION_BOUND |
            SESSION_DOOMED | SESSION_DUE | SESSION_TOLD
};

/* ---- addresses ---- */

static bool address_is_possible(const struct sockaddr_storage *ss, size_t n)
{
    switch (n >= sizeof(sa_family_t) ? ss->ss_family : AF_UNSPEC) {
    case AF_INET:
        return n == sizeof(struct sockaddr_in);
    case AF_INET6:
        return n == sizeof(struct sockaddr_in6);
    case AF_UNIX:
        return n <= sizeof(struct sockaddr_un);
    default:
        return false;
    }
}

static void form_address(struct form *f, struct sockaddr_storage *ss, socklen_t *n)
{
    *n = (socklen_t)form_below(f, *n, sizeof *ss + 1);
    form_raw(f, ss, *n);
    form_require(f, address_is_possible(ss, *n));
}

static void form_client(struct form *f, struct session *s)
{
    bool balanced = s->balancer != NULL;

    form_u64(f, &s->id);
    s->origin = (enum origin)form_below(f, s->origin, ORIGIN_OWNER);
    form_address(f, &s->peer.ss, &s->peer.n);
    form_require(f, s->origin == ORIGIN_TCP || s->origin == ORIGIN_UNIX);
    form_require(f, (s->peer.ss.ss_family == AF_UNIX) == (s->origin == ORIGIN_UNIX));
    form_str(f, &s->peer_name);
    form_bool(f, &balanced);
    if (!balanced)
        return;
    if (form_reads(f) && !(s->balancer = ARENA_NEW(&s->arena, struct address))) {
        f->nomem = true;
        return;
    }
    form_address(f, &s->balancer->ss, &s->balancer->n);
    form_str(f, &s->balancer_id);
}

static void form_state(struct form *f, struct session *s)
{
    unsigned own = s->flags & ~(unsigned)FLAGS;
    uint32_t flags = s->flags & FLAGS;

    form_u32(f, &flags);
    form_require(f, (flags & ~(unsigned)FLAGS) == 0);
    s->flags = own | flags;
    form_u32(f, &s->upgrades);
    form_u32(f, &s->follow.skip);
    form_u32(f, &s->follow.length);
    s->follow.have = (uint8_t)form_below(f, s->follow.have, MSG_HEADER);
    form_char(f, &s->follow.type);
    form_char(f, &s->follow.state);
    form_bool(f, &s->follow.ready);
    form_bool(f, &s->follow.bad);
    form_bool(f, &s->follow.copied);
    form_u32(f, &s->follow.n_ready);
    form_u32(f, &s->asked.skip);
    form_u32(f, &s->asked.length);
    form_u32(f, &s->asked.n);
    form_u32(f, &s->asked.syncs);
    form_u32(f, &s->asked.skipped);
    s->asked.have = (uint8_t)form_below(f, s->asked.have, MSG_HEADER);
    form_char(f, &s->asked.type);
    form_bool(f, &s->asked.bad);
}

static void form_times(struct form *f, struct session *s)
{
    form_i64(f, &s->started_us);
    form_i64(f, &s->began_mono_us);
    form_i64(f, &s->admission_mono_us);
    form_i64(f, &s->admitted_mono_us);
    form_i64(f, &s->handshake_us);
    form_i64(f, &s->ready_us);
    form_i64(f, &s->ready_mono_us);
    form_i64(f, &s->login_wait_us);
    form_i64(f, &s->active_ms);
}

static void form_startup(struct form *f, struct startup *startup)
{
    form_u32(f, &startup->requested);
    form_u32(f, &startup->version);
    form_str(f, &startup->user);
    form_str_or(f, &startup->database, startup->user);
    form_str(f, &startup->application_name);
    form_str_or(f, &startup->shown.user, startup->user);
    form_str_or(f, &startup->shown.database, startup->database);
    form_str_or(f, &startup->shown.application_name, startup->application_name);
    startup->replication = (enum replication)form_below(f, startup->replication, REPLICATION_LOGICAL + 1);
}

/* Version, cipher and group are the engine's. */
static void form_tls(struct form *f, struct session *s)
{
    struct tls_facts *tls = &s->tls;

    form_bool(f, &tls->used);
    form_bool(f, &tls->direct);
    form_bool(f, &tls->alpn);
    form_bool(f, &s->hello.ssl_done);
    form_char(f, &s->gs2);
    form_str(f, &tls->sni);
    form_bool(f, &tls->has_cert);
    if (!tls->has_cert)
        return;
    form_bool(f, &tls->cert.has_cn);
    form_str(f, &tls->cert.cn);
    form_str(f, &tls->cert.dn);
    form_str(f, &tls->cert.slash);
    form_str(f, &tls->cert.issuer);
    form_str(f, &tls->cert.serial);
    form_i64(f, &tls->cert.not_after_s);
}

/* ---- the rule ---- */

/* The same in the new snapshot: there its text need not be kept. `raw` empty: it had a secret, and was not told. */
static const struct hba_rule *find_rule(const struct session *s, const struct hba_rule *old)
{
    const struct policy *policy = snapshot_policy(s->snapshot);

    if (old->number == 0 || old->number > policy_rule_count(policy))
        return NULL;
    const struct hba_rule *rule = policy_rule(policy, old->number - 1);
    bool same = rule->line == old->line && rule->method == old->method && str_equal(rule->file, old->file);
    if (old->raw.n == 0)
        return same && hba_rule_has_secret(rule) ? rule : NULL;
    return same && str_equal(rule->raw, old->raw) ? rule : NULL;
}

static void keep_rule(struct form *f, struct session *s, const struct hba_rule *old)
{
    struct hba_rule *own;

    s->rule = find_rule(s, old);
    if (s->rule)
        return;
    own = ARENA_NEW(&s->arena, struct hba_rule);
    if (!own) {
        f->nomem = true;
        return;
    }
    own->number = old->number;
    own->line = old->line;
    own->method = old->method;
    if (!arena_str(&s->arena, old->file, &own->file) || !arena_str(&s->arena, old->raw, &own->raw))
        f->nomem = true;
    s->rule = own;
}

static void form_rule(struct form *f, struct session *s)
{
    struct hba_rule rule = s->rule ? *s->rule : (struct hba_rule){ 0 };
    bool there = s->rule != NULL, hidden = there && hba_rule_has_secret(s->rule);
    uint32_t number = rule.number, line = rule.line;

    form_bool(f, &there);
    if (!there)
        return;
    struct str method = str_from_bytes(form_bytes(f, str_bytes(str_c(hba_method_name(rule.method)))));
    form_u32(f, &number);
    form_u32(f, &line);
    rule.file = str_from_bytes(form_bytes(f, str_bytes(rule.file)));
    rule.raw = str_from_bytes(form_bytes(f, hidden ? bytes_of(NULL, 0) : str_bytes(rule.raw)));
    if (!form_reads(f))
        return;
    rule.number = number;
    rule.line = line;
    form_require(f, hba_method_find(method, METHOD_VERSION, &rule.method));
    if (form_ok(f))
        keep_rule(f, s, &rule);
}

/* ---- the server ---- */

static bool is_host(const struct conn_host *a, const struct conn_host *b)
{
    return a->kind == b->kind && a->port == b->port && str_equal(a->host, b->host) &&
           str_equal(a->hostaddr, b->hostaddr);
}

static bool find_host(const struct conninfo *info, const struct conn_host *old, size_t *out)
{
    for (size_t i = 0; i < info->host_count; i++)
        if (is_host(&info->hosts[i], old)) {
            *out = i;
            return true;
        }
    return false;
}

/* Does it have the server, verified at least as strictly as it was for the session? */
static bool leads_to(const struct upstream *u, const struct session *s, const struct conn_host *old,
                     size_t *out)
{
    bool strict = old->kind == CONN_HOST_UNIX || u->info.sslmode >= s->server_sslmode;

    return u->configured && strict && find_host(&u->info, old, out);
}

/* A cancel goes to the session's server under the name, and by the CA, that some setting has for it: of the
 * session's own route, else of any other. False: no setting leads there any more. */
static bool find_server(struct session *s, const struct conn_host *old)
{
    const struct settings *settings = session_settings(s);

    if (s->upstream && leads_to(s->upstream, s, old, &s->cancel_route->host))
        return true;
    for (size_t i = 0; i < settings->n_routes; i++) {
        const struct upstream *u = snapshot_upstream(s->snapshot, &settings->routes[i]);
        if (!leads_to(u, s, old, &s->cancel_route->host))
            continue;
        s->upstream = u;
        return true;
    }
    return false;
}

static void form_host(struct form *f, struct session *s)
{
    struct conn_host host = { .kind = CONN_HOST_NAME };

    if (!form_reads(f) && s->upstream)
        host = s->upstream->info.hosts[s->cancel_route->host];
    host.kind = (enum conn_host_kind)form_below(f, host.kind, CONN_HOST_UNIX + 1);
    form_u16(f, &host.port);
    host.host = str_from_bytes(form_bytes(f, str_bytes(host.host)));
    host.hostaddr = str_from_bytes(form_bytes(f, str_bytes(host.hostaddr)));
    if (form_reads(f) && form_ok(f) && !find_server(s, &host))
        s->cancel_route = NULL;
}

static void form_route(struct form *f, struct session *s)
{
    bool there = s->cancel_route && s->upstream;

    form_bool(f, &there);
    if (form_reads(f) && there)
        s->cancel_route = ARENA_NEW(&s->arena, struct cancel_route);
    struct cancel_route *route = s->cancel_route;
    if (!there || !route) {
        f->nomem = f->nomem || there;
        return;
    }
    form_address(f, &route->addr.ss, &route->addr.n);
    route->method = (enum conn_method)form_below(f, route->method, METHOD_DIRECT_TLS + 1);
    form_u32(f, &route->pid);
    route->key_n = form_below(f, (unsigned)route->key_n, sizeof route->key + 1);
    form_raw(f, route->key, route->key_n);
    form_host(f, s);
}

static void form_server(struct form *f, struct session *s)
{
    form_i32(f, &s->pid);
    form_str(f, &s->identity);
    form_str_or(f, &s->upstream_user, s->startup.user);
    form_str(f, &s->server_text);
    s->server_sslmode = (enum sslmode)form_below(f, s->server_sslmode, SSLMODE_VERIFY_FULL + 1);
    if (form_reads(f) && form_ok(f)) {
        const struct settings_route *route = session_route(s);
        const struct upstream *upstream = snapshot_upstream(s->snapshot, route);
        s->upstream = upstream->configured && upstream->info.host_count > 0 ? upstream : NULL;
    }
    form_route(f, s);
}

void pack_form(struct session *s, struct form *f)
{
    form_client(f, s);
    form_state(f, s);
    form_times(f, s);
    form_startup(f, &s->startup);
    form_tls(f, s);
    form_rule(f, s);
    form_server(f, s);
}
