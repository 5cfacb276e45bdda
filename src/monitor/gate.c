/* What a gate's settings name. gate/views/rows_certificates.c has the same files, as a gate loaded them. */
#include "monitor/gate.h"

#include "base/check.h"
#include "base/env.h"
#include "client/conninfo.h"
#include "client/verify_served.h"
#include "conf/files.h"
#include "conf/http_place.h"
#include "conf/settings.h"
#include "monitor/ask.h"
#include "monitor/files.h"
#include "monitor/hosts.h"
#include "monitor/seen.h"
#include "os/files.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/x509.h>

/* Would the gate want a PROXY header from us there? Then we cannot ask it. */
static bool wants_proxy(const struct settings *settings, struct str address)
{
    struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
    char text[64];

    if (str_to_c(address, text, sizeof text)) { /* who connects to an address of ours comes from it */
        (void)inet_pton(AF_INET, text, &v4.sin_addr);
        (void)inet_pton(AF_INET6, text, &v6.sin6_addr);
    }
    return settings_proxy_expected(settings, (struct sockaddr *)&v4) ||
           settings_proxy_expected(settings, (struct sockaddr *)&v6);
}

/* What the gate shows: as a client to its peers and to who is asked for the primary, else to clients. */
static enum monitor_role role_of(const struct settings_file_use *use)
{
    return str_ends(str_c(use->kind), STR(" client")) ? ROLE_CLIENT : ROLE_SERVER;
}

static enum code add_listed(struct monitor_target *target, const struct settings_file_use *use,
                            const char *path, struct monitor_row **out, struct err *e)
{
    const struct monitor_file file = { use->kind, use->setting, path };

    return use->named ? monitor_add_trust(target, &file, e)
                      : monitor_add_chain(target, &file, role_of(use), out, e);
}

/* The files of upstream_check_url. */
static enum code add_role_check(struct monitor_target *target, const struct settings *s, struct err *e)
{
    struct settings_file_use use;
    struct monitor_row *leaf;
    const char *path;

    for (size_t i = 0; settings_file_listed(s, i, &use, &path); i++)
        if (use.reader == FILE_READER_CHECK && settings_reads(s, use.reader))
            TRY(add_listed(target, &use, path, &leaf, e));
    return OK;
}

/* The files of TLS with clients, as tables/settings.def has them. */
static enum code add_server(struct monitor_target *target, const struct settings *s, struct err *e)
{
    const struct monitor_file crls = { "crl", "ssl_crl_dir", s->ssl_crl_dir.path };
    const struct monitor_hosts hosts = { s->ssl_sni, s->hosts_file.path, s->dir.p };
    struct monitor_row *leaf = NULL, *first = NULL;
    struct monitor_hosted hosted;
    struct settings_file_use use;
    const char *path;

    if (!s->ssl)
        return OK;
    TRY(monitor_add_hosts(target, &hosts, &hosted, e));
    bool by_name = hosted.lines.n > 0;
    for (size_t i = 0; settings_file_listed(s, i, &use, &path); i++) {
        bool served = path == s->ssl_cert_file.path;
        if (by_name && path && (served || path == s->ssl_ca_file.path)) /* others are in use instead */
            continue;
        if (use.reader != FILE_READER_TLS)
            continue;
        TRY(add_listed(target, &use, path, &first, e));
        if (served)
            leaf = first;
    }
    for (size_t i = 0; i < s->listen_addresses.n; i++) {
        const struct monitor_listener listener = { .address = s->listen_addresses.at[i],
                                                   .port = (unsigned)s->port };
        if (wants_proxy(s, listener.address))
            continue;
        TRY(by_name ? monitor_ask_hosts(target, &hosted, listener, e)
                    : monitor_ask_served(target, leaf, &listener, e));
    }
    return monitor_add_crl_dir(target, &crls, e);
}

/* The private CA that init made: with it ends what it issued, whether or not clients' certificates are asked for. */
static enum code add_private_ca(struct monitor_target *target, const char *dir, struct err *e)
{
    AUTO(trust) struct trust ca = { 0 };
    struct monitor_row *row;
    char path[OS_PATH_MAX];
    struct err ignored;

    if (os_path(dir, "ca/ca.crt", path, &ignored) != OK || !os_exists(path) ||
        trust_load(path, &ca, &ignored) != OK)
        return OK;
    for (size_t i = 0; i < ca.certs.n; i++)
        if (!cert_list_has(&target->known, ca.certs.items[i]))
            TRY(monitor_add_cert(target, "ca", str_c(path), ca.certs.items[i], &row, e));
    return OK;
}

/* Its pages over TLS: always where others than this machine reach them. */
static enum code add_http(struct monitor_target *target, const struct settings *s, struct err *e)
{
    bool own = s->http_cert_file.path != NULL;
    const struct monitor_file cert = { "http", own ? "http_cert_file" : "ssl_cert_file",
                                       own ? s->http_cert_file.path : s->ssl_cert_file.path };
    struct monitor_row *leaf;
    struct http_place place;

    if (!http_place_parse(s->http_listen, &place) || place.kind != HTTP_TCP || (place.loopback && !own))
        return OK;
    TRY(monitor_add_chain(target, &cert, ROLE_SERVER, &leaf, e));
    const struct monitor_listener listener = { .address = place.host, .port = place.port, .plain_tls = true };
    return monitor_ask_served(target, leaf, &listener, e);
}

static enum code gate_add_upstreams(struct monitor_target *target, const struct settings *s, struct err *e)
{
    for (size_t i = 0; i < s->n_routes; i++) {
        const struct settings_route *route = &s->routes[i];
        struct conninfo info;
        struct str setting;
        struct err why;
        if (route->upstream.n == 0 || (i > 0 && !route->owns_upstream))
            continue;
        bool ok = i == 0 ? arena_str(&target->arena, STR("upstream"), &setting)
                         : arena_printf(&target->arena, &setting, "upstream.%.*s", STR_ARG(route->label));
        if (!ok)
            return err_set(e, E_NOMEM, "out of memory");
        if (conninfo_parse(route->upstream, target->params->world, CONN_GATE, &target->arena, &info, &why) ==
            OK)
            TRY(monitor_ask_upstream(target, &info, setting.p, e));
        else
            TRY(monitor_add_fault(target, "upstream", setting, MONITOR_UNKNOWN, err_text(&why), e));
    }
    return OK;
}

/* The gate then takes the visits for no client's failures, if its secret can be read. */
static enum code name_visits(struct monitor_target *target, const struct settings *s, struct err *e)
{
    const struct env env = env_system();
    char name[SERVED_NAME_SIZE];

    target->is_gate = true;
    if (!served_name_for(&env, settings_state_dir(s), name))
        return OK;
    return arena_str(&target->arena, str_c(name), &target->sni) ? OK : err_set(e, E_NOMEM, "out of memory");
}

enum code monitor_add_gate(struct monitor_target *target, const char *dir, struct err *e)
{
    const struct settings_params params = { .dir = str_c(dir) };
    struct settings *settings = NULL;
    struct diags diags;

    diags_init(&diags, &target->arena);
    if (settings_load(&params, &settings, &diags) != OK) {
        struct err why;
        (void)diags_to_err(&diags, E_CONFIG, "its settings could not be read", &why);
        return monitor_add_fault(target, "server", str_c(dir), MONITOR_UNKNOWN, err_text(&why), e);
    }
    enum code code = name_visits(target, settings, e);
    if (code == OK)
        code = add_server(target, settings, e);
    if (code == OK)
        code = add_private_ca(target, dir, e);
    if (code == OK)
        code = add_http(target, settings, e);
    if (code == OK)
        code = gate_add_upstreams(target, settings, e);
    if (code == OK)
        code = add_role_check(target, settings, e);
    if (code == OK && target->params->inventory)
        code = monitor_add_seen(target, settings_state_dir(settings), e);
    settings_unref(settings);
    return code;
}
