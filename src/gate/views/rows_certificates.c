#include "gate/views/rows_certificates.h"

#include "base/check.h"
#include "gate/load/guard.h"
#include "gate/load/snapshot.h"
#include "gate/views/rows.h"
#include "gate/work/worker.h"
#include "pki/expiry.h"
#include "pki/trust.h"
#include "tls/context.h"

#include <openssl/sha.h>

/* All trust stores of all upstreams together; the operating system's own has about 150. */
enum { CERTIFICATES_MAX = 2048 };

struct listing {
    struct rows *rows;
    struct rows_list *out;
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
static struct cell served(struct tls_context *context, const uint8_t digest[CERT_SHA256_SIZE])
{
    uint8_t shown[CERT_SHA256_SIZE];

    if (!context)
        return (struct cell){ .kind = CELL_NULL };
    struct bytes der = tls_context_certificate(context);
    if (!SHA256(der.p, der.n, shown))
        return (struct cell){ .kind = CELL_NULL };
    return cell_bool(bytes_equal(bytes_of(shown, sizeof shown), bytes_of(digest, CERT_SHA256_SIZE)));
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
    if (str_is(str_c(kind), "server"))
        row->served = served(snapshot_tls(l->rows->snapshot, 0), info.sha256);
    if (str_is(str_c(kind), "http"))
        row->served = served(snapshot_guard(l->rows->snapshot)->tls, info.sha256);
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

static enum code add_upstreams(struct listing *l, struct err *e)
{
    const struct settings *settings = snapshot_settings(l->rows->snapshot);

    for (size_t i = 0; i < settings->n_routes; i++) {
        const struct upstream *u = snapshot_upstream(l->rows->snapshot, &settings->routes[i]);
        if (!u->configured || !u->may_tls || (i > 0 && !settings->routes[i].owns_upstream))
            continue;
        if (u->files.root != TLS_ROOT_SYSTEM && u->files.root_file.n > 0)
            TRY(add_trust(l, "upstream ca", "upstream ca", u->files.root_file.p, e));
        if (u->files.cert.n > 0)
            TRY(add_chain(l, "upstream client", u->files.cert.p, e));
    }
    return OK;
}

enum code rows_make_certificates(struct rows *rows, struct rows_list *out, struct err *e)
{
    const struct settings *settings = snapshot_settings(rows->snapshot);
    struct listing l = { rows, out };

    out->at = arena_array(&rows->arena, CERTIFICATES_MAX, sizeof *out->at);
    if (!out->at)
        return err_set(e, E_NOMEM, "out of memory");
    if (settings->ssl) {
        TRY(add_chain(&l, "server", settings->ssl_cert_file.path, e));
        TRY(add_trust(&l, "client ca", "client ca", settings->ssl_ca_file.path, e));
        TRY(add_trust(&l, "client ca", "crl", settings->ssl_crl_file.path, e));
        TRY(add_trust(&l, "chain root", "chain root", settings->ssl_chain_root_file.path, e));
        TRY(add_trust(&l, "peer ca", "peer ca", settings->cancel_peer_ca_file.path, e));
        TRY(add_chain(&l, "peer client", settings->cancel_peer_cert_file.path, e));
    }
    if (guard_wants_tls(settings))
        TRY(add_chain(&l, "http", guard_cert_file(settings), e));
    return add_upstreams(&l, e);
}
