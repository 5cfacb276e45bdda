/*
 * Loading: everything is read and tried out beside what is in force; only a whole snapshot ever comes out.
 *
 * The files of one load must belong together. TLS contexts are built once per worker, from the same files
 * read several times, so the certificates they ended with are compared: a file that changed meanwhile fails
 * the load rather than serve two certificates at once.
 */
#include "gate/load/snapshot.h"

#include "auth/userlist.h"
#include "base/arena.h"
#include "base/check.h"
#include "base/env.h"
#include "client/conninfo_defaults.h"
#include "gate/load/cert_check.h"
#include "gate/load/check_url.h"
#include "gate/load/http_access.h"
#include "gate/load/peers.h"
#include "gate/load/rule_check.h"
#include "gate/load/server_tls.h"
#include "gate/load/tls_params.h"
#include "gate/load/trial_certs.h"
#include "policy/archive.h"
#include "policy/policy.h"
#include "tls/client_context.h"
#include "tls/context.h"

#include <stdatomic.h>
#include <stdlib.h>

enum { SNAPSHOT_ARENA_MAX = 64 * 1024 * 1024 };

struct rule_counter {
    _Atomic int64_t count;
    _Atomic int64_t last_us;
};

struct snapshot {
    _Atomic int refs;
    unsigned generation;
    unsigned n_workers;
    int64_t loaded_us;
    struct settings *settings;
    struct policy *policy;
    struct userlist *users;
    struct server_tls tls;
    struct upstream *upstreams; /* one per route */
    struct upstream *peers;     /* one per cancel_peers; all have the first one's contexts */
    struct rule_counter *hits;  /* one per rule */
    struct trial_certs trials;
    struct http_access access;
    struct arena arena;
};

/* ---- counted value ---- */

static void free_contexts(struct tls_context **contexts, unsigned n)
{
    for (unsigned i = 0; contexts && i < n; i++)
        tls_context_free(contexts[i]);
}

static void snapshot_free(struct snapshot *snapshot)
{
    server_tls_fini(&snapshot->tls, snapshot->n_workers);
    for (size_t i = 0; snapshot->upstreams && i < snapshot->settings->n_routes; i++) {
        free_contexts(snapshot->upstreams[i].tls, snapshot->n_workers);
        conninfo_wipe(&snapshot->upstreams[i].info);
    }
    trial_certs_fini(&snapshot->trials, snapshot->n_workers);
    if (snapshot->peers)
        free_contexts(snapshot->peers[0].tls, snapshot->n_workers);
    http_access_fini(&snapshot->access);
    userlist_unref(snapshot->users);
    policy_unref(snapshot->policy);
    settings_unref(snapshot->settings);
    arena_fini(&snapshot->arena);
    free(snapshot);
}

struct snapshot *snapshot_ref(struct snapshot *snapshot)
{
    atomic_fetch_add_explicit(&snapshot->refs, 1, memory_order_relaxed);
    return snapshot;
}

void snapshot_unref(struct snapshot *snapshot)
{
    if (snapshot && atomic_fetch_sub_explicit(&snapshot->refs, 1, memory_order_acq_rel) == 1)
        snapshot_free(snapshot);
}

const struct settings *snapshot_settings(const struct snapshot *snapshot)
{
    return snapshot->settings;
}

const struct policy *snapshot_policy(const struct snapshot *snapshot)
{
    return snapshot->policy;
}

struct tls_context *snapshot_tls(const struct snapshot *snapshot, unsigned worker)
{
    return snapshot->tls.n > 0 ? snapshot->tls.hosts[0].tls[worker] : NULL;
}

const struct server_tls *snapshot_hosts(const struct snapshot *snapshot)
{
    return &snapshot->tls;
}

const struct trial_certs *snapshot_trials(const struct snapshot *snapshot)
{
    return snapshot->trials.any ? &snapshot->trials : NULL;
}

const struct trial_host *snapshot_trial_host(const struct snapshot *snapshot, unsigned worker,
                                             const struct tls_context *context)
{
    for (size_t i = 0; i < snapshot->trials.n; i++)
        if (snapshot->tls.hosts[i].tls[worker] == context)
            return &snapshot->trials.hosts[i];
    return NULL;
}

bool snapshot_shows_next_ca(const struct snapshot *snapshot, unsigned worker,
                            const struct tls_context *context)
{
    const struct trial_host *host = snapshot_trial_host(snapshot, worker, context);

    return host && host->served_is_next_ca;
}

const struct upstream *snapshot_upstream(const struct snapshot *snapshot, const struct settings_route *route)
{
    return &snapshot->upstreams[route->index];
}

const struct upstream *snapshot_peers(const struct snapshot *snapshot, size_t *out_n)
{
    *out_n = snapshot->peers ? snapshot->settings->cancel_peers.n : 0;
    return snapshot->peers;
}

const struct userlist *snapshot_users(const struct snapshot *snapshot)
{
    return snapshot->users;
}

void snapshot_add_hits(struct snapshot *snapshot, const struct hba_rule *rule, const struct rule_hits *hits)
{
    struct rule_counter *counter = &snapshot->hits[rule->number - 1];

    atomic_fetch_add_explicit(&counter->count, hits->count, memory_order_relaxed);
    atomic_store_explicit(&counter->last_us, hits->last_us, memory_order_relaxed);
}

void snapshot_hit(struct snapshot *snapshot, const struct hba_rule *rule, int64_t now_us)
{
    struct rule_counter *counter = &snapshot->hits[rule->number - 1];

    atomic_fetch_add_explicit(&counter->count, 1, memory_order_relaxed);
    atomic_store_explicit(&counter->last_us, now_us, memory_order_relaxed);
}

struct rule_hits snapshot_hits(const struct snapshot *snapshot, const struct hba_rule *rule)
{
    struct rule_counter *counter = &snapshot->hits[rule->number - 1];

    return (struct rule_hits){
        .count = atomic_load_explicit(&counter->count, memory_order_relaxed),
        .last_us = atomic_load_explicit(&counter->last_us, memory_order_relaxed),
    };
}

const struct crl_list *snapshot_crls(const struct snapshot *snapshot)
{
    return &snapshot->tls.crls;
}

const struct http_access *snapshot_http_access(const struct snapshot *snapshot)
{
    return &snapshot->access;
}

unsigned snapshot_generation(const struct snapshot *snapshot)
{
    return snapshot->generation;
}

int64_t snapshot_loaded_us(const struct snapshot *snapshot)
{
    return snapshot->loaded_us;
}

/* ---- parts of a load ---- */

void snapshot_inspect(const struct snapshot *snapshot, const struct env *env, struct diags *diags)
{
    if (snapshot->tls.n > 0)
        server_tls_inspect(&snapshot->tls, snapshot->settings, env, diags);
}

/* After load_server_tls(). A passphrase is that of ssl_key_file, and may be that of other keys, too; lines of
 * hosts_file have their own. */
static enum tls_passphrase other_passphrase(const struct snapshot *s, const struct snapshot_params *p,
                                            struct diags *diags)
{
    if (p->passphrase->n > 0)
        return TLS_PASSPHRASE_GIVEN;
    return s->settings->ssl && !s->tls.by_name ? TLS_PASSPHRASE_REFUSE
                                               : server_tls_passphrase(p, s->settings, diags);
}

static enum code load_trials(struct snapshot *s, const struct snapshot_params *p, struct diags *diags)
{
    struct tls_server_params params = tls_params_server(s->settings, p->passphrase, p->running != NULL);
    const struct trial_certs_params trials = {
        .settings = s->settings,
        .params = &params,
        .served = &s->tls,
        .libraries = p->libraries,
        .n_workers = p->n_workers,
        .env = p->env,
        .arena = &s->arena,
    };

    params.passphrase_from = other_passphrase(s, p, diags);
    return trial_certs_load(&trials, &s->trials, diags);
}

static enum code load_server_tls(struct snapshot *s, const struct snapshot_params *p, struct diags *diags)
{
    const struct server_tls_job job = { s->settings, p,       p->running ? &p->running->tls : NULL,
                                        &s->arena,   &s->tls, diags };

    if (!s->settings->ssl)
        return OK;
    TRY(server_tls_load(&job));
    return load_trials(s, p, diags);
}

static enum code load_http(struct snapshot *s, const struct snapshot_params *p, struct diags *diags)
{
    struct tls_server_params params = tls_params_server(s->settings, p->passphrase, p->running != NULL);

    if (!http_access_wants_tls(s->settings) && !http_access_wants_token(s->settings))
        return OK;
    params.passphrase_from = other_passphrase(s, p, diags);
    return http_access_load(s->settings, p->http_library, &params, &s->access, diags);
}

static bool upstream_may_tls(const struct conninfo *info)
{
    for (size_t i = 0; i < info->host_count; i++)
        if (info->hosts[i].kind != CONN_HOST_UNIX)
            return info->sslmode != SSLMODE_DISABLE;
    return false;
}

static bool upstream_all_unix(const struct conninfo *info)
{
    for (size_t i = 0; i < info->host_count; i++)
        if (info->hosts[i].kind != CONN_HOST_UNIX)
            return false;
    return true;
}

static bool names_crl(const struct conninfo *info)
{
    return info->options.v[CONN_SSLCRL].n > 0 || info->options.v[CONN_SSLCRLDIR].n > 0;
}

static enum code load_upstream_tls(struct snapshot *s, struct upstream *u, const struct snapshot_params *p,
                                   struct err *e)
{
    struct tls_client_params params = {
        .root_file = u->files.root == TLS_ROOT_SYSTEM ? "system"
                     : u->files.root_file.n           ? u->files.root_file.p
                                                      : "",
        .crl_file = u->files.crl_file.n ? u->files.crl_file.p : "",
        .crl_dir = u->files.crl_dir.n ? u->files.crl_dir.p : "",
        .crl_required = names_crl(&u->info),
        .cert_file = u->files.cert.n ? u->files.cert.p : "",
        .key_file = u->files.key.n ? u->files.key.p : "",
        .key_password = u->files.key_password.n ? u->files.key_password.p : NULL,
        .no_prompt = true,
        .protocol = u->route ? TLS_PROTOCOL_POSTGRESQL : TLS_PROTOCOL_CANCEL,
        .records = tls_params_records(s->settings),
        .min_version = u->info.tls_min ? (enum tls_version)(TLS_1_0 + u->info.tls_min - TLS_BOUND_1_0)
                                       : TLS_ANY,
        .max_version = u->info.tls_max ? (enum tls_version)(TLS_1_0 + u->info.tls_max - TLS_BOUND_1_0)
                                       : TLS_ANY,
    };

    u->tls = arena_array(&s->arena, p->n_workers, sizeof(struct tls_context *));
    if (!u->tls)
        return err_set(e, E_NOMEM, "out of memory");
    for (unsigned i = 0; i < p->n_workers; i++)
        TRY(tls_client_context_new(p->libraries[i], &params, &u->tls[i], e));
    return OK;
}

/* It would rename the database of every client, past the rules, which see the client's name. The value is not
 * quoted: in a URI whose password was not percent-encoded it may be a piece of that. */
static enum code check_database(const struct settings *settings, const struct settings_route *route,
                                const struct conninfo *info, struct err *e)
{
    if (info->options.v[CONN_DBNAME].n == 0)
        return OK;
    (void)err_set(e, E_CONFIG, "\"upstream%s%.*s\" must not name a database", route->host.p ? "." : "",
                  STR_ARG(route->database));
    err_detail(e, "Clients get the database that they ask for; a \"dbname\" would give them another one.");
    err_hint(e,
             "Remove the \"dbname\". The gate's own look-ups are made in \"auth_dbname\" "
             "(now \"%.*s\"); to send the clients of one database to another one, write "
             "upstream.NAME = 'host=... dbname=...'.",
             STR_ARG(settings->auth_dbname));
    return E_CONFIG;
}

static enum code load_upstream(struct snapshot *s, const struct settings_route *route,
                               const struct snapshot_params *p, const struct conn_world *world, struct err *e)
{
    struct upstream *u = &s->upstreams[route->index];

    u->route = route;
    u->configured = route->upstream.n > 0;
    if (!u->configured)
        return OK;
    u->refuses_facts = ARENA_NEW(&s->arena, atomic_bool);
    if (!u->refuses_facts)
        return err_set(e, E_NOMEM, "out of memory");
    atomic_init(u->refuses_facts, false);
    TRY(conninfo_parse(route->upstream, world, CONN_GATE, &s->arena, &u->info, e));
    if (route->index == 0 || route->host.p)
        TRY(check_database(s->settings, route, &u->info, e));
    u->checked = s->settings->upstream_check_url.n > 0 &&
                 (u->info.session_attrs == ATTRS_READ_WRITE || u->info.session_attrs == ATTRS_PRIMARY);
    u->may_tls = upstream_may_tls(&u->info);
    u->all_unix = upstream_all_unix(&u->info);
    u->verified = !u->all_unix && u->info.sslmode >= SSLMODE_VERIFY_CA;
    if (!u->may_tls)
        return OK;
    TRY(tls_files_find(&u->info, world, &s->arena, &u->files, e));
    return load_upstream_tls(s, u, p, e);
}

/* As libpq: revocation lists are asked where the chain is verified with sslrootcert's own file. */
static void warn_idle_crl(const struct upstream *u, struct diags *diags)
{
    if (!u->configured || !names_crl(&u->info) || u->files.crl_file.n > 0 || u->files.crl_dir.n > 0)
        return;
    struct diag *row = diags_add(diags, SEV_WARNING, E_CONFIG, u->route->upstream_file,
                                 u->route->upstream_line, "the revocation list of \"upstream\" is not used");
    diags_hint(diags, row, "Set sslrootcert to the file of the server's CA, and sslmode=verify-full.");
}

static void warn_mounts(const struct upstream *u, struct diags *diags)
{
    const struct str paths[] = { u->files.cert, u->files.key, u->files.root_file, u->files.crl_file };

    for (size_t i = 0; i < COUNT_OF(paths); i++)
        if (paths[i].n > 0)
            cert_check_mount(paths[i].p, diags);
}

static enum code load_upstreams(struct snapshot *s, const struct snapshot_params *p, struct diags *diags)
{
    enum code result = OK;
    struct conn_world world;
    struct err e;

    s->upstreams = arena_array(&s->arena, s->settings->n_routes, sizeof *s->upstreams);
    if (!s->upstreams || conn_world_system(&s->arena, &world) != OK)
        return E_NOMEM;
    world.getenv = NULL;
    for (size_t i = 0; i < s->settings->n_routes; i++) {
        const struct settings_route *route = &s->settings->routes[i];
        enum code code = load_upstream(s, route, p, &world, &e);
        if (code == OK) {
            warn_idle_crl(&s->upstreams[i], diags);
            warn_mounts(&s->upstreams[i], diags);
            continue;
        }
        err_where(&e, route->upstream_file, route->upstream_line);
        diags_add_err(diags, &e);
        result = code;
    }
    return result;
}

static enum code load_check_url(const struct snapshot *s, struct diags *diags)
{
    return s->settings->upstream_check_url.n > 0 ? check_url_check(s->settings, s->upstreams, diags) : OK;
}

static enum code load_peer(struct snapshot *s, size_t i, const struct snapshot_params *p,
                           const struct conn_world *world, struct err *e)
{
    struct upstream *u = &s->peers[i];

    TRY(peers_conninfo(s->settings, i, world, &s->arena, &u->info, e));
    u->configured = u->may_tls = u->verified = true;
    TRY(tls_files_find(&u->info, world, &s->arena, &u->files, e));
    if (i == 0)
        return load_upstream_tls(s, u, p, e);
    u->tls = s->peers[0].tls;
    return OK;
}

static enum code load_peers(struct snapshot *s, const struct snapshot_params *p, struct diags *diags)
{
    size_t n = s->settings->cancel_peers.n;
    struct conn_world world;
    struct err e;

    if (n == 0)
        return OK;
    TRY(peers_check(s->settings, diags));
    s->peers = arena_array(&s->arena, n, sizeof *s->peers);
    if (!s->peers || conn_world_system(&s->arena, &world) != OK)
        return E_NOMEM;
    world.getenv = NULL;
    for (size_t i = 0; i < n; i++) {
        enum code code = load_peer(s, i, p, &world, &e);
        if (code != OK) {
            diags_add_err(diags, &e);
            return code;
        }
    }
    return OK;
}

static enum code load_users(struct snapshot *s, const struct snapshot_params *p, struct diags *diags)
{
    bool wanted = false;

    if (p->certificates_only) {
        s->users = userlist_ref(p->running->users);
        return OK;
    }
    for (size_t i = 0; i < s->settings->n_routes; i++)
        wanted |= s->settings->routes[i].auth_source == CONF_AUTH_FILE;
    if (!wanted)
        return OK;
    if (!s->settings->auth_file.path) {
        diags_add(diags, SEV_ERROR, E_CONFIG, STR(""), 0, "auth_source = file needs auth_file to be set");
        return E_CONFIG;
    }
    return userlist_load(s->settings->auth_file.path, diags, &s->users);
}

static enum code load_policy(struct snapshot *s, const struct snapshot_params *p, struct diags *diags)
{
    const struct archive_head head = {
        .generation = s->generation,
        .ssl_on = s->settings->ssl,
        .roles_known = rule_check_knows_roles(s->settings),
        .hba_file = str_c(s->settings->hba_file.path),
        .ident_file = str_c(s->settings->ident_file.path),
    };
    const struct policy_params params = {
        .hba_file = head.hba_file,
        .ident_file = head.ident_file,
        .ssl_on = head.ssl_on,
        .features = { .roles_known = head.roles_known, .oauth_unchecked = true, .sans = true },
        .reload = p->running != NULL,
        .running = p->running ? p->running->policy : NULL,
        .archive = &head,
    };

    if (p->certificates_only) {
        s->policy = policy_ref(p->running->policy);
        return OK;
    }
    return policy_load(&params, &s->policy, diags);
}

/* A rule that reads as before keeps its count, wherever it stands now; equal rules keep their order. */
static enum code load_hits(struct snapshot *s, const struct snapshot *before)
{
    size_t n = policy_rule_count(s->policy), from = 0;

    s->hits = arena_array(&s->arena, n, sizeof *s->hits);
    if (!s->hits)
        return E_NOMEM;
    for (size_t i = 0; before && i < n; i++) {
        const struct hba_rule *rule = policy_rule(s->policy, i);
        for (size_t j = from; j < policy_rule_count(before->policy); j++) {
            const struct hba_rule *old = policy_rule(before->policy, j);
            if (!str_equal(old->raw, rule->raw) || !str_equal(old->file, rule->file))
                continue;
            struct rule_hits hits = snapshot_hits(before, old);
            atomic_init(&s->hits[i].count, hits.count);
            atomic_init(&s->hits[i].last_us, hits.last_us);
            from = j + 1;
            break;
        }
    }
    return OK;
}

/* Parts that stand on their own are all tried, so that one look at the log shows everything that is wrong. */
static enum code load_parts(struct snapshot *s, const struct snapshot_params *p, struct diags *diags)
{
    static enum code (*const parts[])(struct snapshot * s, const struct snapshot_params *p,
                                      struct diags *diags) = {
        load_policy, load_server_tls, load_http, load_upstreams, load_peers, load_users,
    };
    enum code result = OK;

    for (size_t i = 0; i < COUNT_OF(parts); i++) {
        enum code code = parts[i](s, p, diags);
        result = result == OK ? code : result;
    }
    TRY(result);
    TRY(load_check_url(s, diags));
    TRY(http_access_load_cancels(s->settings, &s->access, diags));
    TRY(load_hits(s, p->running));
    const struct rule_check check = { s->settings, s->policy, s->upstreams, s->users, diags };
    return rule_check_check(&check);
}

enum code snapshot_load(const struct snapshot_params *params, struct snapshot **out, struct diags *diags)
{
    const struct settings_params settings_params = {
        .dir = str_c(params->dir),
        .overrides = params->overrides,
        .n_overrides = params->n_overrides,
        .running = params->running ? params->running->settings : NULL,
    };
    struct snapshot *s = calloc(1, sizeof *s);

    if (!s)
        return E_NOMEM;
    atomic_init(&s->refs, 1);
    arena_init(&s->arena, SNAPSHOT_ARENA_MAX, 4096);
    s->generation = params->generation;
    s->n_workers = params->n_workers;
    s->loaded_us = params->env->now_unix_us(params->env->ctx);
    enum code code = OK;
    CHECK(!params->certificates_only || params->running);
    if (params->certificates_only)
        s->settings = settings_ref(params->running->settings);
    else
        code = settings_load(&settings_params, &s->settings, diags);
    if (code == OK)
        code = load_parts(s, params, diags);
    if (code == OK && !diags_ok(diags))
        code = E_CONFIG;
    if (code != OK) {
        snapshot_unref(s);
        return code;
    }
    *out = s;
    return OK;
}
