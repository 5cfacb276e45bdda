/*
 * Chains.
 *
 * A server must send its certificate followed by every intermediate, in order: what a client does not get it
 * cannot check, and most clients hold roots only. chain_check() answers what can be said from the server's
 * side; chain_verify() asks OpenSSL what a given peer would say.
 */
#include "pki/chain.h"

#include "base/arena.h"
#include "base/check.h"
#include "pki/crl.h"
#include "pki/ossl.h"
#include "pki/roots.h"

#include <openssl/err.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

/* Debian's default security level, which TLS applies to chains: no SHA-1 signatures, no RSA below 2048. */
enum { AUTH_LEVEL = 2 };

static void store_auto(X509_STORE **store)
{
    X509_STORE_free(*store);
}

static void store_ctx_auto(X509_STORE_CTX **ctx)
{
    X509_STORE_CTX_free(*ctx);
}

/* ---- order and completeness ---- */

/* Place of the issuer of chain[at] behind it, or 0. */
static size_t issuer_behind(const struct cert_list *chain, size_t at)
{
    for (size_t i = at + 1; i < chain->n; i++)
        if (cert_issued_by(chain->items[at], chain->items[i]))
            return i;
    return 0;
}

/* chain[index] does not continue the chain that ends at `last`: does it belong elsewhere in it? */
static enum chain_fault misplaced(const struct cert_list *chain, size_t last, size_t index)
{
    for (size_t i = 0; i <= last; i++)
        if (cert_issued_by(chain->items[index], chain->items[i]))
            return CHAIN_OUT_OF_ORDER; /* the end certificate stands behind its issuer */
    return CHAIN_STRAY;
}

static X509 *issuer_among(const struct cert_list *list, X509 *cert)
{
    for (size_t i = 0; list && i < list->n; i++)
        if (cert_issued_by(cert, list->items[i]))
            return list->items[i];
    return NULL;
}

/* The last certificate of a chain in order. */
static void judge_end(const struct chain_params *params, X509 *last, struct chain_report *report)
{
    if (cert_self_signed(last))
        return;
    X509 *issuer = issuer_among(params->anchors, last);
    if (issuer && cert_self_signed(issuer))
        return;
    if (params->system && roots_system_issued(last))
        return;
    report->fault = CHAIN_INCOMPLETE;
    report->missing_intermediate = issuer != NULL;
}

static void judge_order(const struct chain_params *params, struct chain_report *report)
{
    const struct cert_list *chain = params->chain;

    for (size_t i = 0; i < chain->n; i++) {
        report->index = i;
        if (i + 1 == chain->n) {
            judge_end(params, chain->items[i], report);
            return;
        }
        size_t next = cert_self_signed(chain->items[i]) ? 0 : issuer_behind(chain, i);
        if (next == i + 1)
            continue;
        report->index = next ? next : i + 1;
        report->fault = next ? CHAIN_OUT_OF_ORDER : misplaced(chain, i, i + 1);
        return;
    }
    report->fault = CHAIN_EMPTY;
}

enum code chain_check(const struct chain_params *params, struct arena *arena, struct chain_report *out,
                      struct err *e)
{
    struct chain_report report = { .fault = CHAIN_FINE, .subject = str_c(""), .missing = str_c("") };

    judge_order(params, &report);
    if (report.fault != CHAIN_EMPTY) {
        X509 *cert = params->chain->items[report.index];
        TRY(name_slash(X509_get_subject_name(cert), arena, &report.subject, e));
        if (report.fault == CHAIN_INCOMPLETE)
            TRY(name_slash(X509_get_issuer_name(cert), arena, &report.missing, e));
    }
    *out = report;
    return OK;
}

static void diagnose_incomplete(const struct chain_report *report, const char *file, bool strict,
                                struct diags *diags)
{
    struct diag *row = diags_add(
        diags, strict ? SEV_ERROR : SEV_WARNING, E_CONFIG, str_c(file), 0,
        "certificate chain in file \"%s\" is incomplete: the issuer \"%.*s\" is missing", file,
        STR_ARG(report->missing));

    diags_detail(diags, row, "Certificate %zu, \"%.*s\", is not followed by its issuer's certificate.",
                 report->index + 1, STR_ARG(report->subject));
    if (report->missing_intermediate)
        diags_hint(diags, row,
                   "Append that intermediate certificate to the file: clients have only the root.");
    else
        diags_hint(diags, row,
                   "If it is an intermediate, append it to the file; if it is the root, name a file "
                   "that holds it in ssl_ca_file, or append it as well.");
}

void chain_diagnose(const struct chain_report *report, const char *file, bool strict, struct diags *diags)
{
    struct diag *row;

    switch (report->fault) {
    case CHAIN_FINE:
        return;
    case CHAIN_EMPTY:
        (void)diags_add(diags, SEV_ERROR, E_CONFIG, str_c(file), 0, "file \"%s\" contains no certificate",
                        file);
        return;
    case CHAIN_OUT_OF_ORDER:
        row = diags_add(diags, SEV_ERROR, E_CONFIG, str_c(file), 0,
                        "certificates in file \"%s\" are out of order: certificate %zu, \"%.*s\"", file,
                        report->index + 1, STR_ARG(report->subject));
        diags_hint(diags, row,
                   "The server's own certificate comes first, each other one behind the one it issued.");
        return;
    case CHAIN_STRAY:
        row = diags_add(
            diags, SEV_ERROR, E_CONFIG, str_c(file), 0,
            "certificate %zu in file \"%s\", \"%.*s\", does not belong to the chain of the first one",
            report->index + 1, file, STR_ARG(report->subject));
        diags_hint(diags, row, "Remove it, or put the certificates that connect it in between.");
        return;
    case CHAIN_INCOMPLETE:
        diagnose_incomplete(report, file, strict, diags);
        return;
    }
}

/* ---- verification ---- */

static bool fill_store(X509_STORE *store, const struct chain_verify *what)
{
    if (!what->roots && !X509_STORE_set_default_paths(store))
        return false;
    for (size_t i = 0; what->roots && i < what->roots->n; i++)
        if (!X509_STORE_add_cert(store, what->roots->items[i]))
            return false;
    for (size_t i = 0; what->crls && i < what->crls->n; i++)
        if (!X509_STORE_add_crl(store, what->crls->items[i]))
            return false;
    return true;
}

static STACK_OF(X509) * borrow(const struct cert_list *list)
{
    STACK_OF(X509) *stack = sk_X509_new_null();

    for (size_t i = 0; stack && list && i < list->n; i++)
        if (!sk_X509_push(stack, list->items[i])) {
            sk_X509_free(stack);
            return NULL;
        }
    return stack;
}

static bool set_rules(X509_STORE_CTX *ctx, const struct chain_verify *what)
{
    static const char *const rules[] = {
        [CHAIN_SERVER] = "ssl_server", [CHAIN_CLIENT] = "ssl_client", [CHAIN_ANY] = "default"
    };

    if (!X509_STORE_CTX_set_default(ctx, rules[what->purpose]))
        return false;
    X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(ctx);
    X509_VERIFY_PARAM_set_time(param, (time_t)what->now_unix_s);
    X509_VERIFY_PARAM_set_auth_level(param, AUTH_LEVEL);
    return !what->crls ||
           X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
}

static enum code fill_verdict(X509_STORE_CTX *ctx, struct arena *arena, struct chain_verdict *verdict,
                              struct err *e)
{
    X509 *cert = X509_STORE_CTX_get_current_cert(ctx);

    verdict->error = X509_STORE_CTX_get_error(ctx);
    verdict->depth = X509_STORE_CTX_get_error_depth(ctx);
    verdict->subject = verdict->issuer = str_c("");
    if (!arena_str(arena, str_c(X509_verify_cert_error_string(verdict->error)), &verdict->text))
        return err_set(e, E_NOMEM, "out of memory");
    if (!cert)
        return OK;
    TRY(name_slash(X509_get_subject_name(cert), arena, &verdict->subject, e));
    return name_slash(X509_get_issuer_name(cert), arena, &verdict->issuer, e);
}

enum code chain_verify(const struct chain_verify *what, struct arena *arena, struct chain_verdict *out,
                       struct err *e)
{
    AUTO(store) X509_STORE *store = X509_STORE_new();
    AUTO(store_ctx) X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    STACK_OF(X509) *chain = borrow(what->chain);
    struct chain_verdict verdict = { .ok = false };
    enum code code = OK;

    ERR_clear_error();
    if (!store || !ctx || !chain || !fill_store(store, what) ||
        !X509_STORE_CTX_init(ctx, store, what->leaf, chain) || !set_rules(ctx, what)) {
        code = ossl_fail(e, "prepare the verification of a certificate");
    } else {
        verdict.ok = X509_verify_cert(ctx) == 1;
        code = fill_verdict(ctx, arena, &verdict, e);
    }
    if (ctx)
        X509_STORE_CTX_cleanup(ctx); /* it borrows the chain */
    sk_X509_free(chain);
    ERR_clear_error();
    if (code == OK)
        *out = verdict;
    return code;
}
