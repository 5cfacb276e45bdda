/* The steps of a renewal. */
#include "renew/walk.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/env.h"
#include "pki/passphrase.h"
#include "renew/ari.h"
#include "renew/check.h"
#include "renew/source_ca.h"
#include "renew/source_command.h"
#include "renew/swap.h"

#include <openssl/x509.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { JOURNAL_LIMIT = 4 << 20, KEY_LIMIT = 1 << 20 };

struct walk {
    const struct renew_params *params;
    const struct renew_rule *rule;
    const struct renew_target *target;
    struct arena *arena;
    struct renew_report *report;
    char journal[OS_PATH_MAX];
    struct swap swap;
    struct renew_past past;
    struct cert_list old;   /* in force when the walk began, leaf first */
    struct leaf leaf;       /* the new key; its certificate is chain.items[0] */
    struct cert_list chain; /* the new one */
    struct leaf_files files;
    struct secret passphrase;
    struct served_check listeners;
    bool runs;
    enum renew_event step;
    char before[RENEW_GENERATION_MAX], next[RENEW_GENERATION_MAX];
};

static void walk_auto(struct walk *w)
{
    cert_list_fini(&w->old);
    cert_list_fini(&w->chain);
    key_free(w->leaf.key);
    secret_wipe(&w->passphrase);
}

/* ---- the journal ---- */

static enum code walk_note(struct walk *w, enum renew_event event, const char *generation, const char *words,
                           struct err *e)
{
    struct renew_line line = { w->rule->name, event, generation, words };

    return renew_journal_add(w->journal, &line, w->params->env, e);
}

/* From now on a failure is one of this step. */
static enum code enter(struct walk *w, enum renew_event step, const char *generation, const char *words,
                       struct err *e)
{
    w->step = step;
    return walk_note(w, step, generation, words, e);
}

static enum code read_past(struct walk *w, struct err *e)
{
    AUTO(buf) struct buf text = BUF_INIT(JOURNAL_LIMIT);

    TRY(os_path(w->target->work, "journal", w->journal, e));
    TRY(renew_journal_load(w->journal, &text, e));
    return renew_journal_read(buf_str(&text), w->rule->name, w->arena, &w->past, e);
}

/* ---- what there is ---- */

static const char *path_or(const struct walk *w, enum renew_setting setting, const char *other)
{
    return w->rule->v[setting].n > 0 ? w->rule->v[setting].p : other;
}

static enum code find_files(struct walk *w, struct err *e)
{
    bool http = str_is(w->rule->name, "http"), server = str_is(w->rule->name, "server");
    const char *cert = http ? w->target->http_cert : server ? w->target->server_cert : "";
    const char *key = http ? w->target->http_key : server ? w->target->server_key : "";
    char cert_path[OS_PATH_MAX], key_path[OS_PATH_MAX];

    cert = path_or(w, RENEW_SET_CERT_FILE, cert);
    key = path_or(w, RENEW_SET_KEY_FILE, key);
    if (!cert[0] || !key[0])
        return err_set(e, E_CONFIG, "the settings of \"%s\" name no pair \"%.*s\"", w->target->dir,
                       STR_ARG(w->rule->name));
    TRY(os_path(w->target->dir, cert, cert_path, e));
    TRY(os_path(w->target->dir, key, key_path, e));
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

static enum code load_old(struct walk *w, struct err *e)
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

static void walk_judge(struct walk *w)
{
    struct renew_report *report = w->report;
    struct due_facts facts = { .not_before_unix_s = report->not_before_unix_s,
                               .not_after_unix_s = report->not_after_unix_s,
                               .now_unix_s = env_now_s(w->params->env),
                               .share = w->rule->renew_at,
                               .failures = w->past.failures,
                               .failed_unix_s = w->past.failed_unix_s };
    struct renew_order order = order_of(w);

    report->other_ca = w->rule->source == RENEW_CA && !renew_ca_issued(&order);
    facts.at_once = report->other_ca;
    struct ari_window window = ari_window_of(&order, w->params->dry_run);
    facts.window_start_unix_s = window.start_unix_s;
    facts.window_end_unix_s = window.end_unix_s;
    facts.at = ari_point(w->old.items[0]);
    report->due = due_judge(&facts);
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
        return err_set(e, E_NO_FILE, "there is no private key file \"%s\" beside the certificate",
                       w->swap.key_path);
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
        err_hint(e, "Name the file with its passphrase in %.*s.key_passphrase_file.", STR_ARG(w->rule->name));
        return E_CONFIG;
    }
    return OK;
}

static enum code make_key(struct walk *w, struct err *e)
{
    enum key_kind kind = w->rule->kind;

    TRY(enter(w, RENEW_KEY, NULL, NULL, e));
    TRY(plan_key_file(w, e));
    if (!w->rule->has_kind && !key_kind_of(X509_get0_pubkey(w->old.items[0]), &kind))
        kind = KEY_P256;
    return key_generate(kind, &w->leaf.key, e);
}

static enum code issue(struct walk *w, struct err *e)
{
    struct renew_order order = order_of(w);

    TRY(enter(w, RENEW_ISSUE, NULL, renew_source_name(w->rule->source), e));
    switch (w->rule->source) {
    case RENEW_CA:
        return renew_from_ca(&order, &w->leaf, &w->chain, e);
    case RENEW_ACME:
    case RENEW_COMMAND:
        break;
    }
    return renew_from_command(&order, &w->leaf, &w->chain, e);
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

    TRY(enter(w, RENEW_CHECK, NULL, NULL, e));
    return renew_check(&what, e);
}

static enum code stage(struct walk *w, struct err *e)
{
    struct cert_list rest = { w->chain.items + 1, w->chain.n - 1 };
    int64_t now = env_now_s(w->params->env);
    char first[RENEW_GENERATION_MAX];

    TRY(enter(w, RENEW_STAGE, NULL, NULL, e));
    TRY(swap_name(&w->swap, now, first, e));
    TRY(swap_adopt(&w->swap, first, w->before, e));
    TRY(swap_name(&w->swap, now, w->next, e));
    w->leaf.cert = w->chain.items[0];
    w->files.chain = &rest;
    enum code code = swap_stage(&w->swap, w->next, &w->leaf, w->files, e);
    w->leaf.cert = NULL;
    w->files.chain = NULL;
    return code;
}

/* ---- the exchange, and what follows ---- */

/* Bring the target to serve the pair that is in force, whose certificate this is. */
static enum code bring_into_force(struct walk *w, X509 *cert, struct err *e)
{
    TRY(enter(w, RENEW_RELOAD, NULL, w->runs ? NULL : "it does not run", e));
    if (!w->runs)
        return OK;
    TRY(renew_target_reload(w->target, e));
    if (str_is(w->rule->name, "server")) {
        TRY(enter(w, RENEW_VERIFY, NULL, NULL, e));
        TRY(renew_target_serves(w->target, &w->listeners, cert, w->params->env, e));
        w->report->served = w->listeners.n > 0;
    }
    return OK;
}

static enum code walk_finish(struct walk *w, const char *generation, struct err *e)
{
    struct err ignored;

    w->step = RENEW_DONE;
    TRY(load_old(w, e));
    TRY(walk_note(w, RENEW_DONE, generation, w->report->sha256, e));
    (void)!swap_sweep(&w->swap, NULL, &ignored); /* what is left over is swept by the next renewal */
    return OK;
}

static enum code exchange(struct walk *w, struct err *e)
{
    TRY(enter(w, RENEW_SWAP, w->next, w->before, e));
    TRY(swap_set(&w->swap, w->next, e));
    TRY(bring_into_force(w, w->chain.items[0], e));
    return walk_finish(w, w->next, e);
}

/* The pair of this generation again, and served again. */
static enum code put_back(struct walk *w, const char *generation, struct err *e)
{
    AUTO(cert_list) struct cert_list chain = { 0 };
    enum renew_event failed_in = w->step;
    char path[OS_PATH_MAX];
    struct err ignored;

    TRY(swap_cert_of(&w->swap, generation, path, e));
    TRY(cert_chain_load(path, &chain, e));
    TRY(swap_set(&w->swap, generation, e));
    /* A gate that refused the new pair may refuse the reload for another reason now: what it serves counts. */
    if (w->runs)
        (void)!renew_target_reload(w->target, &ignored);
    if (w->runs && str_is(w->rule->name, "server"))
        TRY(renew_target_serves(w->target, &w->listeners, chain.items[0], w->params->env, e));
    w->step = failed_in;
    TRY(walk_note(w, RENEW_BACK, generation, NULL, e));
    return swap_sweep(&w->swap, NULL, e);
}

static void walk_fail(struct walk *w, const struct err *why, bool exchanged)
{
    char words[sizeof why->message + 32];
    struct err e = *why, ignored;

    (void)snprintf(words, sizeof words, "%s: %s", renew_event_name(w->step), err_text(why));
    w->report->outcome = RENEW_KEPT;
    w->report->step = w->step;
    w->report->why = *why;
    if (w->params->dry_run)
        return;
    (void)!walk_note(w, RENEW_FAILED, NULL, words, &ignored);
    if (exchanged && put_back(w, w->before, &e) != OK) {
        w->report->outcome = RENEW_UNSETTLED;
        (void)snprintf(words, sizeof words, "%s", err_text(&e));
        e = *why;
        err_detail(&e, "The old pair could not be put back: %s", words);
    }
    if (!exchanged)
        (void)!swap_sweep(&w->swap, NULL, &ignored);
    if (w->report->outcome == RENEW_UNSETTLED)
        w->report->why = e;
}

/* ---- a run that was killed ---- */

/* The files may be the old ones or the new ones; the target may serve either. */
static enum code recover(struct walk *w, struct err *e)
{
    char live[RENEW_GENERATION_MAX];

    TRY(swap_live(&w->swap, live, e));
    if (!str_to_c(w->past.before, w->before, sizeof w->before))
        return err_set(e, E_CONFIG, "the journal names no generation to go back to");
    bool exchanged = str_is(w->past.open, live);
    TRY(load_old(w, e));
    enum code code = bring_into_force(w, w->old.items[0], e);
    if (code == OK && exchanged) {
        w->report->outcome = RENEW_FINISHED;
        return walk_finish(w, live, e);
    }
    if (code == OK) { /* it was killed before the exchange, or while it went back */
        TRY(walk_note(w, RENEW_BACK, live, NULL, e));
        w->past.open = STR("");
        return swap_sweep(&w->swap, NULL, e);
    }
    struct err why = *e;
    walk_fail(w, &why, exchanged);
    return code;
}

/* ---- all of it ---- */

static enum code look_around(struct walk *w, struct err *e)
{
    w->step = RENEW_BEGIN;
    w->runs = renew_target_runs(w->target);
    if (!w->runs || !str_is(w->rule->name, "server"))
        return OK;
    return renew_target_listeners(w->target, w->params->env, &w->listeners, e);
}

static enum code go(struct walk *w, bool *out_exchanged, struct err *e)
{
    TRY(walk_note(w, RENEW_BEGIN, NULL, w->params->force ? "forced" : NULL, e));
    TRY(make_key(w, e));
    TRY(issue(w, e));
    TRY(check(w, e));
    TRY(stage(w, e));
    *out_exchanged = true;
    return exchange(w, e);
}

/* True when there is nothing more to do. */
static bool walk_settle(struct walk *w)
{
    struct renew_report *report = w->report;

    walk_judge(w);
    if (!report->due.due && !w->params->force) {
        report->outcome = RENEW_NOT_DUE;
        return true;
    }
    if (report->due.waits && !w->params->force) {
        report->outcome = RENEW_WAITING;
        (void)err_set(&report->why, E_UNAVAILABLE, "%.*s", STR_ARG(w->past.why));
        return true;
    }
    report->outcome = RENEW_WOULD;
    return w->params->dry_run;
}

static void walk(struct walk *w)
{
    struct err e = { 0 };
    bool exchanged = false;

    w->step = RENEW_BEGIN;
    enum code code = find_files(w, &e);
    if (code == OK)
        code = read_past(w, &e);
    if (code == OK && w->past.open.n > 0 && !w->params->dry_run) {
        code = look_around(w, &e);
        if (code == OK)
            code = recover(w, &e);
        if (w->report->why.code != OK || w->report->outcome == RENEW_FINISHED)
            return; /* it has told */
    }
    if (code == OK)
        code = load_old(w, &e);
    if (code == OK && walk_settle(w))
        return;
    if (code == OK)
        code = look_around(w, &e);
    if (code == OK)
        code = go(w, &exchanged, &e);
    if (code != OK)
        walk_fail(w, &e, exchanged);
    else
        w->report->outcome = RENEW_RENEWED;
}

void renew_walk(const struct renew_params *params, const struct renew_rule *rule, struct arena *arena,
                struct renew_report *out)
{
    AUTO(walk)
    struct walk w = {
        .params = params, .rule = rule, .target = params->target, .arena = arena, .report = out
    };

    *out = (struct renew_report){ .name = rule->name, .source = rule->source };
    walk(&w);
}
