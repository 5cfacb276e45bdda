/*
 * The sequence of attempts.
 *
 * Three nested lists are walked: hosts, the addresses of a host, the methods of an address. An event moves
 * one of the three on, or ends everything:
 *
 *     method   next one, on the same connection (`N`) or on a new one (TLS failed, the server refused)
 *     address  connect failed, timeout
 *     host     57P03, target_session_attrs
 *     end      everything else; libpq gives the other hosts no chance then, and neither do we
 *
 * On top of libpq's walk lies one of our own: an address that did not answer lately is passed over at first
 * and tried only when nothing else is left, so that it costs new sessions its timeout once. Likewise one that
 * was a standby when last asked, where a primary is wanted, and the other way round: the logins of others
 * find out for those whose exchange passes through and who have one try only.
 */
#include "client/hosts.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/env.h"
#include "base/hash.h"
#include "client/conninfo.h"

#include <netdb.h>
#include <stdio.h>
#include <sys/un.h>

struct attempt_addr {
    struct address addr;
    /* Passed over when its turn came, and not tried since: for what reason. */
    enum { LATER_NOT, LATER_DOWN, LATER_UNFIT } later;
};

struct attempt_host {
    struct attempt_addr *addrs;
    size_t count;
    bool known; /* `addrs` is filled in */
};

/* ---- addresses ---- */

bool conn_addr_is_unix(const struct address *addr)
{
    return addr->ss.ss_family == AF_UNIX;
}

bool conn_addr_equal(const struct address *a, const struct address *b)
{
    return bytes_equal(bytes_of(&a->ss, a->n), bytes_of(&b->ss, b->n));
}

size_t conn_addrs_found(const struct addrinfo *found, struct address *out, size_t max)
{
    size_t n = 0;

    for (; found && n < max; found = found->ai_next)
        n += address_of_info(found, &out[n]);
    return n;
}

int conn_addrs_look_up(struct str host, struct address *out, size_t max, size_t *out_n)
{
    const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
    struct addrinfo *found = NULL;
    char name[NI_MAXHOST];

    int error = str_to_c(host, name, sizeof name) ? getaddrinfo(name, NULL, &hints, &found) : EAI_NONAME;
    *out_n = conn_addrs_found(error == 0 ? found : NULL, out, max);
    if (found)
        freeaddrinfo(found);
    return error;
}

void conn_addr_text(const struct address *addr, char out[128])
{
    const struct sockaddr_un *un = (const struct sockaddr_un *)(const void *)&addr->ss;
    size_t path_n = addr->n > offsetof(struct sockaddr_un, sun_path)
                        ? addr->n - offsetof(struct sockaddr_un, sun_path)
                        : 0;

    out[0] = '\0';
    if (conn_addr_is_unix(addr) && path_n > 0 && un->sun_path[0] == '\0')
        (void)snprintf(out, 128, "@%.*s", (int)path_n - 1, un->sun_path + 1);
    else if (conn_addr_is_unix(addr))
        (void)snprintf(out, 128, "%.*s", (int)path_n, un->sun_path);
    else if (getnameinfo((const struct sockaddr *)&addr->ss, addr->n, out, 128, NULL, 0, NI_NUMERICHOST) != 0)
        out[0] = '\0';
}

/* `DIR/.s.PGSQL.PORT`; a leading @ makes the name abstract. */
static enum code unix_addr(const struct conn_host *host, struct address *out, struct err *e)
{
    struct address addr = { 0 };
    struct sockaddr_un *un = (struct sockaddr_un *)(void *)&addr.ss;
    int n = snprintf(un->sun_path, sizeof un->sun_path, "%.*s/.s.PGSQL.%u", STR_ARG(host->host), host->port);

    if (n < 0 || (size_t)n >= sizeof un->sun_path)
        return err_set(e, E_PARAM,
                       "Unix-domain socket path \"%.*s/.s.PGSQL.%u\" is too long (maximum %zu bytes)",
                       STR_ARG(host->host), host->port, sizeof un->sun_path - 1);
    un->sun_family = AF_UNIX;
    addr.n = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)n);
    if (un->sun_path[0] == '@')
        un->sun_path[0] = '\0';
    else
        addr.n++; /* a path's NUL counts */
    *out = addr;
    return OK;
}

static enum code numeric_addr(const struct conn_host *host, struct address *out, struct err *e)
{
    const struct addrinfo hints = { .ai_flags = AI_NUMERICHOST, .ai_socktype = SOCK_STREAM };
    struct addrinfo *list = NULL;
    char text[NI_MAXHOST];
    int error = EAI_NONAME;

    if (str_to_c(host->hostaddr, text, sizeof text))
        error = getaddrinfo(text, NULL, &hints, &list); /* numeric only: asks nobody */
    if (error != 0)
        return err_set(e, E_PARAM, "could not parse network address \"%.*s\": %s", STR_ARG(host->hostaddr),
                       gai_strerror(error));
    *out = (struct address){ .n = list->ai_addrlen };
    memcpy(&out->ss, list->ai_addr, list->ai_addrlen);
    freeaddrinfo(list);
    return OK;
}

/* ---- addresses that are down ---- */

void host_cache_up(struct host_cache *cache, const struct address *addr)
{
    for (size_t i = 0; i < HOST_CACHE_SLOTS; i++) {
        if (conn_addr_equal(&cache->slot[i].addr, addr))
            cache->slot[i].until_us = 0;
    }
}

void host_cache_down(struct host_cache *cache, const struct address *addr, int64_t now_us)
{
    size_t at = 0;

    host_cache_up(cache, addr);
    for (size_t i = 1; i < HOST_CACHE_SLOTS; i++) {
        if (cache->slot[i].until_us < cache->slot[at].until_us)
            at = i;
    }
    cache->slot[at].addr = *addr;
    cache->slot[at].until_us = now_us + (int64_t)HOST_DOWN_S * 1000000;
}

bool host_cache_is_down(const struct host_cache *cache, const struct address *addr, int64_t now_us)
{
    for (size_t i = 0; i < HOST_CACHE_SLOTS; i++) {
        if (cache->slot[i].until_us > now_us && conn_addr_equal(&cache->slot[i].addr, addr))
            return true;
    }
    return false;
}

/* ---- roles ---- */

/* The two lowest bits make room for the role. */
static uint64_t address_tag(const struct address *addr)
{
    return hash_bytes(HASH_BEGIN, bytes_of(&addr->ss, addr->n)) & ~(uint64_t)3;
}

static void note(_Atomic uint64_t *slots, uint64_t tag, enum host_role role)
{
    atomic_store_explicit(&slots[(tag >> 2) % HOST_ROLE_SLOTS], tag | (uint64_t)role, memory_order_relaxed);
}

static enum host_role noted(const _Atomic uint64_t *slots, uint64_t tag)
{
    uint64_t value = atomic_load_explicit(&slots[(tag >> 2) % HOST_ROLE_SLOTS], memory_order_relaxed);

    return (value & ~(uint64_t)3) == tag ? (enum host_role)(value & 3) : HOST_ROLE_UNKNOWN;
}

void host_roles_note(struct host_roles *roles, const struct address *addr, enum host_role role)
{
    note(roles->slot, address_tag(addr), role);
}

enum host_role host_roles_get(const struct host_roles *roles, const struct address *addr)
{
    return noted(roles->slot, address_tag(addr));
}

static uint64_t host_tag(const struct conn_host *host)
{
    uint64_t h = hash_str(HASH_BEGIN, host->host);

    h = hash_str(hash_str(h, STR("\n")), host->hostaddr);
    return hash_str(hash_str(h, STR("\n")), host->port_text) & ~(uint64_t)3;
}

void host_roles_hint(struct host_roles *roles, const struct conn_host *host, enum host_role role)
{
    note(roles->hint, host_tag(host), role);
}

enum host_role host_roles_hinted(const struct host_roles *roles, const struct conn_host *host)
{
    return noted(roles->hint, host_tag(host));
}

bool conn_host_equal(const struct conn_host *a, const struct conn_host *b)
{
    return str_equal(a->host, b->host) && str_equal(a->hostaddr, b->hostaddr) &&
           str_equal(a->port_text, b->port_text);
}

/* ---- the walk ---- */

struct methods {
    enum conn_method list[2];
    unsigned count;
};

/* [src: PostgreSQL 18, fe-connect.c init_allowed_encryption_methods, select_next_encryption_method] */
static struct methods methods_of(const struct attempts *a)
{
    enum conn_method tls = a->info->sslnegotiation == SSLNEG_DIRECT ? METHOD_DIRECT_TLS : METHOD_TLS;

    if (a->info->hosts[a->step.host].kind == CONN_HOST_UNIX)
        return (struct methods){ { METHOD_PLAIN }, 1 };
    switch (a->info->sslmode) {
    case SSLMODE_DISABLE:
        return (struct methods){ { METHOD_PLAIN }, 1 };
    case SSLMODE_ALLOW:
        return (struct methods){ { METHOD_PLAIN, tls }, 2 };
    case SSLMODE_PREFER:
        return (struct methods){ { tls, METHOD_PLAIN }, 2 };
    case SSLMODE_REQUIRE:
    case SSLMODE_VERIFY_CA:
    case SSLMODE_VERIFY_FULL:
        break;
    }
    return (struct methods){ { tls }, 1 };
}

/* A fair shuffle; without entropy the order stays as it is. */
static void shuffle(const struct env *env, void *base, size_t count, size_t size)
{
    uint8_t *items = base, swap[sizeof(struct attempt_addr)];

    for (size_t i = count; i > 1; i--) {
        uint64_t r;
        if (!env_random(env, &r, sizeof r))
            return;
        size_t j = (size_t)(r % i);
        memcpy(swap, items + (i - 1) * size, size);
        memcpy(items + (i - 1) * size, items + j * size, size);
        memcpy(items + j * size, swap, size);
    }
}

static enum host_role hinted(const struct attempts *a)
{
    return a->cache && a->cache->roles ? host_roles_hinted(a->cache->roles, &a->info->hosts[a->step.host])
                                       : HOST_ROLE_UNKNOWN;
}

/* One that is said to be the primary has come back. */
static bool is_down(const struct attempts *a, const struct address *addr)
{
    return a->cache && hinted(a) != HOST_ROLE_PRIMARY &&
           host_cache_is_down(a->cache, addr, env_mono_us(a->env));
}

static bool is_unfit(const struct attempts *a, const struct address *addr)
{
    enum host_role role = hinted(a);

    if (role == HOST_ROLE_UNKNOWN && a->cache && a->cache->roles)
        role = host_roles_get(a->cache->roles, addr);

    switch (a->info->session_attrs) {
    case ATTRS_ANY:
        return false;
    case ATTRS_READ_WRITE:
    case ATTRS_PRIMARY:
        return role == HOST_ROLE_STANDBY || role == HOST_ROLE_SILENT;
    case ATTRS_READ_ONLY:
    case ATTRS_STANDBY:
    case ATTRS_PREFER_STANDBY:
        return role == HOST_ROLE_PRIMARY;
    }
    UNREACHABLE();
}

/* Is it this address's turn in the present pass? */
static bool has_turn(const struct attempts *a, struct attempt_addr *addr)
{
    bool down = is_down(a, &addr->addr);

    switch (a->pass) {
    case PASS_LIVE:
        addr->later = down ? LATER_DOWN : is_unfit(a, &addr->addr) ? LATER_UNFIT : LATER_NOT;
        return addr->later == LATER_NOT;
    case PASS_UNFIT:
        return addr->later == LATER_UNFIT;
    case PASS_ANY_ATTRS:
        return !down;
    case PASS_DOWN:
        return addr->later == LATER_DOWN;
    }
    UNREACHABLE();
}

static bool take_address(struct attempts *a, struct attempt_addr *addr)
{
    if (!has_turn(a, addr))
        return false;
    addr->later = LATER_NOT;
    a->method_at = 0;
    a->step.addr = addr->addr;
    a->step.action = ATTEMPT_CONNECT;
    a->step.new_address = true;
    a->step.method = methods_of(a).list[0];
    return true;
}

/* From addr_at on; false: this host has no more. */
static bool next_address(struct attempts *a)
{
    struct attempt_host *host = &a->hosts[a->step.host];

    for (; a->addr_at < host->count; a->addr_at++) {
        if (take_address(a, &host->addrs[a->addr_at]))
            return true;
    }
    return false;
}

/* Addresses that need no look-up. A host that cannot be used at all is passed over, as in libpq. */
static void know_host(struct attempts *a, struct attempt_host *host)
{
    const struct conn_host *from = &a->info->hosts[a->step.host];
    enum code code = OK;

    if (from->port == 0) {
        (void)err_set(&a->passed, E_PARAM, "invalid port number: \"%.*s\"", STR_ARG(from->port_text));
        host->known = true;
        return;
    }
    if (from->kind == CONN_HOST_NAME)
        return;
    host->known = true;
    host->addrs = ARENA_NEW(a->arena, struct attempt_addr);
    if (!host->addrs)
        code = err_set(&a->passed, E_NOMEM, "out of memory");
    else if (from->kind == CONN_HOST_UNIX)
        code = unix_addr(from, &host->addrs[0].addr, &a->passed);
    else
        code = numeric_addr(from, &host->addrs[0].addr, &a->passed);
    host->count = code == OK ? 1 : 0;
    if (code == OK)
        address_set_port(&host->addrs[0].addr, from->port);
}

/* Look at the host at host_at: true when the step is set. */
static bool enter_host(struct attempts *a)
{
    struct attempt_host *host;

    a->step.host = a->order[a->host_at];
    host = &a->hosts[a->step.host];
    a->addr_at = 0;
    if (!host->known)
        know_host(a, host);
    if (host->known)
        return next_address(a);
    a->step.action = ATTEMPT_RESOLVE;
    return true;
}

static bool next_pass(struct attempts *a)
{
    switch (a->pass) {
    case PASS_LIVE:
        a->pass = PASS_UNFIT;
        break;
    case PASS_UNFIT:
        a->pass = a->info->session_attrs == ATTRS_PREFER_STANDBY ? PASS_ANY_ATTRS : PASS_DOWN;
        break;
    case PASS_ANY_ATTRS:
        a->pass = PASS_DOWN;
        break;
    case PASS_DOWN:
        return false;
    }
    a->host_at = 0;
    return true;
}

/* From host_at on, through all passes. */
static void seek_host(struct attempts *a)
{
    do {
        for (; a->host_at < a->info->host_count; a->host_at++) {
            if (enter_host(a))
                return;
        }
    } while (next_pass(a));
    a->step.action = ATTEMPT_FAIL;
}

static void go_next_host(struct attempts *a)
{
    a->host_at++;
    seek_host(a);
}

static void go_next_address(struct attempts *a)
{
    a->addr_at++;
    if (!next_address(a))
        go_next_host(a);
}

static void go_next_method(struct attempts *a, enum attempt_action action)
{
    struct methods methods = methods_of(a);

    a->step.action = ATTEMPT_FAIL;
    if (a->method_at + 1 >= methods.count)
        return;
    a->step.method = methods.list[++a->method_at];
    a->step.new_address = false;
    a->step.action = a->step.method == METHOD_DIRECT_TLS ? ATTEMPT_CONNECT : action;
}

enum code attempts_init(struct attempts *out, const struct conninfo *info, struct host_cache *cache,
                        const struct env *env, struct arena *arena)
{
    *out = (struct attempts){ .info = info, .cache = cache, .env = env, .arena = arena };
    out->order = arena_array(arena, info->host_count, sizeof *out->order);
    out->hosts = arena_array(arena, info->host_count, sizeof *out->hosts);
    if (!out->order || !out->hosts)
        return E_NOMEM;
    for (size_t i = 0; i < info->host_count; i++)
        out->order[i] = i;
    if (info->load_balance)
        shuffle(env, out->order, info->host_count, sizeof *out->order);
    seek_host(out);
    return OK;
}

enum code attempts_resolved(struct attempts *a, const struct address *addrs, size_t count)
{
    struct attempt_host *host = &a->hosts[a->step.host];

    if (count > HOST_ADDRESSES_MAX)
        count = HOST_ADDRESSES_MAX;
    host->addrs = arena_array(a->arena, count, sizeof *host->addrs);
    if (!host->addrs)
        return E_NOMEM;
    host->known = true;
    host->count = count;
    for (size_t i = 0; i < count; i++) {
        host->addrs[i].addr = addrs[i];
        address_set_port(&host->addrs[i].addr, a->info->hosts[a->step.host].port);
    }
    if (a->info->load_balance)
        shuffle(a->env, host->addrs, count, sizeof *host->addrs);
    if (!next_address(a))
        go_next_host(a);
    return OK;
}

void attempts_event(struct attempts *a, enum attempt_event event)
{
    switch (event) {
    case EVENT_CONNECT_FAILED:
    case EVENT_TIMEOUT:
        if (a->cache)
            host_cache_down(a->cache, &a->step.addr, env_mono_us(a->env));
        go_next_address(a);
        return;
    case EVENT_TLS_REFUSED:
        go_next_method(a, ATTEMPT_CONTINUE);
        return;
    case EVENT_TLS_FAILED:
    case EVENT_SERVER_ERROR:
        go_next_method(a, ATTEMPT_CONNECT);
        return;
    case EVENT_SERVER_BUSY:
    case EVENT_ATTRS_MISMATCH:
        go_next_host(a);
        return;
    case EVENT_REPLY_BAD:
    case EVENT_LOCAL_ERROR:
    case EVENT_CLOSED:
    case EVENT_LATE_ERROR:
        a->step.action = ATTEMPT_FAIL;
        return;
    }
}

void attempts_role(struct attempts *a, enum host_role role)
{
    if (a->cache && a->cache->roles && role != HOST_ROLE_UNKNOWN)
        host_roles_note(a->cache->roles, &a->step.addr, role);
}

bool attempts_unfit(const struct attempts *a)
{
    return is_unfit(a, &a->step.addr);
}

void attempts_done(struct attempts *a)
{
    if (a->cache)
        host_cache_up(a->cache, &a->step.addr);
}

bool attempts_any_attrs(const struct attempts *a)
{
    return a->info->session_attrs == ATTRS_PREFER_STANDBY && a->pass >= PASS_ANY_ATTRS;
}

void attempts_prefix(const struct attempts *a, struct buf *out)
{
    const struct conn_host *host = &a->info->hosts[a->step.host];
    struct str shown = host->kind == CONN_HOST_ADDRESS ? host->hostaddr : host->host;
    char addr[128];

    conn_addr_text(&a->step.addr, addr);
    if (conn_addr_is_unix(&a->step.addr))
        (void)buf_printf(out, "connection to server on socket \"%s\" failed: ", addr);
    else if (host->kind == CONN_HOST_ADDRESS || str_is(shown, addr) || addr[0] == '\0')
        (void)buf_printf(out, "connection to server at \"%.*s\", port %.*s failed: ", STR_ARG(shown),
                         STR_ARG(host->port_text));
    else
        (void)buf_printf(out, "connection to server at \"%.*s\" (%s), port %.*s failed: ", STR_ARG(shown),
                         addr, STR_ARG(host->port_text));
}

void attempts_name_server(const struct attempts *a, struct err *e)
{
    AUTO(buf) struct buf prefix = BUF_INIT(sizeof e->message);
    struct err bare = *e;

    if (e->sqlstate[0] || str_starts(str_c(e->message), STR("connection to server ")))
        return;
    attempts_prefix(a, &prefix);
    (void)snprintf(e->message, sizeof e->message, "%s%s", buf_c(&prefix), bare.message);
}

bool attempt_may_recover(enum attempt_event event, const char *sqlstate)
{
    switch (event) {
    case EVENT_CONNECT_FAILED:
    case EVENT_TIMEOUT:
    case EVENT_SERVER_BUSY:
    case EVENT_ATTRS_MISMATCH:
    case EVENT_CLOSED:
        return true;
    case EVENT_SERVER_ERROR:
    case EVENT_LATE_ERROR:
        return str_starts(str_c(sqlstate), STR("57P0"));
    case EVENT_TLS_REFUSED:
    case EVENT_REPLY_BAD:
    case EVENT_TLS_FAILED:
    case EVENT_LOCAL_ERROR:
        return false;
    }
    UNREACHABLE();
}
