#include "harden/pair.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/env.h"
#include "pki/expiry.h"
#include "pki/key.h"
#include "pki/leaf.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <stdio.h>
#include <unistd.h>

enum {
    NAMES_MAX = 32,
    HOST_MAX = 256,
    PAIRS_MAX = 1000,
    PAIR_ARENA_MAX = 16 << 20,
    PAIR_ARENA_FIRST = 16 * 1024
};

static enum code pair_nomem(struct err *e)
{
    return err_set(e, E_NOMEM, "out of memory");
}

/* ---- names ---- */

struct naming {
    struct arena *arena;
    struct san *sans;
    size_t n;
    const char *host;
};

static bool same_name(const struct san *a, const struct san *b)
{
    return a->type == b->type && bytes_equal(a->value, b->value);
}

static enum code add_name(struct naming *g, const char *name, struct err *e)
{
    struct san san;

    if (g->n == NAMES_MAX)
        return OK;
    TRY(san_parse(str_c(name), g->arena, &san, e));
    for (size_t i = 0; i < g->n; i++)
        if (same_name(&g->sans[i], &san))
            return OK;
    g->sans[g->n++] = san;
    if (!g->host)
        g->host = arena_c(g->arena, str_c(name));
    return g->host ? OK : pair_nomem(e);
}

/* A machine's own name may be one that no certificate can carry. */
static enum code add_usual(struct naming *g, const char *name, struct err *e)
{
    enum code code = add_name(g, name, e);

    return code == E_NOMEM ? code : OK;
}

static enum code add_machine(struct naming *g, struct err *e)
{
    const struct addrinfo hints = { .ai_flags = AI_CANONNAME, .ai_socktype = SOCK_STREAM };
    struct addrinfo *found = NULL;
    char name[HOST_MAX];
    enum code code = OK;

    if (gethostname(name, sizeof name) != 0)
        return OK;
    name[sizeof name - 1] = '\0';
    if (!name[0] || strcmp(name, "localhost") == 0)
        return OK;
    if (getaddrinfo(name, NULL, &hints, &found) == 0 && found && found->ai_canonname &&
        strncmp(found->ai_canonname, "localhost", sizeof "localhost" - 1) != 0)
        code = add_usual(g, found->ai_canonname, e);
    if (found)
        freeaddrinfo(found);
    return code == OK ? add_usual(g, name, e) : code;
}

static enum code add_addresses(struct naming *g, struct err *e)
{
    struct ifaddrs *list = NULL;
    char text[NI_MAXHOST];
    enum code code = OK;

    if (getifaddrs(&list) != 0)
        return OK;
    for (struct ifaddrs *i = list; i && code == OK; i = i->ifa_next) {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)i->ifa_addr;
        bool inet = i->ifa_addr && (i->ifa_addr->sa_family == AF_INET || i->ifa_addr->sa_family == AF_INET6);
        if (!inet || (i->ifa_flags & IFF_LOOPBACK) || !(i->ifa_flags & IFF_UP) ||
            (i->ifa_addr->sa_family == AF_INET6 && IN6_IS_ADDR_LINKLOCAL(&v6->sin6_addr)))
            continue;
        socklen_t size = i->ifa_addr->sa_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof *v6;
        if (getnameinfo(i->ifa_addr, size, text, sizeof text, NULL, 0, NI_NUMERICHOST) == 0)
            code = add_usual(g, text, e);
    }
    freeifaddrs(list);
    return code;
}

enum code harden_names_make(const char *const *given, size_t n, struct arena *arena, struct harden_names *out,
                            struct err *e)
{
    static const char *const here[] = { "localhost", "127.0.0.1", "::1" };
    struct naming g = { .arena = arena, .sans = arena_array(arena, NAMES_MAX, sizeof *g.sans) };

    if (!g.sans)
        return pair_nomem(e);
    if (n > NAMES_MAX)
        return err_set(e, E_USAGE, "more than %d names", NAMES_MAX);
    for (size_t i = 0; i < n; i++)
        TRY(add_name(&g, given[i], e));
    if (n == 0) {
        TRY(add_machine(&g, e));
        for (size_t i = 0; i < COUNT_OF(here); i++)
            TRY(add_usual(&g, here[i], e));
        TRY(add_addresses(&g, e));
    }
    *out = (struct harden_names){ g.sans, g.n, g.host, n > 0 };
    return OK;
}

/* ---- is there a good one? ---- */

static bool has_names(X509 *cert, const struct harden_names *names, struct arena *arena)
{
    struct cert_names have;

    if (cert_names_of(cert, arena, &have, NULL) != OK)
        return false;
    for (size_t i = 0; names->given && i < names->n; i++) {
        bool found = false;
        for (size_t k = 0; k < have.n_sans && !found; k++)
            found = same_name(&have.sans[k], &names->sans[i]);
        if (!found)
            return false;
    }
    return true;
}

bool harden_names_in(const char *cert_file, const struct harden_names *names, struct arena *arena)
{
    AUTO(cert_list) struct cert_list list = { 0 };

    return cert_chain_load(cert_file, &list, NULL) != OK || list.n == 0 ||
           has_names(list.items[0], names, arena);
}

static bool is_good(const struct harden_target *t, const struct harden_names *names, const struct env *env)
{
    AUTO(arena) struct arena arena = { .blocks = NULL };
    AUTO(cert_list) struct cert_list list = { 0 };
    AUTO(key) EVP_PKEY *key = NULL;
    struct cert_info info;

    arena_init(&arena, PAIR_ARENA_MAX, PAIR_ARENA_FIRST);
    if (cert_chain_load(t->cert, &list, NULL) != OK || list.n == 0 ||
        key_load(t->key, NULL, &key, NULL) != OK || !key_fits(key, list.items[0]) ||
        cert_describe(list.items[0], &arena, &info, NULL) != OK)
        return false;
    struct expiry expiry = expiry_judge(info.not_before_unix_s, info.not_after_unix_s, env_now_s(env));
    return expiry.status == EXPIRY_OK && has_names(list.items[0], names, &arena);
}

/* "db.example", as a client calls it. */
static const char *host_of(const struct san *san, struct arena *arena)
{
    struct str text;

    if (san_text(san, arena, &text, NULL) != OK)
        return NULL;
    return arena_c(arena, str_from(text, str_find(text, ':') + 1));
}

static enum code pair_paths(struct harden_target *t, unsigned number, struct err *e)
{
    char cert[sizeof "private/server-.crt" + 16], key[sizeof cert];

    (void)snprintf(cert, sizeof cert, number > 1 ? "private/server-%u.crt" : "private/server.crt", number);
    (void)snprintf(key, sizeof key, number > 1 ? "private/server-%u.key" : "private/server.key", number);
    TRY(os_path(t->state, cert, t->cert, e));
    return os_path(t->state, key, t->key, e);
}

/* The last pair that was made, or begun; 1 where there is none. */
static enum code find_last(struct harden_target *t, unsigned *out, struct err *e)
{
    for (unsigned n = 1; n < PAIRS_MAX; n++) {
        TRY(pair_paths(t, n, e));
        if (os_exists(t->cert) || os_exists(t->key))
            continue;
        *out = n > 1 ? n - 1 : 1;
        return pair_paths(t, *out, e);
    }
    return err_set(e, E_LIMIT, "more than %d certificates in \"%s/private\"", PAIRS_MAX - 2, t->state);
}

/* Clients call the server by the names it has had. */
static enum code add_former(const struct harden_target *t, struct arena *arena, struct harden_names *names,
                            struct err *e)
{
    AUTO(cert_list) struct cert_list list = { 0 };
    struct cert_names former;

    if (!names->given || cert_chain_load(t->cert, &list, NULL) != OK || list.n == 0)
        return OK;
    enum code code = cert_names_of(list.items[0], arena, &former, e);
    if (code != OK)
        return code == E_NOMEM ? code : OK;
    for (size_t i = 0; i < former.n_sans && names->n < NAMES_MAX; i++) {
        bool there = false;
        for (size_t k = 0; k < names->n && !there; k++)
            there = same_name(&names->sans[k], &former.sans[i]);
        if (!there)
            names->sans[names->n++] = former.sans[i];
    }
    return OK;
}

enum code harden_pair_choose(struct harden_target *target, struct harden_names *names, const struct env *env,
                             struct arena *arena, struct err *e)
{
    unsigned last = 1;

    TRY(find_last(target, &last, e));
    bool any = os_exists(target->cert) || os_exists(target->key);
    if (any)
        TRY(add_former(target, arena, names, e));
    return !any || is_good(target, names, env) ? OK : pair_paths(target, last + 1, e);
}

enum code harden_names_keep(const struct harden_target *target, const struct env *env, struct arena *arena,
                            struct harden_names *names, struct err *e)
{
    AUTO(cert_list) struct cert_list list = { 0 };
    struct cert_names have;

    if (names->given || !is_good(target, names, env))
        return OK;
    if (cert_chain_load(target->cert, &list, NULL) != OK ||
        cert_names_of(list.items[0], arena, &have, NULL) != OK || have.n_sans == 0)
        return OK;
    const char *host = host_of(&have.sans[0], arena);
    if (!host)
        return pair_nomem(e);
    *names = (struct harden_names){ have.sans, have.n_sans, host, false };
    return OK;
}

/* ---- making ---- */

static enum code make_ca(const struct harden_target *t, const char *host, const struct env *env,
                         struct err *e)
{
    AUTO(buf) struct buf name = BUF_INIT(HOST_MAX), pem = BUF_INIT(OS_FILE_LIMIT);
    struct ca_params params = { .key = KEY_P256, .days = CA_DAYS_DEFAULT, .path_length = 0 };
    char path[OS_PATH_MAX];

    TRY(os_path(t->ca_dir, "ca.crt", path, e));
    if (!os_exists(path)) {
        buf_printf(&name, "pgseal CA %.48s", host);
        params.common_name = buf_str(&name);
        params.replace = !os_exists(t->root); /* a key without a certificate is what a killed run has left */
        TRY(ca_create(t->ca_dir, &params, env, e));
    }
    if (os_exists(t->root))
        return OK;
    TRY(os_read_file(path, &pem, e));
    return os_write_file(t->root, buf_bytes(&pem), 0644, OS_WRITE_NEW, e);
}

static enum code issue(const struct harden_target *t, const struct harden_names *names, const struct env *env,
                       struct err *e)
{
    const struct ca_where where = { t->ca_dir, NULL, env };
    struct leaf_files files = LEAF_FILES_INIT;
    AUTO(leaf) struct leaf leaf = { NULL, NULL };
    AUTO(ca) struct ca *ca = NULL;

    TRY(ca_open(&where, CA_SIGN, &ca, e));
    const struct ca_request request = { .use = CA_USE_SERVER,
                                        .common_name = str_first(str_c(names->host), CA_NAME_MAX),
                                        .sans = names->sans,
                                        .n_sans = names->n,
                                        .days = CA_LEAF_DAYS_DEFAULT };
    TRY(leaf_make(&(struct leaf_wish){ ca, env, &request, KEY_P256 }, &leaf, e));
    files.cert_path = t->cert;
    files.key_path = t->key;
    return leaf_write(&leaf, &files, e);
}

enum code harden_pair_make(const struct harden_target *target, const struct harden_names *names,
                           const struct env *env, bool *out_made, struct err *e)
{
    char private[OS_PATH_MAX];

    *out_made = false;
    TRY(os_mkdir(target->state, 0755, e));
    TRY(os_path(target->state, "private", private, e));
    TRY(os_mkdir(private, 0700, e));
    TRY(make_ca(target, names->host, env, e));
    if (is_good(target, names, env))
        return OK;
    TRY(issue(target, names, env, e));
    *out_made = true;
    return OK;
}

void harden_pair_forget(const struct harden_target *target)
{
    (void)unlink(target->cert);
    (void)unlink(target->key);
}
