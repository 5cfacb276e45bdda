/* The gates of cancel_peers, as a load needs them. */
#include "gate/load/peers.h"

#include "base/arena.h"
#include "base/check.h"
#include "client/conninfo.h"
#include "client/conninfo_defaults.h"
#include "conf/settings.h"
#include "gate/load/snapshot.h"
#include "pki/cert.h"

enum { PEER_ARENA_MAX = 256 * 1024 };

#define PEER_TIMEOUT_S "3" /* a client waits for its cancel; the others have long answered by then */

static const char *either(const struct settings_file *own, const struct settings_file *other)
{
    return own->path ? own->path : other->path;
}

/* host:port, as the setting's parser has made sure of; an IPv6 address is in brackets. */
static void split(struct str peer, struct str *host, struct str *port)
{
    size_t colon = peer.n;

    while (colon > 0 && peer.p[colon - 1] != ':')
        colon--;
    *port = str_from(peer, colon);
    *host = str_first(peer, colon - 1);
    if (host->n > 2 && host->p[0] == '[' && host->p[host->n - 1] == ']')
        *host = str_first(str_from(*host, 1), host->n - 2);
}

/* A certificate that only servers may show would be refused by every peer, and nobody would know why. */
static enum code check_usage(const struct settings *settings, struct diags *diags)
{
    const char *file = either(&settings->cancel_peer_cert_file, &settings->ssl_cert_file);
    AUTO(cert_list) struct cert_list list = { 0 };
    AUTO(arena) struct arena scratch;
    struct cert_info info;
    struct err e;

    arena_init(&scratch, PEER_ARENA_MAX, 2048);
    enum code code = cert_chain_load(file, &list, &e);
    if (code == OK)
        code = cert_describe(list.items[0], &scratch, &info, &e);
    if (code != OK) {
        diags_add_err(diags, &e);
        return code;
    }
    if (info.eku & (CERT_EKU_CLIENT | CERT_EKU_ANY))
        return OK;
    struct diag *row = diags_add(diags, SEV_ERROR, E_CONFIG, str_c(file), 0,
                                 "the certificate is for servers only: the gates of \"cancel_peers\" would "
                                 "refuse it");
    diags_hint(diags, row,
               "Issue one for both uses (pgseal cert issue --use both), or set \"cancel_peer_cert_file\".");
    return E_CONFIG;
}

enum code peers_check(const struct settings *settings, struct diags *diags)
{
    if (settings->cancel_peers.n > CANCEL_PEERS_MAX) {
        diags_add(diags, SEV_ERROR, E_CONFIG, STR(""), 0, "\"cancel_peers\" lists more than %d gates",
                  CANCEL_PEERS_MAX);
        return E_CONFIG;
    }
    if (!settings->ssl || !settings->ssl_ca_file.path) {
        diags_add(
            diags, SEV_ERROR, E_CONFIG, STR(""), 0,
            "\"cancel_peers\" requires \"ssl\" and \"ssl_ca_file\": gates verify each other's certificates");
        return E_CONFIG;
    }
    return check_usage(settings, diags);
}

enum code peers_conninfo(const struct settings *settings, size_t i, const struct conn_world *world,
                         struct arena *arena, struct conninfo *out, struct err *e)
{
    struct conn_options options = { 0 };
    struct str *v = options.v;

    split(settings->cancel_peers.at[i], &v[CONN_HOST], &v[CONN_PORT]);
    v[CONN_SSLNEGOTIATION] = STR("direct");
    v[CONN_SSLMODE] = STR("verify-full");
    v[CONN_SSLROOTCERT] = str_c(either(&settings->cancel_peer_ca_file, &settings->ssl_ca_file));
    v[CONN_SSLCERT] = str_c(either(&settings->cancel_peer_cert_file, &settings->ssl_cert_file));
    v[CONN_SSLKEY] = str_c(either(&settings->cancel_peer_key_file, &settings->ssl_key_file));
    v[CONN_CONNECT_TIMEOUT] = STR(PEER_TIMEOUT_S);
    TRY(conn_options_defaults(&options, world, CONN_GATE, arena, e));
    TRY(conninfo_build(&options, world, CONN_GATE, arena, out, e));
    if (out->host_count != 1 || out->hosts[0].kind == CONN_HOST_UNIX)
        return err_set(e, E_CONFIG, "\"cancel_peers\": \"%.*s\" is not one host and port",
                       STR_ARG(settings->cancel_peers.at[i]));
    return OK;
}
