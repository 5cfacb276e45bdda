/* The new pair, before anybody is shown it. What is asked of the chain is what a gate's `reload_policy = strict`
 * asks (gate/load/cert_check.c). */
#include "renew/check.h"

#include "base/arena.h"
#include "base/check.h"
#include "client/verify.h"
#include "pki/chain.h"
#include "pki/expiry.h"

#include <openssl/x509v3.h>

enum { ARENA_LIMIT = 16 << 20, ARENA_FIRST = 4096 };

struct view {
    const struct renew_check *what;
    struct arena *arena;
    struct chain_path path, running;
};

static enum code find_path(const struct view *v, const struct cert_list *chain, struct chain_path *out,
                           struct err *e)
{
    const struct chain_params params = { .chain = chain,
                                         .anchors = v->what->anchors,
                                         .system = true,
                                         .now_unix_s = v->what->now_unix_s,
                                         .store = v->what->store };

    return chain_path(&params, v->arena, out, e);
}

/* ---- the path ---- */

static enum code check_end(const struct view *v, struct err *e)
{
    struct chain_report report;

    if (v->path.end == PATH_ROOT || chain_ends_alike(&v->path, &v->running))
        return OK;
    if (v->path.end == PATH_OWN) {
        (void)err_set(e, E_CONFIG, "the chain ends in a root that clients may not have");
        err_hint(e,
                 "When all clients have it, set ssl_chain_root_file to a file that contains it, or add it to "
                 "ssl_ca_file.");
        return E_CONFIG;
    }
    TRY(chain_incomplete(&v->path, v->arena, &report, e));
    return err_set(e, E_CONFIG, "the chain is incomplete: the certificate of \"%.*s\" is missing",
                   STR_ARG(report.missing));
}

static enum code check_path(struct view *v, struct err *e)
{
    TRY(find_path(v, v->what->chain, &v->path, e));
    TRY(find_path(v, v->what->running, &v->running, e));
    TRY(check_end(v, e));
    if (v->path.error == 0 || v->path.error == v->running.error)
        return OK;
    return err_set(e, E_CONFIG, "clients refuse the chain: %s, at depth %zu", chain_error_text(v->path.error),
                   v->path.error_depth);
}

static enum code check_date(const struct view *v, size_t i, int64_t leaf_end, struct err *e)
{
    char text[EXPIRY_DATE_SIZE], end[EXPIRY_DATE_SIZE];
    int64_t from, to;

    TRY(cert_times(v->what->chain->items[i], &from, &to, e));
    if (from > v->what->now_unix_s)
        return err_set(e, E_CONFIG, "certificate %zu of the chain is not valid before %s", i + 1,
                       expiry_date(from, text));
    if (to <= v->what->now_unix_s)
        return err_set(e, E_CONFIG, "certificate %zu of the chain expired at %s", i + 1,
                       expiry_date(to, text));
    if (to < leaf_end)
        return err_set(e, E_CONFIG,
                       "certificate %zu of the chain expires at %s, before the leaf, which expires at %s",
                       i + 1, expiry_date(to, text), expiry_date(leaf_end, end));
    return OK;
}

/* The root is the clients' own where the chain does not bring it: it, too, must outlive the leaf. */
static enum code check_anchor(const struct view *v, int64_t leaf_end, struct err *e)
{
    const struct cert_list *lists[] = { v->what->anchors, v->what->store };
    char text[EXPIRY_DATE_SIZE];
    int64_t from, to, latest = 0;

    for (size_t l = 0; l < COUNT_OF(lists); l++)
        for (size_t i = 0; lists[l] && i < lists[l]->n; i++)
            if (cert_issued_by(v->path.last, lists[l]->items[i]) &&
                cert_times(lists[l]->items[i], &from, &to, NULL) == OK && to > latest)
                latest = to;
    if (latest == 0 || latest >= leaf_end)
        return OK;
    return err_set(e, E_CONFIG, "the root that issued the chain expires at %s, before the leaf",
                   expiry_date(latest, text));
}

static enum code check_dates(const struct view *v, struct err *e)
{
    char text[EXPIRY_DATE_SIZE], old[EXPIRY_DATE_SIZE];
    int64_t from, end, old_end;

    TRY(cert_times(v->what->chain->items[0], &from, &end, e));
    for (size_t i = 0; i < v->what->chain->n; i++)
        if (v->path.used[i])
            TRY(check_date(v, i, end, e));
    TRY(check_anchor(v, end, e));
    TRY(cert_times(v->what->running->items[0], &from, &old_end, e));
    if (end >= old_end || v->what->forced)
        return OK;
    return err_set(e, E_CONFIG, "the new certificate expires at %s, before the old one, which expires at %s",
                   expiry_date(end, text), expiry_date(old_end, old));
}

/* ---- names and usages ---- */

static enum code check_names(const struct view *v, struct err *e)
{
    struct cert_names before, after;
    const struct san *wanted = v->what->names;
    size_t n = v->what->n_names;
    struct str text;

    TRY(cert_names_of(v->what->chain->items[0], v->arena, &after, e));
    TRY(cert_names_of(v->what->running->items[0], v->arena, &before, e));
    if (n == 0) {
        wanted = before.sans;
        n = before.n_sans;
    }
    for (size_t i = 0; i < n; i++) {
        if (verify_names_match(&after, &wanted[i]))
            continue;
        TRY(san_text(&wanted[i], v->arena, &text, e));
        return err_set(e, E_CONFIG, "the certificate does not have the name %.*s of the old one",
                       STR_ARG(text));
    }
    return OK;
}

static enum code check_usage(const struct view *v, struct err *e)
{
    X509 *leaf = v->what->chain->items[0];
    struct cert_info now, before;

    TRY(cert_describe(leaf, v->arena, &now, e));
    TRY(cert_describe(v->what->running->items[0], v->arena, &before, e));
    unsigned wanted = before.eku & (CERT_EKU_SERVER | CERT_EKU_CLIENT);
    if (before.eku & CERT_EKU_ANY)
        wanted = CERT_EKU_SERVER;
    if (now.is_ca)
        return err_set(e, E_CONFIG, "the certificate is a CA's");
    if (!(now.eku & CERT_EKU_ANY) && (now.eku & wanted) != wanted)
        return err_set(e, E_CONFIG, "the certificate may not be used by a %s, as the old one may",
                       (now.eku & CERT_EKU_SERVER) || !(wanted & CERT_EKU_SERVER) ? "client" : "server");
    /* TLS 1.3 and all ephemeral key exchanges sign. No extension at all allows everything. */
    if (!(X509_get_key_usage(leaf) & KU_DIGITAL_SIGNATURE))
        return err_set(e, E_CONFIG, "the certificate may not be used for digital signatures");
    return OK;
}

enum code renew_check(const struct renew_check *what, struct err *e)
{
    AUTO(arena) struct arena arena = { .blocks = NULL };
    struct view v = { .what = what, .arena = &arena };

    arena_init(&arena, ARENA_LIMIT, ARENA_FIRST);
    if (!key_fits(what->key, what->chain->items[0]))
        return err_set(e, E_KEY_FIT, "the certificate is not for the new key");
    TRY(check_usage(&v, e));
    TRY(check_names(&v, e));
    TRY(check_path(&v, e));
    return check_dates(&v, e);
}
