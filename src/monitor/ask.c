/* What endpoints are asked, and what their certificates say. */
#include "monitor/ask.h"

#include "base/check.h"
#include "client/conninfo.h"
#include "client/tlsfiles.h"
#include "client/verify.h"
#include "conf/hosts_file.h"
#include "monitor/files.h"
#include "os/files.h"
#include "pki/chain.h"
#include "pki/issuers.h"
#include "pki/roots.h"

static enum code ask_no_memory(struct err *e)
{
    return err_set(e, E_NOMEM, "out of memory");
}

/* ---- whom to ask ---- */

static enum code new_ask(struct monitor_target *target, enum monitor_ask_kind kind, struct str host,
                         unsigned port, struct monitor_ask **out, struct err *e)
{
    struct monitor_ask *ask;
    bool bare6 = str_find(host, ':') < host.n;

    TRY(monitor_add_ask(target, &ask, e));
    ask->kind = kind;
    ask->port = port;
    if (!arena_str(&target->arena, host, &ask->host) ||
        !arena_printf(&target->arena, &ask->label, bare6 ? "[%.*s]:%u" : "%.*s:%u", STR_ARG(host), port))
        return ask_no_memory(e);
    *out = ask;
    return OK;
}

static bool copy_roots(const struct trust *from, struct trust *to)
{
    for (size_t i = 0; i < from->certs.n; i++)
        if (cert_list_add(&to->certs, from->certs.items[i]) != OK)
            return false;
    for (size_t i = 0; i < from->crls.n; i++)
        if (crl_list_add(&to->crls, from->crls.items[i]) != OK)
            return false;
    return true;
}

enum code monitor_ask_endpoint(struct monitor_target *target, struct str host, struct str hostaddr,
                               unsigned port, struct err *e)
{
    const struct monitor_params *params = target->params;
    struct monitor_ask *ask;

    TRY(new_ask(target, ASK_ENDPOINT, host.n > 0 ? host : hostaddr, port, &ask, e));
    ask->checks_name = true;
    ask->verifies = params->roots || params->system_roots;
    ask->system_roots = params->system_roots;
    if (!arena_str(&target->arena, hostaddr, &ask->hostaddr) ||
        (params->roots && !copy_roots(params->roots, &ask->roots)))
        return ask_no_memory(e);
    for (size_t i = 0; params->crls && i < params->crls->n; i++)
        if (crl_list_add(&target->crls, params->crls->items[i]) != OK)
            return ask_no_memory(e);
    return OK;
}

/* What a client of the line asks for. */
static enum code ask_as_client(struct monitor_target *target, const struct host_line *host,
                               struct monitor_ask *ask, struct err *e)
{
    struct str name = host_line_name(host);
    bool ok = true;

    if (target->is_gate)
        ask->visit = target->sni;
    ask->nameless = host_line_is(host, HOSTS_NO_SNI);
    if (name.p) {
        ask->sni = name;
        ok = arena_printf(&target->arena, &ask->whom, " to clients that ask for \"%.*s\"", STR_ARG(name));
    } else {
        ask->whom = ask->nameless ? STR(" to clients that ask for no host")
                                  : STR(" to clients that ask for a host without a line");
    }
    return ok ? OK : ask_no_memory(e);
}

enum code monitor_ask_served(struct monitor_target *target, struct monitor_row *leaf,
                             const struct monitor_listener *listener, struct err *e)
{
    struct str address = listener->address;
    struct monitor_ask *ask;

    if (!leaf || address.n == 0)
        return OK;
    if (str_is(address, "*") || str_is(address, "0.0.0.0"))
        address = STR("127.0.0.1");
    else if (str_is(address, "::"))
        address = STR("::1");
    TRY(new_ask(target, ASK_SERVED, address, listener->port, &ask, e));
    ask->disk = leaf;
    ask->sni = target->sni;
    ask->plain_tls = listener->plain_tls;
    return listener->host ? ask_as_client(target, listener->host, ask, e) : OK;
}

static enum code add_upstream_files(struct monitor_target *target, const struct conninfo *info,
                                    const struct tls_files *files, const char *setting, struct err *e)
{
    bool named = info->options.v[CONN_SSLCRL].n > 0; /* libpq's own place may be empty */
    const struct monitor_file root = { "upstream ca", setting, files->root_file.p };
    const struct monitor_file crl = { "upstream ca", setting, files->crl_file.p };
    const struct monitor_file crl_dir = { "crl", setting, files->crl_dir.p };
    const struct monitor_file cert = { "upstream client", setting, files->cert.p };
    struct monitor_row *leaf;

    if (files->root == TLS_ROOT_FILE && files->root_file.n > 0)
        TRY(monitor_add_trust(target, &root, e));
    if (files->crl_file.n > 0 && (named || os_exists(files->crl_file.p)))
        TRY(monitor_add_trust(target, &crl, e));
    if (files->crl_dir.n > 0)
        TRY(monitor_add_crl_dir(target, &crl_dir, e));
    return files->cert.n > 0 ? monitor_add_chain(target, &cert, ROLE_CLIENT, &leaf, e) : OK;
}

enum code monitor_ask_upstream(struct monitor_target *target, const struct conninfo *info,
                               const char *setting, struct err *e)
{
    struct tls_files files;
    struct monitor_ask *ask;
    struct err ignored;
    bool any = false;

    for (size_t i = 0; i < info->host_count; i++)
        any = any || info->hosts[i].kind != CONN_HOST_UNIX;
    if (!any || info->sslmode == SSLMODE_DISABLE)
        return OK;
    enum code code = tls_files_find(info, target->params->world, &target->arena, &files, &ignored);
    if (code != OK)
        return monitor_add_fault(target, "upstream", str_c(setting), MONITOR_CRITICAL, err_text(&ignored), e);
    TRY(add_upstream_files(target, info, &files, setting, e));
    for (size_t i = 0; i < info->host_count; i++) {
        const struct conn_host *host = &info->hosts[i];
        if (host->kind == CONN_HOST_UNIX || host->port == 0)
            continue;
        TRY(new_ask(target, ASK_UPSTREAM, host->host.n > 0 ? host->host : host->hostaddr, host->port, &ask,
                    e));
        ask->deployed = str_c(setting);
        ask->direct = info->sslnegotiation == SSLNEG_DIRECT;
        ask->checks_name = files.verify_name;
        ask->may_lack_tls = info->sslmode < SSLMODE_REQUIRE;
        ask->verifies = files.root != TLS_ROOT_NONE;
        ask->system_roots = files.root == TLS_ROOT_SYSTEM;
        if (!arena_str(&target->arena, host->hostaddr, &ask->hostaddr))
            return ask_no_memory(e);
        /* One that cannot be read has a row of its own by now. */
        if (files.root == TLS_ROOT_FILE && files.root_file.n > 0)
            (void)!trust_load(files.root_file.p, &ask->roots, &ignored);
    }
    return OK;
}

/* ---- what came back ---- */

/* As clients do: with their roots, and the dates that each row tells of by itself left aside. */
static enum code blame_chain(struct monitor_target *target, const struct monitor_ask *ask,
                             const struct cert_list *chain, struct monitor_row *leaf, struct err *e)
{
    const struct chain_params params = { .chain = chain,
                                         .anchors = ask->system_roots ? NULL : &ask->roots.certs,
                                         .system = ask->system_roots,
                                         .now_unix_s = target->params->now_s };
    struct chain_report report;
    struct chain_path path;
    bool ok = true;

    TRY(chain_check(&params, &target->arena, &report, e));
    if (report.fault == CHAIN_OUT_OF_ORDER || report.fault == CHAIN_STRAY)
        ok = monitor_row_blame(leaf, &target->arena, MONITOR_WARNING, "certificate %zu of the chain %s",
                               report.index + 1,
                               report.fault == CHAIN_STRAY ? "does not belong to it" : "is out of order");
    if (!ok)
        return ask_no_memory(e);
    if (!ask->verifies)
        return OK;
    TRY(chain_path(&params, &target->arena, &path, e));
    if (path.end == PATH_MISSING && path.missing_intermediate)
        ok = monitor_row_blame(leaf, &target->arena, MONITOR_CRITICAL,
                               "an intermediate certificate is missing from the chain");
    else if (path.end != PATH_ROOT)
        ok = monitor_row_blame(leaf, &target->arena, MONITOR_CRITICAL,
                               "the chain does not end in a root that is trusted%s",
                               ask->system_roots ? " by the system" : "");
    if (ok && path.error != 0)
        ok = monitor_row_blame(leaf, &target->arena, MONITOR_CRITICAL, "%s, at depth %zu",
                               chain_error_text(path.error), path.error_depth);
    return ok ? OK : ask_no_memory(e);
}

static enum code blame_leaf(struct monitor_target *target, const struct monitor_ask *ask,
                            struct monitor_row *leaf, struct err *e)
{
    struct cert_names names;
    struct err why;
    bool ok = true;

    if (!(leaf->info.eku & (CERT_EKU_SERVER | CERT_EKU_ANY)))
        ok = monitor_row_blame(leaf, &target->arena, MONITOR_CRITICAL,
                               "is not for servers: its extended key usage lacks serverAuth");
    if (ok && ask->checks_name &&
        (cert_names_of(leaf->cert, &target->arena, &names, &why) != OK ||
         verify_host(&names, ask->host, &why) != OK))
        ok = monitor_row_blame(leaf, &target->arena, MONITOR_CRITICAL, "%s", err_text(&why));
    return ok ? OK : ask_no_memory(e);
}

/* The root that clients verify with does not come over the wire, and ends like everything else. */
static enum code add_root(struct monitor_target *target, struct monitor_ask *ask,
                          const struct cert_list *chain, const char *kind, struct err *e)
{
    struct monitor_row *row;
    X509 *root = NULL;

    for (size_t i = chain->n; i-- > 0 && !root;) {
        if (cert_self_signed(chain->items[i]))
            return OK;
        root = issuer_find(chain->items[i], &ask->roots.certs);
        if (!root && ask->system_roots && roots_system_add(chain->items[i], &ask->roots.certs))
            root = ask->roots.certs.items[ask->roots.certs.n - 1];
    }
    if (!root)
        return OK;
    TRY(monitor_add_cert(target, kind, ask->label, root, &row, e));
    if (row)
        row->deployed = ask->deployed;
    return OK;
}

static enum code add_chain(struct monitor_target *target, struct monitor_ask *ask,
                           const struct monitor_answer *answer, struct err *e)
{
    bool upstream = ask->kind == ASK_UPSTREAM;
    struct monitor_row *row;

    for (size_t i = 0; i < answer->chain->n; i++) {
        const char *kind = i == 0 ? (upstream ? "upstream" : "server")
                                  : (upstream ? "upstream chain" : "chain");
        TRY(monitor_add_cert(target, kind, ask->label, answer->chain->items[i], &row, e));
        if (!row)
            continue;
        row->deployed = upstream ? ask->deployed : str_c(answer->how);
        if (i > 0)
            continue;
        TRY(blame_leaf(target, ask, row, e));
        TRY(blame_chain(target, ask, answer->chain, row, e));
    }
    return ask->verifies ? add_root(target, ask, answer->chain, upstream ? "upstream root" : "root", e) : OK;
}

/* Several hosts may be served the same certificate in place of their own. */
static bool has_served(const struct monitor_target *target, struct str where, const uint8_t *sha256)
{
    const struct monitor_row *row;

    STAILQ_FOREACH (row, &target->rows, next) {
        if (strcmp(row->kind, "served") == 0 && str_equal(row->where, where) &&
            memcmp(row->info.sha256, sha256, CERT_SHA256_SIZE) == 0)
            return true;
    }
    return false;
}

static enum code compare(struct monitor_target *target, struct monitor_ask *ask,
                         const struct monitor_answer *answer, struct err *e)
{
    uint8_t shown[CERT_SHA256_SIZE];
    struct monitor_row *disk = ask->disk, *row;

    if (answer->refused) /* it does not run */
        return OK;
    if (!answer->tls || answer->chain->n == 0 || !cert_sha256(answer->chain->items[0], shown)) {
        bool ok = monitor_row_blame(
            disk, &target->arena, MONITOR_UNKNOWN, "could not get the certificate served at %.*s%.*s: %s",
            STR_ARG(ask->label), STR_ARG(ask->whom), answer->tls ? "no certificate was served" : answer->why);
        return ok ? OK : ask_no_memory(e);
    }
    if (memcmp(shown, disk->info.sha256, sizeof shown) == 0) {
        if (disk->served == SERVED_NOT_CHECKED)
            disk->served = SERVED_MATCHES;
        return OK;
    }
    disk->served = SERVED_DIFFERS;
    if (!monitor_row_blame(disk, &target->arena, MONITOR_WARNING, "another certificate is served at %.*s%.*s",
                           STR_ARG(ask->label), STR_ARG(ask->whom)))
        return ask_no_memory(e);
    if (has_served(target, ask->label, shown))
        return OK;
    TRY(monitor_add_cert(target, "served", ask->label, answer->chain->items[0], &row, e));
    if (row)
        row->served = SERVED_DIFFERS;
    return OK;
}

enum code monitor_ask_answer(struct monitor_target *target, struct monitor_ask *ask,
                             const struct monitor_answer *answer, struct err *e)
{
    if (ask->kind == ASK_SERVED)
        return compare(target, ask, answer, e);
    if (answer->tls && answer->chain->n > 0)
        return add_chain(target, ask, answer, e);
    if (answer->without_tls && ask->may_lack_tls)
        return OK;
    return monitor_add_fault(target, ask->kind == ASK_UPSTREAM ? "upstream" : "server", ask->label,
                             MONITOR_UNKNOWN, answer->tls ? "no certificate was served" : answer->why, e);
}
