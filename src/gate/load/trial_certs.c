/*
 * Three chains: of the next CA, of a CA that nobody knows, and of the server's CA with a wrong name.
 *
 * The CA that nobody knows is made here, in memory, with names, key type and life like the server's own, so that
 * nothing but the CA can be what a client refuses. Its key is gone when the leaf is signed.
 */
#include "gate/load/trial_certs.h"

#include "base/arena.h"
#include "base/check.h"
#include "base/env.h"
#include "client/verify.h"
#include "conf/settings.h"
#include "pki/issue.h"
#include "tls/context.h"
#include "tls/self_test.h"
#include "tls/server_context.h"

#include <openssl/x509v3.h>

enum { STRANGER_DAYS = 825 };

/* One kind of trial under construction. */
struct draft {
    const struct trial_certs_params *p;
    struct tls_server_params params;
    const char *name; /* of the setting that says which certificate */
    enum trial trial;
    struct cert_list chain; /* as clients get it */
    struct trial_cert *out;
    struct diags *diags;
};

/* ---- contexts ---- */

static enum code make_contexts(struct draft *d, struct err *e)
{
    const struct trial_certs_params *p = d->p;

    d->out->tls = arena_array(p->arena, p->n_workers, sizeof(struct tls_context *));
    if (!d->out->tls)
        return err_set(e, E_NOMEM, "out of memory");
    for (unsigned i = 0; i < p->n_workers; i++) {
        struct tls_context **out = &d->out->tls[i];
        TRY(tls_server_context_new(p->libraries[i], &d->params, out, d->diags, e));
        if (i == 0)
            TRY(tls_context_self_test(p->libraries[0], &d->params, *out, &d->chain, e));
        else if (!bytes_equal(tls_context_certificate(d->out->tls[0]), tls_context_certificate(*out)))
            return err_set(e, E_CONFIG, "certificate file \"%s\" changed while it was read",
                           d->params.cert_file);
    }
    return OK;
}

static void drop_contexts(struct trial_cert *cert, unsigned n_workers)
{
    for (unsigned i = 0; cert->tls && i < n_workers; i++)
        tls_context_free(cert->tls[i]);
    cert->tls = NULL;
}

/* ---- what it is good for ---- */

static bool has_issuer(const struct cert_list *chain, X509 *cert)
{
    for (size_t i = 0; i < chain->n; i++)
        if (chain->items[i] != cert && cert_issued_by(cert, chain->items[i]))
            return true;
    return false;
}

static bool key_ids_differ(const ASN1_OCTET_STRING *a, const ASN1_OCTET_STRING *b)
{
    return a && b && ASN1_OCTET_STRING_cmp(a, b) != 0;
}

static const ASN1_OCTET_STRING *issuer_key(X509 *cert)
{
    return cert_self_signed(cert) ? X509_get0_subject_key_id(cert) : X509_get0_authority_key_id(cert);
}

/* Were both signed by the same CA, as far as they say? */
static bool same_issuer(X509 *a, X509 *b)
{
    return X509_NAME_cmp(X509_get_issuer_name(a), X509_get_issuer_name(b)) == 0 &&
           !key_ids_differ(issuer_key(a), issuer_key(b));
}

/* The first certificate from which the chain leads no further. */
static X509 *top_of(const struct cert_list *chain)
{
    for (size_t i = 0; i < chain->n; i++)
        if (!has_issuer(chain, chain->items[i]) || cert_self_signed(chain->items[i]))
            return chain->items[i];
    return NULL;
}

/* Does everything in the chain lead to the CA of `top`, and to no other? A cross-certificate leads to another
 * one: who accepts such a chain may know either. */
static bool leads_only_to(const struct cert_list *chain, X509 *top)
{
    for (size_t i = 0; i < chain->n; i++) {
        X509 *cert = chain->items[i];
        if ((!has_issuer(chain, cert) || cert_self_signed(cert)) && !same_issuer(cert, top))
            return false;
    }
    return chain->n > 0 && top;
}

static bool find_life(struct draft *d)
{
    int64_t from_s, until_s;
    struct err ignored;

    d->out->from_s = 0;
    d->out->until_s = INT64_MAX;
    for (size_t i = 0; i < d->chain.n; i++) {
        if (cert_times(d->chain.items[i], &from_s, &until_s, &ignored) != OK)
            return false;
        if (from_s > d->out->from_s)
            d->out->from_s = from_s;
        if (until_s < d->out->until_s)
            d->out->until_s = until_s;
    }
    return d->chain.n > 0;
}

/* NULL: nothing speaks against it. */
static const char *why_names(const struct draft *d, struct arena *arena)
{
    struct cert_names served, shown;
    struct err ignored;

    if (cert_names_of(d->p->served->items[0], arena, &served, &ignored) != OK ||
        cert_names_of(d->chain.items[0], arena, &shown, &ignored) != OK)
        return "its names cannot be read";
    for (size_t i = 0; i < served.n_sans; i++) {
        bool has = verify_names_match(&shown, &served.sans[i]);
        if (d->trial == TRIAL_NEXT_CA && !has)
            return "it lacks a name of the certificate in ssl_cert_file";
        if (d->trial == TRIAL_MISNAMED && has)
            return "it has a name of the certificate in ssl_cert_file";
    }
    return NULL;
}

static const char *why_not(struct draft *d, struct arena *arena)
{
    int64_t now_s = env_now_s(d->p->env);
    X509 *served_top = top_of(d->p->served), *top = top_of(&d->chain);

    if (!find_life(d) || !top || !served_top)
        return "its chain cannot be read";
    if (now_s >= d->out->until_s)
        return "it has expired";
    if (d->trial == TRIAL_NEXT_CA && !leads_only_to(&d->chain, top))
        return "its chain leads to more than one CA: leave out cross-certificates";
    if (d->trial == TRIAL_MISNAMED && !leads_only_to(&d->chain, served_top))
        return "it is not of the CA of the certificate in ssl_cert_file";
    return why_names(d, arena);
}

/* Contexts that are of no use are given back. */
static void judge(struct draft *d)
{
    AUTO(arena) struct arena scratch;

    arena_init(&scratch, 1024 * 1024, 4096);
    const char *why = why_not(d, &scratch);
    if (!why)
        return;
    struct diag *row = diags_add(d->diags, SEV_WARNING, E_CONFIG, str_c(d->params.cert_file), 0,
                                 "\"%s\" is not used: %s", d->name, why);
    diags_hint(d->diags, row,
               d->trial == TRIAL_NEXT_CA
                   ? "Clients would refuse it for this, and not because they lack the next CA."
                   : "Issue it with: pgseal cert issue canary --host canary.invalid.");
    drop_contexts(d->out, d->p->n_workers);
}

/* ---- kinds ---- */

static enum code load_files(struct draft *d, const struct settings_file *cert,
                            const struct settings_file *key)
{
    struct err e;

    d->params.cert_file = cert->path;
    d->params.key_file = key->path ? key->path : "";
    enum code code = key->path ? make_contexts(d, &e)
                               : err_set(&e, E_CONFIG, "\"%s\" is set without its key", d->name);
    if (code == OK) {
        judge(d);
        return OK;
    }
    diags_add_err(d->diags, &e);
    return code;
}

static enum code names_like(X509 *own, struct arena *arena, struct ca_request *out, struct err *e)
{
    struct cert_names names;
    size_t n = 0;

    TRY(cert_names_of(own, arena, &names, e));
    for (size_t i = 0; i < names.n_sans; i++)
        if (names.sans[i].type != SAN_OTHER) /* no client compares them with a host */
            names.sans[n++] = names.sans[i];
    *out = (struct ca_request){ .use = CA_USE_SERVER,
                                .subject = X509_get_subject_name(own),
                                .sans = names.sans,
                                .n_sans = n,
                                .days = STRANGER_DAYS };
    return OK;
}

/* The leaf is as the server's own. */
static enum code make_pair(const struct draft *d, struct arena *arena, struct tls_pair *out, struct err *e)
{
    X509 *own = d->p->served->items[0];
    AUTO(key) EVP_PKEY *ca_key = NULL;
    struct ca_params ca = { .days = STRANGER_DAYS, .path_length = 0 };
    struct ca_request leaf;
    struct issuer issuer = { .env = d->p->env };
    uint32_t number;

    if (!env_random(d->p->env, &number, sizeof number) ||
        !arena_printf(arena, &ca.common_name, "pgseal canary %08x", number))
        return err_set(e, E_NOMEM, "out of memory");
    if (!key_kind_of(X509_get0_pubkey(own), &ca.key))
        ca.key = KEY_P256;
    if (ca.key == KEY_RSA_3072 || ca.key == KEY_RSA_4096)
        ca.key = KEY_RSA_2048; /* made at each load */
    TRY(names_like(own, arena, &leaf, e));
    TRY(key_generate(ca.key, &ca_key, e));
    issuer.key = ca_key;
    TRY(issue_ca(&ca, &issuer, &out->issuer, e));
    issuer.cert = out->issuer;
    TRY(key_generate(ca.key, &out->key, e));
    return issue_leaf(&leaf, out->key, &issuer, &out->cert, e);
}

static enum code load_stranger(struct draft *d)
{
    AUTO(arena) struct arena scratch;
    struct tls_pair pair = { .cert = NULL };
    struct err e;

    arena_init(&scratch, 1024 * 1024, 4096);
    d->params.pair = &pair;
    d->params.cert_file = d->params.key_file = "";
    enum code code = make_pair(d, &scratch, &pair, &e);
    if (code == OK)
        code = make_contexts(d, &e);
    if (code == OK && !find_life(d))
        code = err_set(&e, E_INTERNAL, "its life cannot be read");
    d->params.pair = NULL;
    cert_free(pair.cert);
    cert_free(pair.issuer);
    key_free(pair.key);
    if (code == OK)
        return OK;
    struct diag *row = diags_add(d->diags, SEV_ERROR, code, STR(""), 0,
                                 "could not make a certificate for \"%s\"", d->name);
    diags_detail(d->diags, row, "%s", err_text(&e));
    return code;
}

static enum code load_kind(const struct trial_certs_params *p, enum trial trial, struct trial_certs *out,
                           struct diags *diags)
{
    const struct settings *s = p->settings;
    struct draft d = {
        .p = p, .params = *p->params, .trial = trial, .out = &out->kinds[trial], .diags = diags
    };
    enum code code = OK;

    switch (trial) {
    case TRIAL_NEXT_CA:
        d.name = "rollover_cert_file";
        if (s->rollover_cert_file.path)
            code = load_files(&d, &s->rollover_cert_file, &s->rollover_key_file);
        out->served_is_next_ca = code == OK && d.chain.n > 0 && leads_only_to(p->served, top_of(&d.chain));
        break;
    case TRIAL_STRANGER:
        d.name = "canary";
        if (s->canary > 0)
            code = load_stranger(&d);
        break;
    case TRIAL_MISNAMED:
        d.name = "canary_cert_file";
        if (s->canary_cert_file.path)
            code = load_files(&d, &s->canary_cert_file, &s->canary_key_file);
        break;
    case TRIAL_NONE:
    case TRIAL_KINDS:
        break;
    }
    cert_list_fini(&d.chain);
    return code;
}

/* A share without what it is a share of. */
static enum code check_shares(const struct settings *s, struct diags *diags)
{
    if (s->rollover_probe > 0 && !s->rollover_cert_file.path) {
        diags_add(diags, SEV_ERROR, E_CONFIG, STR(""), 0,
                  "\"rollover_probe\" needs \"rollover_cert_file\" and \"rollover_key_file\" to be set");
        return E_CONFIG;
    }
    if ((s->rollover_probe > 0 || s->canary > 0) && s->clients_limit == 0)
        diags_add(diags, SEV_WARNING, E_CONFIG, STR(""), 0,
                  "\"rollover_probe\" and \"canary\" do nothing while \"clients_limit\" is 0");
    return OK;
}

enum code trial_certs_load(const struct trial_certs_params *params, struct trial_certs *out,
                           struct diags *diags)
{
    const struct settings *s = params->settings;

    TRY(check_shares(s, diags));
    if (!params->served && (s->rollover_probe > 0 || s->canary > 0))
        diags_add(
            diags, SEV_WARNING, E_CONFIG, STR(""), 0,
            "\"rollover_probe\" and \"canary\" do nothing while \"hosts_file\" says which certificate is served");
    if (!params->served || params->served->n == 0)
        return OK;
    for (enum trial trial = TRIAL_NEXT_CA; trial < TRIAL_KINDS; trial++)
        TRY(load_kind(params, trial, out, diags));
    if (s->rollover_probe == 0 || out->served_is_next_ca)
        drop_contexts(&out->kinds[TRIAL_NEXT_CA], params->n_workers);
    if (s->canary == 0)
        drop_contexts(&out->kinds[TRIAL_MISNAMED], params->n_workers);
    for (enum trial trial = TRIAL_NEXT_CA; trial < TRIAL_KINDS; trial++)
        out->any |= out->kinds[trial].tls != NULL;
    return OK;
}

void trial_certs_fini(struct trial_certs *certs, unsigned n_workers)
{
    for (enum trial trial = TRIAL_NONE; trial < TRIAL_KINDS; trial++)
        drop_contexts(&certs->kinds[trial], n_workers);
}
