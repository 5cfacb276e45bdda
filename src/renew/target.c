/* Gates and PostgreSQL servers as targets of a renewal. */
#include "renew/target.h"

#include "base/arena.h"
#include "base/check.h"
#include "base/env.h"
#include "client/reload_gate.h"
#include "conf/http_place.h"
#include "conf/pgserver.h"
#include "conf/settings.h"
#include "lex/conf_disk.h"
#include "tls/context.h"

#include <netdb.h>
#include <stddef.h>
#include <stdio.h>
#include <time.h>

enum { PATIENCE_MS = 10000, PAUSE_MS = 50, ANSWER_ARENA_MAX = 1 << 20, ANSWER_ARENA_FIRST = 1024 };

void renew_target_fini(struct renew_target *target)
{
    settings_unref(target->settings);
    target->settings = NULL;
    tls_library_free(target->library);
    target->library = NULL;
    cert_list_fini(&target->anchors);
    cert_list_fini(&target->store);
}

void renew_target_auto(struct renew_target *target)
{
    renew_target_fini(target);
}

/* ---- opening ---- */

enum code renew_target_find(const char *path, struct arena *arena, char out[OS_PATH_MAX], struct err *e)
{
    const struct conf_fs disk = conf_fs_disk();
    struct pgserver server;

    if (os_has(path, "pgseal.conf") || pgserver_is_data(path) || !pgserver_is(path))
        return os_path("", path, out, e);
    if (pgserver_read(&disk, path, arena, &server) != OK)
        return err_set(e, E_NOMEM, "out of memory");
    if (!server.data_dir)
        return err_set(e, E_NO_FILE, "the data directory of \"%s\" does not exist, or cannot be entered",
                       path);
    return os_path("", server.data_dir, out, e);
}

static enum code add_certs(const char *path, struct cert_list *list, struct err *e)
{
    AUTO(trust) struct trust found = { 0 };

    if (!path || !path[0] || !os_exists(path))
        return OK;
    TRY(trust_load(path, &found, e));
    for (size_t i = 0; i < found.certs.n; i++)
        if (cert_list_add(list, found.certs.items[i]) != OK)
            return err_set(e, E_NOMEM, "out of memory");
    return OK;
}

static enum code set_path(const struct settings_file *file, char out[OS_PATH_MAX], bool *out_set,
                          struct err *e)
{
    out[0] = '\0';
    *out_set = file->path != NULL;
    return file->path ? os_path("", file->path, out, e) : OK;
}

/* The pair of rollover_cert_file is not among them: the next CA has issued it, and it goes with the rollover. */
static const struct {
    size_t cert, key; /* in struct settings */
} own_rows[RENEW_OWN_MAX] = {
    [RENEW_OWN_CANARY] = { offsetof(struct settings, canary_cert_file),
                           offsetof(struct settings, canary_key_file) },
    [RENEW_OWN_PEER] = { offsetof(struct settings, cancel_peer_cert_file),
                         offsetof(struct settings, cancel_peer_key_file) },
    [RENEW_OWN_CHECK] = { offsetof(struct settings, upstream_check_cert_file),
                          offsetof(struct settings, upstream_check_key_file) },
};

static enum code add_own(struct renew_target *t, size_t row, struct err *e)
{
    const char *settings = (const void *)t->settings;
    const struct settings_file *cert = (const void *)(settings + own_rows[row].cert);
    const struct settings_file *key = (const void *)(settings + own_rows[row].key);
    struct renew_own *own = &t->own[t->n_own];
    bool has_cert, has_key;

    own->name = renew_own_name(row);
    TRY(set_path(cert, own->cert, &has_cert, e));
    TRY(set_path(key, own->key, &has_key, e));
    t->n_own += has_cert && has_key;
    return OK;
}

static enum code open_hosts(struct renew_target *t, const char *path, struct arena *arena, struct err *e)
{
    TRY(renew_hosts_read(path, t->dir, arena, &t->hosts, e));
    if (t->hosts.n > 0)
        t->has_server = renew_hosts_of(&t->hosts, t->server_cert, 0) != NULL;
    return OK;
}

static enum code open_gate(struct renew_target *t, struct arena *arena, struct err *e)
{
    struct settings_params params = { .dir = str_c(t->dir) };
    char own_ca[OS_PATH_MAX];
    struct diags diags;
    bool has_key;

    diags_init(&diags, arena);
    enum code code = settings_load(&params, &t->settings, &diags);
    if (code != OK)
        return diags_to_err(&diags, code, "the gate's settings could not be read", e);
    TRY(set_path(&t->settings->ssl_cert_file, t->server_cert, &t->has_server, e));
    TRY(set_path(&t->settings->ssl_key_file, t->server_key, &has_key, e));
    t->has_server = t->settings->ssl && t->has_server && has_key;
    if (t->has_server && t->settings->ssl_sni && t->settings->hosts_file.path)
        TRY(open_hosts(t, t->settings->hosts_file.path, arena, e));
    TRY(set_path(&t->settings->http_cert_file, t->http_cert, &t->has_http, e));
    TRY(set_path(&t->settings->http_key_file, t->http_key, &has_key, e));
    t->has_http = t->has_http && has_key;
    for (size_t i = 0; i < COUNT_OF(own_rows); i++)
        TRY(add_own(t, i, e));
    TRY(os_path(t->dir, "ca", t->ca_dir, e));
    TRY(os_path(t->ca_dir, "ca.crt", own_ca, e));
    TRY(add_certs(t->settings->ssl_ca_file.path, &t->anchors, e));
    TRY(add_certs(own_ca, &t->anchors, e));
    return add_certs(t->settings->ssl_chain_root_file.path, &t->store, e);
}

static enum code open_postgres(struct renew_target *t, const char *state, struct arena *arena, struct err *e)
{
    char root[OS_PATH_MAX];

    TRY(pgdata_read(t->dir, arena, &t->pg, e));
    t->has_server = t->pg.ssl;
    memcpy(t->server_cert, t->pg.cert_file, sizeof t->server_cert);
    memcpy(t->server_key, t->pg.key_file, sizeof t->server_key);
    if (t->pg.ssl && t->pg.ssl_sni)
        TRY(open_hosts(t, t->pg.hosts_file, arena, e));
    TRY(os_path(state, "private/ca", t->ca_dir, e));
    TRY(add_certs(t->pg.ca_file, &t->anchors, e));
    TRY(os_path(t->ca_dir, "ca.crt", root, e));
    TRY(add_certs(root, &t->anchors, e));
    TRY(os_path(state, "ca.crt", root, e));
    return add_certs(root, &t->anchors, e);
}

static enum code postgres_state(const struct renew_target *t, struct arena *arena, char out[OS_PATH_MAX],
                                struct err *e)
{
    struct pgdata pg;

    TRY(pgdata_read(t->dir, arena, &pg, e));
    return pgdata_state_dir(t->dir, pg.config_file, out, e);
}

static enum code make_work(struct renew_target *t, const char *state, const char *part, bool look,
                           struct err *e)
{
    char above[OS_PATH_MAX];

    TRY(os_path(state, part, t->work, e));
    if (look)
        return OK;
    TRY(os_mkdir(state, 0755, e));
    TRY(os_dir_of(t->work, above, e));
    TRY(os_mkdir(above, 0700, e));
    return os_mkdir(t->work, 0700, e);
}

static enum code target_fill(const struct renew_where *where, struct arena *arena, struct renew_target *t,
                             struct err *e)
{
    char state[OS_PATH_MAX], probe[OS_PATH_MAX];

    TRY(os_real_path(where->dir, "resolve", t->dir, e));
    TRY(os_path(t->dir, "pgseal.conf", probe, e));
    t->is_gate = os_exists(probe);
    if (!t->is_gate && !pgserver_is_data(t->dir))
        return err_set(e, E_NO_FILE, "\"%s\" is neither a gate's directory nor a server's", t->dir);
    if (where->state || t->is_gate)
        TRY(os_path("", where->state ? where->state : t->dir, state, e));
    else
        TRY(postgres_state(t, arena, state, e));
    TRY(os_path(state, "rotate.conf", t->conf, e));
    TRY(make_work(t, state, t->is_gate ? "rotate" : "private/rotate", where->look, e));
    return t->is_gate ? open_gate(t, arena, e) : open_postgres(t, state, arena, e);
}

enum code renew_target_open(const struct renew_where *where, struct arena *arena, struct renew_target *out,
                            struct err *e)
{
    struct renew_target *t = out;

    *t = (struct renew_target){ .library = tls_library_new() };
    enum code code = t->library ? target_fill(where, arena, t, e) : err_set(e, E_NOMEM, "out of memory");
    if (code != OK)
        renew_target_fini(t);
    return code;
}

/* ---- running ---- */

bool renew_target_runs(const struct renew_target *target)
{
    char lock[OS_PATH_MAX];

    if (!target->is_gate)
        return target->pg.pid != 0;
    return os_path(settings_state_dir(target->settings), STATE_LOCK, lock, NULL) == OK && os_lock_held(lock);
}

static enum code add_listener(const struct renew_target *t, struct str name, unsigned port,
                              struct served_check *check, struct err *e)
{
    struct addrinfo *found;
    struct address listening;

    enum code code = address_find_listen(name, port, &found, e);
    if (code != OK)
        return code == E_LIMIT ? code : OK; /* the server could not listen there, either */
    for (const struct addrinfo *at = found; at && check->n < SERVED_TARGETS_MAX; at = at->ai_next) {
        if (!address_of_info(at, &listening))
            continue;
        struct served_target *target = &check->targets[check->n++];
        target->address = served_address(&listening);
        /* The machine talks to itself: its own address is the peer's. */
        target->proxy = t->is_gate &&
                        settings_proxy_expected(t->settings, (const struct sockaddr *)&target->address.ss);
    }
    freeaddrinfo(found);
    return OK;
}

static enum code all_listeners(const struct renew_target *t, struct served_check *check, struct err *e)
{
    struct str rest = t->pg.listen_addresses, part;

    if (t->is_gate) {
        for (size_t i = 0; i < t->settings->listen_addresses.n; i++)
            TRY(add_listener(t, t->settings->listen_addresses.at[i], (unsigned)t->settings->port, check, e));
        return OK;
    }
    while (str_split(&rest, ',', &part)) {
        part = str_trim(part);
        if (part.n > 0)
            TRY(add_listener(t, part, t->pg.port, check, e));
    }
    return OK;
}

/* The gate's pages, where they have TLS: always where others than this machine reach them, and where they have a pair
 * of their own. */
static enum code http_listener(const struct renew_target *t, bool own, struct served_check *check,
                               struct err *e)
{
    size_t before = check->n;
    struct http_place place;

    if (!t->is_gate || own != (t->settings->http_cert_file.path != NULL) ||
        !http_place_parse(t->settings->http_listen, &place) || place.kind != HTTP_TCP ||
        (place.loopback && !own))
        return OK;
    TRY(add_listener(t, place.host, place.port, check, e));
    for (size_t i = before; i < check->n; i++) {
        check->targets[i].plain_tls = true;
        check->targets[i].proxy = false;
    }
    return OK;
}

/* One target for each host of the certificate, where there are hosts: those that are there, asked by name. */
static void ask_by_name(const struct renew_target *t, const char *cert, struct served_check *check)
{
    size_t n = check->n;

    for (size_t h = 0; renew_hosts_of(&t->hosts, cert, h); h++)
        for (size_t i = 0; i < n; i++) {
            const struct renew_host *host = renew_hosts_of(&t->hosts, cert, h);
            struct served_target *target = &check->targets[h == 0 ? i : check->n];
            if (h > 0 && check->n++ == SERVED_TARGETS_MAX - 1)
                return;
            *target = check->targets[i];
            target->by_name = !host->any;
            (void)snprintf(target->name, sizeof target->name, "%s", host->name);
        }
}

enum code renew_target_listeners(const struct renew_target *target, struct str pair, const struct env *env,
                                 struct served_check *check, struct err *e)
{
    bool http = str_is(pair, "http");
    const char *cert = str_starts(pair, STR("/")) ? pair.p : target->server_cert;
    size_t n = 0;

    *check = (struct served_check){ .library = target->library, .env = env };
    const char *state = target->is_gate ? settings_state_dir(target->settings) : "";
    if (!(target->is_gate ? served_name_for(env, state, check->name) : served_name(env, NULL, check->name)))
        return err_set(e, E_INTERNAL, "no random bytes");
    if (!http)
        TRY(all_listeners(target, check, e));
    if (!http && target->hosts.n > 0)
        ask_by_name(target, cert, check);
    else
        TRY(http_listener(target, http, check, e));
    if (check->n == 0)
        return OK; /* Unix-domain sockets only: no TLS there */
    verify_served(check);
    struct err why = check->targets[0].why;
    for (size_t i = 0; i < check->n; i++)
        if (check->targets[i].result != SERVED_UNKNOWN)
            check->targets[n++] = check->targets[i];
    check->n = n;
    return n > 0 ? OK : err_set(e, E_CONNECT, "no listener answers with TLS: %s", err_text(&why));
}

static enum code reload_running_gate(const struct renew_target *t, struct err *e)
{
    AUTO(arena) struct arena arena = { .blocks = NULL };
    struct reload_answer answer;

    arena_init(&arena, ANSWER_ARENA_MAX, ANSWER_ARENA_FIRST);
    TRY(reload_gate(t->settings, &arena, &answer, e));
    if (answer.loaded)
        return OK;
    (void)err_set(e, answer.refused ? E_CONFIG : E_UNAVAILABLE, "%.*s", STR_ARG(answer.told.message));
    if (answer.told.detail.n > 0)
        err_detail(e, "%.*s", STR_ARG(answer.told.detail));
    return answer.refused ? E_CONFIG : E_UNAVAILABLE;
}

enum code renew_target_reload(const struct renew_target *target, struct err *e)
{
    return target->is_gate ? reload_running_gate(target, e) : pgdata_reload(&target->pg, e);
}

static enum code target_judge(const struct served_check *check, struct err *e)
{
    char where[64];

    for (size_t i = 0; i < check->n; i++) {
        const struct served_target *target = &check->targets[i];
        if (target->result == SERVED_SAME)
            continue;
        address_text(&target->address, where, sizeof where);
        enum code code = target->result == SERVED_OTHER ? E_TLS : E_CONNECT;
        (void)err_set(e, code, "listener %s: %s", where, err_text(&target->why));
        err_detail(e, "%s", target->why.detail);
        return code;
    }
    return OK;
}

enum code renew_target_serves(const struct renew_target *target, struct served_check *check, X509 *cert,
                              const struct env *env, struct err *e)
{
    const struct timespec pause = { .tv_nsec = PAUSE_MS * 1000000L };
    int64_t until = env_mono_us(env) + PATIENCE_MS * 1000L;
    enum code code = OK;

    if (!cert_sha256(cert, check->fingerprint))
        return err_set(e, E_INTERNAL, "could not compute a fingerprint");
    for (size_t i = 0; i < check->n; i++)
        memcpy(check->targets[i].fingerprint, check->fingerprint, sizeof check->fingerprint);
    for (;;) {
        if (check->n > 0)
            verify_served(check);
        code = target_judge(check, e);
        /* A gate has answered that it has loaded; a signal to PostgreSQL takes its time. */
        if (code == OK || target->is_gate || env_mono_us(env) >= until)
            return code;
        (void)nanosleep(&pause, NULL);
    }
}
