/* The renewal of a pair: a key, a certificate for it, checks, and a look at what the listeners serve. */
#include "renew/walk_pair.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/env.h"
#include "conf/settings.h"
#include "pki/passphrase.h"
#include "renew/ari.h"
#include "renew/check.h"
#include "renew/servers.h"
#include "renew/source_ca.h"
#include "renew/source_command.h"

#include <openssl/x509.h>
#include <sys/stat.h>
#include <unistd.h>

enum { KEY_LIMIT = 1 << 20 };

/* Servers that are shown the pair as a client certificate. */
struct pair_shown {
    struct renew_servers servers;
    bool *taken; /* … and took the old one */
};

static void pair_fini(struct walk *w)
{
    cert_list_fini(&w->chain);
    key_free(w->leaf.key);
    secret_wipe(&w->passphrase);
}

/* ---- what there is ---- */

static const char *path_or(const struct walk *w, enum renew_setting setting, const char *other)
{
    return w->rule->v[setting].n > 0 ? w->rule->v[setting].p : other;
}

static enum code pair_find_files(struct walk *w, struct err *e)
{
    bool http = str_is(w->rule->name, "http"), server = str_is(w->rule->name, "server");
    const char *cert = http ? w->target->http_cert : server ? w->target->server_cert : "";
    const char *key = http ? w->target->http_key : server ? w->target->server_key : "";
    char cert_path[OS_PATH_MAX], key_path[OS_PATH_MAX];

    for (size_t i = 0; i < w->target->n_own; i++)
        if (str_is(w->rule->name, w->target->own[i].name)) {
            cert = w->target->own[i].cert;
            key = w->target->own[i].key;
        }
    cert = path_or(w, RENEW_SET_CERT_FILE, cert);
    key = path_or(w, RENEW_SET_KEY_FILE, key);
    if (!cert[0] || !key[0])
        return err_set(e, E_CONFIG, "the settings of \"%s\" name no pair \"%.*s\"", w->target->dir,
                       STR_ARG(w->rule->name));
    TRY(os_path(w->target->dir, cert, cert_path, e));
    TRY(os_path(w->target->dir, key, key_path, e));
    w->report->client = w->rule->client;
    if (!arena_str(w->arena, str_c(cert_path), &w->report->file))
        return err_set(e, E_NOMEM, "out of memory");
    return swap_at(cert_path, key_path, w->rule->name, &w->swap, e);
}

static struct renew_order order_of(const struct walk *w)
{
    return (struct renew_order){ .target = w->target,
                                 .rule = w->rule,
                                 .hooks = w->params->hooks,
                                 .old = &w->old,
                                 .env = w->params->env,
                                 .arena = w->arena };
}

static enum code pair_load(struct walk *w, struct err *e)
{
    uint8_t sha256[CERT_SHA256_SIZE];

    cert_list_fini(&w->old);
    TRY(cert_chain_load(w->swap.cert_path, &w->old, e));
    TRY(cert_times(w->old.items[0], &w->report->not_before_unix_s, &w->report->not_after_unix_s, e));
    if (!cert_sha256(w->old.items[0], sha256))
        return err_set(e, E_INTERNAL, "could not compute a fingerprint");
    cert_sha256_text(sha256, w->report->sha256);
    return OK;
}

static enum code pair_judge(struct walk *w, struct err *e)
{
    struct renew_report *report = w->report;
    struct due_facts facts = { .not_before_unix_s = report->not_before_unix_s,
                               .not_after_unix_s = report->not_after_unix_s,
                               .now_unix_s = env_now_s(w->params->env),
                               .share = w->rule->renew_at,
                               .failures = w->past.failures,
                               .failed_unix_s = w->past.failed_unix_s };
    struct renew_order order = order_of(w);

    (void)e;
    report->other_ca = w->rule->source == RENEW_CA && renew_ca_is_another(&order);
    facts.at_once = report->other_ca;
    struct ari_window window = ari_window_of(&order, w->params->dry_run);
    facts.window_start_unix_s = window.start_unix_s;
    facts.window_end_unix_s = window.end_unix_s;
    facts.at = ari_point(w->old.items[0]);
    report->due = due_judge(&facts);
    return OK;
}

/* ---- before the exchange ---- */

/* The new key gets the owner and mode of the old one, as far as PostgreSQL takes them. */
static enum code plan_key_file(struct walk *w, struct err *e)
{
    struct passphrase_source source = { .file = w->rule->v[RENEW_SET_KEY_PASSPHRASE_FILE].p,
                                        .what = "the certificate's key" };
    struct buf pem = BUF_INIT(KEY_LIMIT);
    struct stat st;

    w->files = LEAF_FILES_INIT;
    if (stat(w->swap.key_path, &st) < 0)
        return err_set(e, E_NO_FILE, "private key file \"%s\" does not exist", w->swap.key_path);
    if (geteuid() == 0) {
        w->files.key_uid = st.st_uid;
        w->files.key_gid = st.st_gid;
    }
    w->files.key_mode = st.st_mode & (geteuid() == 0 && st.st_uid == 0 ? 0640 : 0600);
    enum code code = os_read_file(w->swap.key_path, &pem, e);
    bool encrypted = code == OK && key_is_encrypted(buf_str(&pem));
    buf_fini_secret(&pem);
    TRY(code);
    if (source.file) {
        TRY(passphrase_new(&source, &w->passphrase, e));
        w->files.passphrase = &w->passphrase;
    } else if (encrypted) {
        (void)err_set(e, E_CONFIG, "private key file \"%s\" is protected by a passphrase", w->swap.key_path);
        err_hint(e, "Set %.*s.key_passphrase_file to a file with its passphrase.", STR_ARG(w->rule->name));
        return E_CONFIG;
    }
    return OK;
}

static enum code make_key(struct walk *w, struct err *e)
{
    enum key_kind kind = w->rule->kind;

    TRY(walk_enter(w, RENEW_KEY, NULL, NULL, e));
    TRY(plan_key_file(w, e));
    if (!w->rule->has_kind && !key_kind_of(X509_get0_pubkey(w->old.items[0]), &kind))
        kind = KEY_P256;
    return key_generate(kind, &w->leaf.key, e);
}

static enum code issue(struct walk *w, struct err *e)
{
    struct renew_order order = order_of(w);

    TRY(walk_enter(w, RENEW_ISSUE, NULL, renew_source_name(w->rule->source), e));
    switch (w->rule->source) {
    case RENEW_CA:
        return renew_from_ca(&order, &w->leaf, &w->chain, e);
    case RENEW_ACME:
    case RENEW_COMMAND:
    case RENEW_BUNDLE: /* is no pair's */
        break;
    }
    return renew_from_command(&order, &w->leaf, &w->chain, e);
}

/* cert renew writes them all again; here they would be left behind. */
static enum code check_forms(const struct walk *w, struct err *e)
{
    static const char *const endings[] = { ".p12", ".pk8" };
    struct str base = str_c(w->swap.cert_path);
    char path[OS_PATH_MAX];
    struct str form;

    if (!w->rule->client)
        return OK;
    base.n -= str_ends(base, STR(".crt")) ? 4 : 0;
    for (size_t i = 0; i < COUNT_OF(endings); i++) {
        if (!arena_printf(w->arena, &form, "%.*s%s", STR_ARG(base), endings[i]))
            return err_set(e, E_NOMEM, "out of memory");
        TRY(os_path("", form.p, path, e));
        if (!os_exists(path))
            continue;
        (void)err_set(e, E_UNSUPPORTED, "there is another form of the pair, \"%s\"", path);
        err_hint(e, "Use \"pgseal cert renew -D %s %s\", which renews all forms, or remove the file.",
                 w->target->dir, w->swap.cert_path);
        return E_UNSUPPORTED;
    }
    return OK;
}

static enum code check(struct walk *w, struct err *e)
{
    struct renew_check what = { .chain = &w->chain,
                                .key = w->leaf.key,
                                .running = &w->old,
                                .anchors = &w->target->anchors,
                                .store = &w->target->store,
                                .names = w->rule->names,
                                .n_names = w->rule->n_names,
                                .now_unix_s = env_now_s(w->params->env),
                                .forced = w->params->force };

    TRY(walk_enter(w, RENEW_CHECK, NULL, NULL, e));
    return renew_check(&what, e);
}

static enum code stage(struct walk *w, struct err *e)
{
    struct cert_list rest = { w->chain.items + 1, w->chain.n - 1 };

    TRY(walk_enter(w, RENEW_STAGE, NULL, NULL, e));
    TRY(walk_generations(w, e));
    w->leaf.cert = w->chain.items[0];
    w->files.chain = &rest;
    enum code code = swap_stage(&w->swap, w->next, &w->leaf, w->files, e);
    w->leaf.cert = NULL;
    w->files.chain = NULL;
    return code;
}

/* ---- to whom it is shown ---- */

/* The results are in the servers; the first failure is told. */
static enum code show(struct walk *w, const char *cert_path, const char *key_path, struct err *e)
{
    AUTO(cert_list) struct cert_list chain = { 0 };

    TRY(cert_chain_load(cert_path, &chain, e));
    const struct renew_shown shown = { .cert_path = cert_path,
                                       .key_path = key_path,
                                       .cert = chain.items[0],
                                       .database = w->target->settings->auth_dbname };
    return renew_servers_show(&w->shown->servers, w->target, &shown, w->params->env, e);
}

/* Whoever took the old pair has to take the new one. What was refused before, or did not answer, is no worse now. */
static enum code show_new(struct walk *w, const char *cert_path, const char *key_path, struct err *e)
{
    struct err first;

    if (show(w, cert_path, key_path, &first) == OK)
        return OK;
    for (size_t i = 0; i < w->shown->servers.n; i++) {
        const struct renew_server *server = &w->shown->servers.items[i];
        if (server->result == OK || !w->shown->taken[i])
            continue;
        return err_set(e, server->result,
                       "%.*s (%.*s) accepted the old client certificate, but not the new one: %s",
                       STR_ARG(server->label), STR_ARG(server->setting), err_text(&server->why));
    }
    return OK;
}

static enum code find_shown(struct walk *w, struct err *e)
{
    struct pair_shown *shown = ARENA_NEW(w->arena, struct pair_shown);
    struct err ignored;

    if (!shown)
        return err_set(e, E_NOMEM, "out of memory");
    TRY(renew_servers_shown(w->target, w->swap.cert_path, w->arena, &shown->servers, e));
    w->unused = w->rule->client && shown->servers.n == 0;
    if (shown->servers.n == 0)
        return OK;
    w->shown = shown;
    w->verifies = true;
    shown->taken = arena_array(w->arena, shown->servers.n, sizeof *shown->taken);
    if (!shown->taken)
        return err_set(e, E_NOMEM, "out of memory");
    (void)!show(w, w->swap.cert_path, w->swap.key_path, &ignored);
    for (size_t i = 0; i < shown->servers.n; i++)
        shown->taken[i] = shown->servers.items[i].result == OK;
    return OK;
}

/* With the staged files: libpq's rules for them count, too. */
static enum code show_staged(struct walk *w, struct err *e)
{
    char cert[OS_PATH_MAX], key[OS_PATH_MAX];

    if (!w->shown)
        return OK;
    TRY(walk_enter(w, RENEW_CHECK, w->next, "upstreams", e));
    TRY(swap_cert_of(&w->swap, w->next, cert, e));
    TRY(swap_key_of(&w->swap, w->next, key, e));
    return show_new(w, cert, key, e);
}

static enum code pair_prepare(struct walk *w, struct err *e)
{
    TRY(check_forms(w, e));
    TRY(make_key(w, e));
    TRY(issue(w, e));
    TRY(check(w, e));
    TRY(stage(w, e));
    return show_staged(w, e);
}

/* ---- who serves it ---- */

static enum code pair_look_around(struct walk *w, struct err *e)
{
    bool is_host = renew_hosts_of(&w->target->hosts, w->swap.cert_path, 0) != NULL;
    struct str pair = is_host ? str_c(w->swap.cert_path) : w->rule->name;

    if (!is_host && !str_is(pair, "server") && !str_is(pair, "http"))
        return find_shown(w, e);
    w->verifies = w->runs;
    return w->verifies ? renew_target_listeners(w->target, pair, w->params->env, &w->listeners, e) : OK;
}

static enum code pair_verify(struct walk *w, struct err *e)
{
    AUTO(cert_list) struct cert_list live = { 0 };

    if (w->shown) {
        TRY(show_new(w, w->swap.cert_path, w->swap.key_path, e));
        w->report->served = true;
        return OK;
    }
    TRY(cert_chain_load(w->swap.cert_path, &live, e));
    TRY(renew_target_serves(w->target, &w->listeners, live.items[0], w->params->env, e));
    w->report->served = w->listeners.n > 0;
    return OK;
}

/* A gate that refused the new pair may refuse the reload for another reason now: what it serves counts. */
static enum code pair_verify_back(struct walk *w, enum code reloaded, struct err *e)
{
    if (w->shown) /* whatever the server says now: what counts is that the gate has the old pair */
        return w->loaded ? reloaded : OK;
    TRY(w->verifies ? pair_verify(w, e) : OK);
    w->report->served = false;
    return OK;
}

static enum code pair_finish(struct walk *w, struct err *e)
{
    (void)w;
    (void)e;
    return OK;
}

const struct walk_kind walk_pair = {
    .may_be_forced = true,
    .find_files = pair_find_files,
    .load = pair_load,
    .judge = pair_judge,
    .look_around = pair_look_around,
    .prepare = pair_prepare,
    .verify = pair_verify,
    .verify_back = pair_verify_back,
    .finish = pair_finish,
    .fini = pair_fini,
};
