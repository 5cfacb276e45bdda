/*
 * Three chains: of the next CA, of a CA that nobody knows, and of the server's CA with a wrong name. The files of the
 * settings are one pair for all hosts: what a pair is good for is judged for each.
 */
#include "gate/load/trial_certs.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/env.h"
#include "client/verify.h"
#include "conf/settings.h"
#include "gate/load/server_tls.h"
#include "gate/load/stranger.h"
#include "tls/context.h"
#include "tls/self_test.h"
#include "tls/server_context.h"

#include <openssl/x509v3.h>

enum { REASON_ARENA = 1024 * 1024, IDLE_TEXT_MAX = 2000 };

/* One kind of trial under construction, for one host after the other. */
struct draft {
    const struct trial_certs_params *p;
    const char *name; /* of the setting that says which certificate */
    enum trial trial;
    struct diags *diags;
    size_t n_idle; /* hosts for which it is not used, and why */
    struct buf idle;
    /* of the host */
    const struct server_host *host;
    struct trial_cert *out;
    struct tls_server_params params;
    struct cert_list chain; /* as clients get it */
};

/* ---- contexts ---- */

static enum code make_contexts(struct draft *d, struct err *e)
{
    const struct trial_certs_params *p = d->p;

    cert_list_fini(&d->chain);
    d->chain = (struct cert_list){ .n = 0 };
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

/* What is compared with. */
static const char *own_name(const struct draft *d)
{
    return d->p->served->by_name ? "the host's certificate" : "the certificate in ssl_cert_file";
}

static PRINTF_LIKE(2, 3) const char *reason(struct arena *arena, const char *fmt, ...)
{
    va_list args;
    struct str text;

    va_start(args, fmt);
    bool ok = arena_vprintf(arena, &text, fmt, args);
    va_end(args);
    return ok ? text.p : "out of memory";
}

/* NULL: nothing speaks against it. */
static const char *why_names(const struct draft *d, struct arena *arena)
{
    struct cert_names served, shown;
    struct err ignored;

    if (cert_names_of(d->host->served.items[0], arena, &served, &ignored) != OK ||
        cert_names_of(d->chain.items[0], arena, &shown, &ignored) != OK)
        return "its names cannot be read";
    for (size_t i = 0; i < served.n_sans; i++) {
        bool has = verify_names_match(&shown, &served.sans[i]);
        if (d->trial == TRIAL_NEXT_CA && !has)
            return reason(arena, "it lacks a name of %s", own_name(d));
        if (d->trial == TRIAL_MISNAMED && has)
            return reason(arena, "it has a name of %s", own_name(d));
    }
    return NULL;
}

static const char *why_not(struct draft *d, struct arena *arena)
{
    int64_t now_s = env_now_s(d->p->env);
    X509 *served_top = top_of(&d->host->served), *top = top_of(&d->chain);

    if (!find_life(d) || !top || !served_top)
        return "its chain cannot be read";
    if (now_s >= d->out->until_s)
        return "it has expired";
    if (d->trial == TRIAL_NEXT_CA && !leads_only_to(&d->chain, top))
        return "its chain leads to more than one CA: leave out cross-certificates";
    if (d->trial == TRIAL_MISNAMED && !leads_only_to(&d->chain, served_top))
        return reason(arena, "it is not of the CA of %s", own_name(d));
    return why_names(d, arena);
}

/* Contexts that are of no use are given back. */
static void judge(struct draft *d)
{
    AUTO(arena) struct arena scratch;

    arena_init(&scratch, REASON_ARENA, 4096);
    const char *why = why_not(d, &scratch);
    if (!why)
        return;
    if (d->host->line)
        buf_printf(&d->idle, "%s\"%.*s\": %s", d->n_idle ? "; " : "", STR_ARG(d->host->line->names[0]), why);
    else
        buf_append_c(&d->idle, why);
    d->n_idle++;
    drop_contexts(d->out, d->p->n_workers);
}

/* What was not used, in one row for all hosts. */
static void tell_idle(struct draft *d, struct str cert_file)
{
    struct diag *row;

    if (d->n_idle == 0)
        return;
    if (d->p->served->by_name) {
        row = diags_add(d->diags, SEV_WARNING, E_CONFIG, cert_file, 0,
                        "\"%s\" is not used for %zu of %zu hosts", d->name, d->n_idle, d->p->served->n);
        diags_detail(d->diags, row, "%s", buf_c(&d->idle));
    } else {
        row = diags_add(d->diags, SEV_WARNING, E_CONFIG, cert_file, 0, "\"%s\" is not used: %s", d->name,
                        buf_c(&d->idle));
    }
    diags_hint(d->diags, row,
               d->trial == TRIAL_NEXT_CA
                   ? "Clients would refuse it for this, and not because they lack the next CA."
                   : "Issue it with: pgseal cert issue canary --host canary.invalid.");
}

/* ---- kinds ---- */

static void enter_host(struct draft *d, struct trial_certs *out, size_t i)
{
    d->host = &d->p->served->hosts[i];
    d->out = &out->hosts[i].kinds[d->trial];
    d->params = *d->p->params;
    d->params.ca_file = d->host->ca_file;
}

static enum code make_from_files(struct draft *d, struct trial_certs *out, struct err *e)
{
    AUTO(cert) X509 *first = NULL;
    const char *cert_file = d->params.cert_file, *key_file = d->params.key_file;

    for (size_t i = 0; i < out->n; i++) {
        enter_host(d, out, i);
        d->params.cert_file = cert_file;
        d->params.key_file = key_file;
        TRY(make_contexts(d, e));
        CHECK(d->chain.items); /* the self-test has seen one */
        if (!first && X509_up_ref(d->chain.items[0]) == 1)
            first = d->chain.items[0];
        if (first && X509_cmp(first, d->chain.items[0]) != 0)
            return err_set(e, E_CONFIG, "certificate file \"%s\" changed while it was read", cert_file);
        if (d->trial == TRIAL_NEXT_CA)
            out->hosts[i].served_is_next_ca = leads_only_to(&d->host->served, top_of(&d->chain));
        judge(d);
    }
    tell_idle(d, str_c(cert_file));
    return OK;
}

static enum code load_files(struct draft *d, const struct settings_file *cert,
                            const struct settings_file *key, struct trial_certs *out)
{
    struct err e;

    if (!cert->path)
        return OK;
    d->params.cert_file = cert->path;
    d->params.key_file = key->path ? key->path : "";
    enum code code = key->path ? make_from_files(d, out, &e)
                               : err_set(&e, E_CONFIG, "\"%s\" is set without its key", d->name);
    if (code != OK)
        diags_add_err(d->diags, &e);
    return code;
}

static enum code make_stranger(struct draft *d, struct strangers *strangers, struct err *e)
{
    AUTO(arena) struct arena scratch;
    struct tls_pair pair = { .cert = NULL };

    arena_init(&scratch, REASON_ARENA, 4096);
    d->params.pair = &pair;
    d->params.cert_file = d->params.key_file = "";
    enum code code = strangers_issue(strangers, d->host->served.items[0], d->p->env, &scratch, &pair, e);
    if (code == OK)
        code = make_contexts(d, e);
    if (code == OK && !find_life(d))
        code = err_set(e, E_INTERNAL, "its lifetime cannot be read");
    d->params.pair = NULL;
    cert_free(pair.cert);
    return code;
}

static enum code load_strangers(struct draft *d, struct trial_certs *out)
{
    struct strangers strangers = { .of = { { NULL, NULL, NULL } } };
    enum code code = OK;
    struct err e;

    for (size_t i = 0; code == OK && d->p->settings->canary > 0 && i < out->n; i++) {
        enter_host(d, out, i);
        code = make_stranger(d, &strangers, &e);
    }
    strangers_fini(&strangers);
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
    struct draft d = { .p = p, .trial = trial, .diags = diags, .idle = BUF_INIT(IDLE_TEXT_MAX) };
    enum code code = OK;

    switch (trial) {
    case TRIAL_NEXT_CA:
        d.name = "rollover_cert_file";
        code = load_files(&d, &s->rollover_cert_file, &s->rollover_key_file, out);
        break;
    case TRIAL_STRANGER:
        d.name = "canary";
        code = load_strangers(&d, out);
        break;
    case TRIAL_MISNAMED:
        d.name = "canary_cert_file";
        code = load_files(&d, &s->canary_cert_file, &s->canary_key_file, out);
        break;
    case TRIAL_NONE:
    case TRIAL_KINDS:
        break;
    }
    cert_list_fini(&d.chain);
    buf_fini(&d.idle);
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
    const struct server_tls *served = params->served;

    TRY(check_shares(s, diags));
    if (served->n == 0 || params->n_workers == 0)
        return OK;
    out->hosts = arena_array(params->arena, served->n, sizeof *out->hosts);
    if (!out->hosts)
        return E_NOMEM;
    out->n = served->n;
    for (enum trial trial = TRIAL_NEXT_CA; trial < TRIAL_KINDS; trial++)
        TRY(load_kind(params, trial, out, diags));
    for (size_t i = 0; i < out->n; i++) {
        struct trial_host *host = &out->hosts[i];
        if (s->rollover_probe == 0 || host->served_is_next_ca)
            drop_contexts(&host->kinds[TRIAL_NEXT_CA], params->n_workers);
        if (s->canary == 0)
            drop_contexts(&host->kinds[TRIAL_MISNAMED], params->n_workers);
        for (enum trial trial = TRIAL_NEXT_CA; trial < TRIAL_KINDS; trial++)
            out->any |= host->kinds[trial].tls != NULL;
    }
    return OK;
}

void trial_certs_fini(struct trial_certs *certs, unsigned n_workers)
{
    for (size_t i = 0; i < certs->n; i++)
        for (enum trial trial = TRIAL_NONE; trial < TRIAL_KINDS; trial++)
            drop_contexts(&certs->hosts[i].kinds[trial], n_workers);
}
