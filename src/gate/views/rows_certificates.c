#include "gate/views/rows_certificates.h"

#include "base/check.h"
#include "conf/files.h"
#include "gate/load/http_access.h"
#include "gate/load/server_tls.h"
#include "gate/load/snapshot.h"
#include "gate/views/rows.h"
#include "gate/work/worker.h"
#include "pki/expiry.h"
#include "pki/issuers.h"
#include "pki/trust.h"
#include "tls/context.h"

#include <openssl/sha.h>

/* All trust stores of all upstreams together; the operating system's own has about 150. */
enum { CERTIFICATES_MAX = 2048 };

struct listing {
    struct rows *rows;
    struct rows_list *out;
    const char *setting;         /* names the file that is read now */
    struct tls_context *context; /* with which it is served; NULL: it is not */
    struct cert_list known;      /* every certificate so far */
    X509 **certs;                /* of each row; NULL: a revocation list, or nothing that could be read */
};

/* NULL: too many. */
static struct row_pgseal_certificates *next_row(struct listing *l)
{
    return l->out->n < CERTIFICATES_MAX ? &l->out->at[l->out->n++].pgseal_certificates : NULL;
}

static enum code too_many(struct err *e)
{
    return err_set(e, E_LIMIT, "more than %d certificates are in use", CERTIFICATES_MAX);
}

static void fill_life(struct listing *l, int64_t from_s, int64_t until_s, struct row_pgseal_certificates *row)
{
    struct expiry expiry = expiry_judge(from_s, until_s, l->rows->now_us / 1000000);
    struct str share;

    row->not_before = cell_int(from_s * 1000000);
    if (until_s != INT64_MAX) {
        row->not_after = cell_int(until_s * 1000000);
        row->days_left = cell_int(expiry.days_left);
        if (arena_printf(&l->rows->arena, &share, "%.3f", expiry.life_left))
            row->life_left = cell_text(share);
    }
    row->status = cell_c(expiry_status_name(expiry.status));
}

static struct cell hex(struct listing *l, const uint8_t digest[CERT_SHA256_SIZE])
{
    char *text = arena_alloc(&l->rows->arena, CERT_SHA256_TEXT);

    if (!text)
        return (struct cell){ .kind = CELL_NULL };
    cert_sha256_text(digest, text);
    return cell_text(str_c(text));
}

/* What the first worker shows to clients; all have the same. */
static struct cell served(const struct tls_context *context, const uint8_t digest[CERT_SHA256_SIZE])
{
    uint8_t shown[CERT_SHA256_SIZE];

    if (!context)
        return (struct cell){ .kind = CELL_NULL };
    struct bytes der = tls_context_certificate(context);
    if (!SHA256(der.p, der.n, shown))
        return (struct cell){ .kind = CELL_NULL };
    return cell_bool(bytes_equal(bytes_of(shown, sizeof shown), bytes_of(digest, CERT_SHA256_SIZE)));
}

static struct cell uses(struct listing *l, const struct cert_info *info)
{
    struct str *texts = arena_array(&l->rows->arena, CERT_USES_MAX, sizeof *texts);
    size_t n = texts ? cert_uses(info, texts) : 0;

    return n > 0 ? cell_texts(texts, n) : (struct cell){ .kind = CELL_NULL };
}

static enum code add_cert(struct listing *l, const char *kind, const char *file, X509 *cert, struct err *e)
{
    struct row_pgseal_certificates *row;
    struct cert_info info;

    TRY(cert_describe(cert, &l->rows->arena, &info, e));
    row = next_row(l);
    if (!row)
        return too_many(e);
    row->kind = cell_c(kind);
    row->file = cell_c(file);
    row->subject = cell_text(info.subject);
    row->issuer = cell_text(info.issuer);
    row->serial = cell_text(info.serial);
    if (info.n_sans > 0)
        row->sans = cell_texts(info.sans, info.n_sans);
    row->key = cell_text(info.key);
    row->sha256 = hex(l, info.sha256);
    row->usage = uses(l, &info);
    row->deployed = cell_c(l->setting);
    enum code code = cert_list_add(&l->known, cert);
    if (code == OK)
        l->certs[l->out->n - 1] = cert;
    else if (code != E_LIMIT) /* beyond that, issuers are not looked for */
        return err_set(e, E_NOMEM, "out of memory");
    if (str_is(str_c(kind), "server"))
        row->served = served(l->context, info.sha256);
    if (str_is(str_c(kind), "http"))
        row->served = served(snapshot_http_access(l->rows->snapshot)->tls, info.sha256);
    fill_life(l, info.not_before_unix_s, info.not_after_unix_s, row);
    return OK;
}

/* A file that cannot be read is a row too: it says so where the status stands. */
static enum code add_unreadable(struct listing *l, const char *kind, const char *file, const struct err *why,
                                struct err *e)
{
    struct row_pgseal_certificates *row;
    struct str status;

    row = next_row(l);
    if (!row)
        return too_many(e);
    row->kind = cell_c(kind);
    row->file = cell_c(file);
    row->deployed = cell_c(l->setting);
    if (arena_printf(&l->rows->arena, &status, "critical: %s", err_text(why)))
        row->status = cell_text(status);
    return OK;
}

/* A certificate of one's own, and the chain that is sent with it. */
static enum code add_chain(struct listing *l, const char *kind, const char *file, struct err *e)
{
    AUTO(cert_list) struct cert_list list = { 0 };
    struct err why;

    if (!file || !*file)
        return OK;
    if (cert_chain_load(file, &list, &why) != OK)
        return add_unreadable(l, kind, file, &why, e);
    for (size_t i = 0; i < list.n; i++)
        TRY(add_cert(l, i == 0 ? kind : "chain", file, list.items[i], e));
    return OK;
}

static enum code add_crl(struct listing *l, const char *file, X509_CRL *crl, struct err *e)
{
    struct row_pgseal_certificates *row;
    struct crl_info info;

    TRY(crl_describe(crl, &l->rows->arena, &info, e));
    row = next_row(l);
    if (!row)
        return too_many(e);
    row->kind = cell_c("crl");
    row->file = cell_c(file);
    row->issuer = cell_text(info.issuer);
    row->serial = cell_text_or_null(info.number);
    row->deployed = cell_c(l->setting);
    fill_life(l, info.last_update_unix_s, info.next_update_unix_s, row);
    return OK;
}

/*
 * CAs and revocation lists, whichever of the two the setting is named after: OpenSSL takes both from both.
 * `kind` is that of certificates, `named` the one of a row about a file that cannot be read.
 */
static enum code add_trust(struct listing *l, const char *kind, const char *named, const char *file,
                           struct err *e)
{
    AUTO(trust) struct trust trust = { 0 };
    struct err why;

    if (!file || !*file)
        return OK;
    if (trust_load(file, &trust, &why) != OK)
        return add_unreadable(l, named, file, &why, e);
    for (size_t i = 0; i < trust.certs.n; i++)
        TRY(add_cert(l, kind, file, trust.certs.items[i], e));
    for (size_t i = 0; i < trust.crls.n; i++)
        TRY(add_crl(l, file, trust.crls.items[i], e));
    return OK;
}

/* A file that a setting names. */
struct source {
    const char *setting, *file;
    const char *kind;
    const char *unreadable; /* the kind of its row where it cannot be read; NULL: a chain of one's own */
};

static enum code add_source(struct listing *l, const struct source *source, struct err *e)
{
    l->setting = source->setting;
    return source->unreadable ? add_trust(l, source->kind, source->unreadable, source->file, e)
                              : add_chain(l, source->kind, source->file, e);
}

static enum code add_upstream(struct listing *l, const struct upstream *u, const char *setting, struct err *e)
{
    const struct source root = { setting, u->files.root_file.p, "upstream ca", "upstream ca" };
    const struct source cert = { setting, u->files.cert.p, "upstream client", NULL };

    if (u->files.root != TLS_ROOT_SYSTEM && u->files.root_file.n > 0)
        TRY(add_source(l, &root, e));
    return u->files.cert.n > 0 ? add_source(l, &cert, e) : OK;
}

static enum code rows_certificates_add_upstreams(struct listing *l, struct err *e)
{
    const struct settings *settings = snapshot_settings(l->rows->snapshot);

    for (size_t i = 0; i < settings->n_routes; i++) {
        const struct settings_route *route = &settings->routes[i];
        const struct upstream *u = snapshot_upstream(l->rows->snapshot, route);
        struct str setting = STR("upstream");
        if (!u->configured || !u->may_tls || (i > 0 && !route->owns_upstream))
            continue;
        if (i > 0 && !arena_printf(&l->rows->arena, &setting, "upstream.%.*s", STR_ARG(route->label)))
            return err_set(e, E_NOMEM, "out of memory");
        TRY(add_upstream(l, u, setting.p, e));
    }
    return OK;
}

/* Those of the lines of hosts_file, each file once; then ssl_cert_file and ssl_ca_file are not in use. */
static enum code add_hosts(struct listing *l, const struct server_tls *tls, struct err *e)
{
    for (size_t i = 0; i < tls->n; i++) {
        const struct server_host *host = &tls->hosts[i];
        const struct source cert = { "hosts_file", host->cert_file, "server", NULL };
        const struct source ca = { "hosts_file", host->ca_file, "client ca", "client ca" };
        bool cert_known = false, ca_known = !host->ca_file[0];
        for (size_t k = 0; k < i; k++) {
            cert_known |= strcmp(tls->hosts[k].cert_file, host->cert_file) == 0;
            ca_known |= strcmp(tls->hosts[k].ca_file, host->ca_file) == 0;
        }
        l->context = host->tls[0];
        if (!cert_known)
            TRY(add_source(l, &cert, e));
        if (!ca_known)
            TRY(add_source(l, &ca, e));
    }
    return OK;
}

static bool is_replaced(const struct settings *settings, const char *path)
{
    return path && (path == settings->ssl_cert_file.path || path == settings->ssl_ca_file.path);
}

static enum code add_own(struct listing *l, const struct settings *settings, struct err *e)
{
    const struct server_tls *tls = snapshot_hosts(l->rows->snapshot);
    struct settings_file_use use;
    const char *path;

    if (tls->by_name)
        TRY(add_hosts(l, tls, e));
    l->context = snapshot_tls(l->rows->snapshot, 0);
    for (size_t i = 0; settings_file_listed(settings, i, &use, &path); i++) {
        if (tls->by_name && is_replaced(settings, path))
            continue;
        struct source source = { use.setting, path, use.kind, use.named };
        if (use.reader == FILE_READER_HTTP && !path) /* it has that of TLS with clients */
            source = (struct source){ "ssl_cert_file", http_access_cert_file(settings), use.kind, use.named };
        if (settings_reads(settings, use.reader))
            TRY(add_source(l, &source, e));
    }
    return OK;
}

/* When all are known. */
static enum code add_issuers(struct listing *l, struct err *e)
{
    for (size_t i = 0; i < l->out->n; i++) {
        struct str *path;
        size_t n;
        if (!l->certs[i])
            continue;
        TRY(issuers_of(l->certs[i], &l->known, &l->rows->arena, &path, &n, e));
        l->out->at[i].pgseal_certificates.issuer_path = cell_texts(path, n);
    }
    return OK;
}

enum code rows_make_certificates(struct rows *rows, struct rows_list *out, struct err *e)
{
    struct listing l = { .rows = rows, .out = out };

    out->at = arena_array(&rows->arena, CERTIFICATES_MAX, sizeof *out->at);
    l.certs = arena_array(&rows->arena, CERTIFICATES_MAX, sizeof *l.certs);
    if (!out->at || !l.certs)
        return err_set(e, E_NOMEM, "out of memory");
    enum code code = add_own(&l, snapshot_settings(rows->snapshot), e);
    if (code == OK)
        code = rows_certificates_add_upstreams(&l, e);
    if (code == OK)
        code = add_issuers(&l, e);
    cert_list_fini(&l.known);
    return code;
}
