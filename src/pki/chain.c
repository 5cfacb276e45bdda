/*
 * Chains.
 *
 * A server must send its certificate followed by every intermediate: what a client does not get it cannot
 * check, and most clients hold roots only. chain_path() builds the path that a client would find,
 * chain_check() answers what can be said from the server's side; chain_verify() asks OpenSSL what a given
 * peer would say.
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

/* ---- OpenSSL's verification ---- */

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

/* Without those that are `left_out`, one flag per certificate; NULL: all. */
static STACK_OF(X509) * borrow(const struct cert_list *list, const bool *left_out)
{
    STACK_OF(X509) *stack = sk_X509_new_null();

    for (size_t i = 0; stack && list && i < list->n; i++)
        if (!(left_out && left_out[i]) && !sk_X509_push(stack, list->items[i])) {
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

/* ---- the path that a client finds ---- */

/* One walk from the leaf upwards. */
struct walk {
    const struct chain_params *params;
    struct cert_list roots; /* what is believed */
    bool *dead;             /* one per certificate of the chain: it leads nowhere */
    bool missing, own;      /* how it ended, unless in a root */
    bool failed;            /* for want of memory */
    int error;
    int error_depth;
};

static void walk_auto(struct walk *walk)
{
    cert_list_fini(&walk->roots);
}

/* Notes each fault and lets OpenSSL go on, so that the whole path is seen. */
static int on_fault(int ok, X509_STORE_CTX *ctx)
{
    struct walk *walk = X509_STORE_CTX_get_app_data(ctx);

    if (ok)
        return 1;
    switch (X509_STORE_CTX_get_error(ctx)) { /* OpenSSL's numbers, so the default is needed */
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
        walk->missing = true;
        break;
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
        walk->own = true;
        break;
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID:
        break;
    case X509_V_ERR_OUT_OF_MEM:
    case X509_V_ERR_UNSPECIFIED:
        walk->failed = true;
        return 0;
    default:
        if (walk->error)
            break;
        walk->error = X509_STORE_CTX_get_error(ctx);
        walk->error_depth = X509_STORE_CTX_get_error_depth(ctx);
        break;
    }
    return 1;
}

static bool same_in(const struct cert_list *list, X509 *cert, size_t *out_index)
{
    for (size_t i = 0; i < list->n; i++)
        if (X509_cmp(list->items[i], cert) == 0) {
            *out_index = i;
            return true;
        }
    return false;
}

static void read_path(const struct walk *walk, STACK_OF(X509) * certs, struct chain_path *path)
{
    const struct cert_list *chain = walk->params->chain;
    int n = sk_X509_num(certs);
    size_t at;

    path->end = walk->own ? PATH_OWN : walk->missing ? PATH_MISSING : PATH_ROOT;
    path->index = 0;
    path->last = chain->items[0];
    path->own = NULL;
    for (size_t i = 0; i < chain->n; i++)
        path->used[i] = i == 0;
    for (int i = 0; i < n; i++) {
        X509 *cert = sk_X509_value(certs, i);
        bool top = i == n - 1;
        if (!top || path->end == PATH_MISSING)
            path->last = cert;
        if (!same_in(chain, cert, &at))
            continue;
        path->used[at] = true;
        path->index = at;
        if (top && path->end == PATH_OWN)
            path->own = chain->items[at];
    }
    path->error = walk->error;
    path->error_depth = walk->error_depth > 0 ? (size_t)walk->error_depth : 0;
}

/* What the two lists hold outlives the walk, so that `path` may borrow. */
static enum code walk_once(struct walk *walk, struct chain_path *path, struct err *e)
{
    struct chain_verify what = { .leaf = walk->params->chain->items[0],
                                 .roots = &walk->roots,
                                 .purpose = CHAIN_SERVER,
                                 .now_unix_s = walk->params->now_unix_s };
    AUTO(store) X509_STORE *store = X509_STORE_new();
    AUTO(store_ctx) X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    STACK_OF(X509) *chain = borrow(walk->params->chain, walk->dead);
    enum code code = OK;

    walk->missing = walk->own = false;
    walk->error = 0;
    ERR_clear_error();
    if (!store || !ctx || !chain || !fill_store(store, &what) ||
        !X509_STORE_CTX_init(ctx, store, what.leaf, chain) || !set_rules(ctx, &what) ||
        !X509_STORE_CTX_set_app_data(ctx, walk)) {
        code = ossl_fail(e, "prepare the verification of a certificate");
    } else {
        X509_STORE_CTX_set_verify_cb(ctx, on_fault);
        if (X509_verify_cert(ctx) < 0 || walk->failed || !X509_STORE_CTX_get0_chain(ctx))
            code = err_set(e, E_NOMEM, "could not verify a certificate: out of memory");
        else
            read_path(walk, X509_STORE_CTX_get0_chain(ctx), path);
    }
    if (ctx)
        X509_STORE_CTX_cleanup(ctx); /* it borrows the chain */
    sk_X509_free(chain);
    ERR_clear_error();
    return code;
}

static enum code take_roots(struct walk *walk)
{
    const struct cert_list *anchors = walk->params->anchors, *store = walk->params->store;

    for (size_t i = 0; anchors && i < anchors->n; i++)
        if (cert_self_signed(anchors->items[i]))
            TRY(cert_list_add(&walk->roots, anchors->items[i]));
    for (size_t i = 0; store && i < store->n; i++)
        TRY(cert_list_add(&walk->roots, store->items[i]));
    return OK;
}

/* The system's trust store is not loaded, it is asked: for issuers of what is on the path. */
static bool ask_system(struct walk *walk, const struct chain_path *path)
{
    const struct cert_list *chain = walk->params->chain;
    size_t before = walk->roots.n;

    if (!walk->params->system)
        return false;
    if (roots_system_add(path->last, &walk->roots))
        return walk->roots.n > before;
    for (size_t i = chain->n; i > 0; i--)
        if (path->used[i - 1] && roots_system_add(chain->items[i - 1], &walk->roots))
            return walk->roots.n > before;
    return false;
}

/* True: there is another way to try than the one that ended here. */
static bool turn_back(struct walk *walk, const struct chain_path *path)
{
    const struct cert_list *chain = walk->params->chain;

    if (path->index == 0 || walk->dead[path->index])
        return false;
    for (size_t i = 1; i < chain->n; i++) /* it may be there twice */
        walk->dead[i] |= X509_cmp(chain->items[i], chain->items[path->index]) == 0;
    return true;
}

static X509 *issuer_among(const struct cert_list *list, X509 *cert)
{
    for (size_t i = 0; list && i < list->n; i++)
        if (cert_issued_by(cert, list->items[i]))
            return list->items[i];
    return NULL;
}

/*
 * The first path that ends in a root; else the first that ends in a certificate of its own; else the first.
 */
static enum code find_path(struct walk *walk, struct chain_path *path, struct chain_path *best, struct err *e)
{
    size_t size = walk->params->chain->n * sizeof(bool);
    bool *used = best->used;
    bool detour = false;

    for (bool kept = false;;) {
        TRY(walk_once(walk, path, e));
        if (path->end != PATH_ROOT && ask_system(walk, path))
            continue;
        if (!kept || path->end < best->end) {
            memcpy(used, path->used, size);
            *best = *path;
            best->used = used;
        }
        kept = true;
        if (path->end == PATH_ROOT || !turn_back(walk, path))
            break;
        detour = true;
    }
    best->detour = detour && best->end == PATH_ROOT;
    return OK;
}

enum code chain_path(const struct chain_params *params, struct arena *arena, struct chain_path *out,
                     struct err *e)
{
    AUTO(walk) struct walk walk = { .params = params };
    size_t n = params->chain->n;
    struct chain_path path = { .used = arena_array(arena, n, sizeof(bool)) };
    struct chain_path tried = { .used = arena_array(arena, n, sizeof(bool)) };

    walk.dead = arena_array(arena, n, sizeof(bool));
    enum code code = walk.dead && path.used && tried.used ? take_roots(&walk) : E_NOMEM;
    if (code != OK)
        return err_set(e, code, "could not collect the roots of clients");
    TRY(find_path(&walk, &tried, &path, e));
    X509 *issuer = path.end == PATH_MISSING ? issuer_among(params->anchors, path.last) : NULL;
    path.missing_intermediate = issuer && !cert_self_signed(issuer);
    *out = path;
    return OK;
}

const char *chain_error_text(int error)
{
    return X509_verify_cert_error_string(error);
}

/* ---- order and completeness ---- */

/* Does a certificate in front of this one need it? The place of one after it that does, otherwise. */
static bool issued_before(const struct cert_list *chain, size_t at)
{
    for (size_t i = 0; i < at; i++)
        if (cert_issued_by(chain->items[i], chain->items[at]))
            return true;
    return false;
}

static enum chain_fault place_of(const struct cert_list *chain, size_t at, size_t *out_index)
{
    *out_index = at;
    if (issued_before(chain, at))
        return CHAIN_FINE;
    for (size_t i = at + 1; i < chain->n; i++)
        if (cert_issued_by(chain->items[i], chain->items[at]) && issued_before(chain, i)) {
            *out_index = i; /* it should have come first */
            return CHAIN_OUT_OF_ORDER;
        }
    for (size_t i = 0; i < at; i++)
        if (X509_cmp(chain->items[i], chain->items[at]) == 0 ||
            cert_issued_by(chain->items[at], chain->items[i]))
            return CHAIN_OUT_OF_ORDER; /* there twice, or the end certificate follows its issuer */
    return CHAIN_STRAY;
}

enum code chain_order(const struct cert_list *chain, struct arena *arena, struct chain_report *out,
                      struct err *e)
{
    struct chain_report report = { .fault = chain->n ? CHAIN_FINE : CHAIN_EMPTY,
                                   .subject = STR(""),
                                   .missing = STR("") };

    for (size_t i = 1; i < chain->n && report.fault == CHAIN_FINE; i++)
        report.fault = place_of(chain, i, &report.index);
    if (report.fault == CHAIN_FINE)
        report.index = chain->n ? chain->n - 1 : 0;
    if (chain->n)
        TRY(name_slash(X509_get_subject_name(chain->items[report.index]), arena, &report.subject, e));
    *out = report;
    return OK;
}

enum code chain_incomplete(const struct chain_path *path, struct arena *arena, struct chain_report *out,
                           struct err *e)
{
    struct chain_report report = { .fault = CHAIN_INCOMPLETE,
                                   .index = path->index,
                                   .missing_intermediate = path->missing_intermediate };

    TRY(name_slash(X509_get_subject_name(path->last), arena, &report.subject, e));
    TRY(name_slash(X509_get_issuer_name(path->last), arena, &report.missing, e));
    *out = report;
    return OK;
}

enum code chain_check(const struct chain_params *params, struct arena *arena, struct chain_report *out,
                      struct err *e)
{
    struct chain_path path;

    TRY(chain_order(params->chain, arena, out, e));
    if (out->fault != CHAIN_FINE)
        return OK;
    TRY(chain_path(params, arena, &path, e));
    return path.end == PATH_MISSING ? chain_incomplete(&path, arena, out, e) : OK;
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
                   "If it is an intermediate, append it to the file; if it is a root that clients have, set "
                   "ssl_chain_root_file to a file that contains it.");
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
        row = diags_add(diags, SEV_WARNING, E_CONFIG, str_c(file), 0,
                        "certificates in file \"%s\" are out of order: certificate %zu, \"%.*s\"", file,
                        report->index + 1, STR_ARG(report->subject));
        diags_hint(
            diags, row,
            "The server's own certificate comes first, and each other one follows the one that it issued.");
        return;
    case CHAIN_STRAY:
        row = diags_add(
            diags, SEV_WARNING, E_CONFIG, str_c(file), 0,
            "certificate %zu in file \"%s\", \"%.*s\", does not belong to the chain of the first one",
            report->index + 1, file, STR_ARG(report->subject));
        diags_hint(diags, row, "Remove it, or add the certificates that connect it.");
        return;
    case CHAIN_INCOMPLETE:
        diagnose_incomplete(report, file, strict, diags);
        return;
    }
}

/* ---- verification by one peer ---- */

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
    STACK_OF(X509) *chain = borrow(what->chain, NULL);
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

static bool same_issuer(X509 *a, X509 *b)
{
    const ASN1_OCTET_STRING *key_a = X509_get0_authority_key_id(a), *key_b = X509_get0_authority_key_id(b);

    return X509_NAME_cmp(X509_get_issuer_name(a), X509_get_issuer_name(b)) == 0 &&
           (!key_a || !key_b || ASN1_OCTET_STRING_cmp(key_a, key_b) == 0);
}

bool chain_ends_alike(const struct chain_path *a, const struct chain_path *b)
{
    if (a->end == PATH_ROOT || b->end == PATH_ROOT)
        return false;
    if (a->own && b->own)
        return cert_same_key(a->own, b->own);
    if (a->own)
        return cert_issued_by(b->last, a->own);
    return b->own ? cert_issued_by(a->last, b->own) : same_issuer(a->last, b->last);
}
