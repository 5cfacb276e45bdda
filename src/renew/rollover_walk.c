/* The steps of a rollover, in their order. */
#include "renew/rollover_walk.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/env.h"
#include "pki/ca_next.h"
#include "renew/rollover_issue.h"
#include "renew/rollover_steps.h"

enum { KEY_LIMIT = 1 << 20 };

static enum code walk_nomem(struct err *e)
{
    return err_set(e, E_NOMEM, "out of memory");
}

static void start_over(struct cert_list *list)
{
    cert_list_fini(list);
    *list = (struct cert_list){ .n = 0 };
}

/* ---- start: which roots ---- */

static enum code load_own(struct rollover *r, struct err *e)
{
    char path[OS_PATH_MAX];

    TRY(os_path(r->ca_dir, "ca.crt", path, e));
    if (os_exists(path))
        return cert_chain_load(path, &r->old, e);
    (void)err_set(e, E_NO_FILE, "there is no CA in \"%s\"", r->ca_dir);
    err_hint(
        e,
        "Name the directory of the CA, or with --bundle a file with the new roots of a CA that is not the gate's own.");
    return E_NO_FILE;
}

static bool walk_has(const struct cert_list *list, X509 *cert)
{
    for (size_t i = 0; i < list->n; i++)
        if (cert_same_key(list->items[i], cert))
            return true;
    return false;
}

/* The roots that have issued what the gate serves, among those that clients are known to have. */
static enum code guess_old(struct rollover *r, struct err *e)
{
    AUTO(cert_list) struct cert_list served = { .n = 0 };
    const struct cert_list *known[] = { &r->target.anchors, &r->target.store };

    if (!r->target.has_server)
        return err_set(
            e, E_USAGE,
            "--replaces is needed: the gate has no certificate that shows which CA is the old one");
    TRY(cert_chain_load(r->target.server_cert, &served, e));
    for (size_t k = 0; k < COUNT_OF(known); k++)
        for (size_t i = 0; i < known[k]->n; i++)
            for (size_t j = 0; j < served.n; j++) {
                X509 *root = known[k]->items[i];
                if (cert_self_signed(root) && cert_issued_by(served.items[j], root) &&
                    !walk_has(&r->old, root) && cert_list_add(&r->old, root) != OK)
                    return walk_nomem(e);
            }
    if (r->old.n > 0)
        return OK;
    (void)err_set(e, E_CONFIG, "no file of the gate has the root of \"%s\"", r->target.server_cert);
    err_hint(
        e,
        "Set ssl_chain_root_file to the file of roots that clients have, or name the old root with --replaces.");
    return E_CONFIG;
}

static enum code check_valid(const struct rollover *r, X509 *root, const char *file, struct err *e)
{
    int64_t from, to, now = env_now_s(r->env);
    struct cert_info info;

    TRY(cert_times(root, &from, &to, e));
    if (from <= now && now < to)
        return OK;
    TRY(cert_describe(root, r->arena, &info, e));
    return err_set(e, E_CONFIG, "file \"%s\" contains a root that is not valid now: %.*s", file,
                   STR_ARG(info.subject));
}

static enum code load_foreign(struct rollover *r, const struct rollover_wish *wish, struct err *e)
{
    AUTO(cert_list) struct cert_list bundle = { .n = 0 };

    if (wish->replaces)
        TRY(cert_chain_load(wish->replaces, &r->old, e));
    else
        TRY(guess_old(r, e));
    TRY(cert_chain_load(wish->bundle, &bundle, e));
    for (size_t i = 0; i < bundle.n; i++) {
        if (!cert_self_signed(bundle.items[i]))
            return err_set(
                e, E_CONFIG,
                "file \"%s\" contains a certificate that is not a root: clients would not trust it",
                wish->bundle);
        TRY(check_valid(r, bundle.items[i], wish->bundle, e));
        if (!walk_has(&r->old, bundle.items[i]) && !walk_has(&r->next, bundle.items[i]) &&
            cert_list_add(&r->next, bundle.items[i]) != OK)
            return walk_nomem(e);
    }
    return r->next.n > 0 ? OK : err_set(e, E_CONFIG, "file \"%s\" contains no new root", wish->bundle);
}

/* ---- start: a new CA ---- */

static enum code check_key_passphrase(const struct rollover *r, const struct rollover_wish *wish,
                                      struct err *e)
{
    struct buf pem = BUF_INIT(KEY_LIMIT);
    char path[OS_PATH_MAX];
    struct err ignored;

    TRY(os_path(r->ca_dir, "ca.key", path, e));
    bool encrypted = os_read_file(path, &pem, &ignored) == OK && key_is_encrypted(buf_str(&pem));
    buf_fini_secret(&pem);
    if (!encrypted || wish->passphrase)
        return OK;
    (void)err_set(e, E_USAGE,
                  "the key of the old CA is protected by a passphrase, and none is given for the new one");
    err_hint(e, "Use --passphrase or --passphrase-file.");
    return E_USAGE;
}

/* The next CA of one that is kept apart may have been made for another gate. */
static enum code refuse_in_the_way(const struct rollover *r, struct err *e)
{
    char next[OS_PATH_MAX], old[OS_PATH_MAX];

    TRY(rollover_beside(r, "next", next, e));
    TRY(rollover_beside(r, "old", old, e));
    bool shared = r->apart && os_has(next, "ca.crt");
    const char *path = os_exists(old) ? old : next;
    if (!os_exists(old) && (shared || !os_exists(next)))
        return OK;
    return err_set(e, E_EXISTS, "\"%s\" already exists; move it away", path);
}

static enum code make_ca(struct rollover *r, const struct rollover_wish *wish, struct err *e)
{
    struct ca_params params;
    char dir[OS_PATH_MAX], path[OS_PATH_MAX];

    TRY(rollover_step(r, ROLLOVER_STEP_CA, e));
    TRY(rollover_beside(r, "next", dir, e));
    TRY(os_path(dir, "ca.crt", path, e));
    if (!os_exists(path)) { /* it is written last */
        TRY(ca_params_next(r->old.items[0], &r->target.anchors, r->arena, &params, e));
        params.common_name = wish->name.n > 0 ? wish->name : params.common_name;
        params.key = wish->has_key ? wish->key : params.key;
        params.days = wish->days ? wish->days : params.days;
        params.passphrase = wish->passphrase;
        params.replace = true; /* what a killed run has left behind */
        TRY(ca_create(dir, &params, r->env, e));
    }
    start_over(&r->next);
    TRY(cert_chain_load(path, &r->next, e));
    return rollover_write_roots(r, "new.crt", &r->next, e);
}

/* ---- start ---- */

static enum code check_start(struct rollover *r, const struct rollover_wish *wish, struct err *e)
{
    if (!wish->bundle) {
        TRY(load_own(r, e));
        TRY(refuse_in_the_way(r, e));
        TRY(check_key_passphrase(r, wish, e));
    } else {
        TRY(load_foreign(r, wish, e));
    }
    TRY(rollover_look(r, e));
    if (r->server_side || r->client_side)
        return OK;
    return err_set(
        e, E_CONFIG,
        "this CA has not issued the gate's certificate, and ssl_ca_file does not contain its root");
}

static enum code begin(struct rollover *r, const struct rollover_wish *wish, struct err *e)
{
    struct str words = STR("bundle");

    TRY(check_start(r, wish, e));
    TRY(rollover_write_roots(r, "old.crt", &r->old, e));
    if (wish->bundle)
        TRY(rollover_write_roots(r, "new.crt", &r->next, e));
    if (!wish->bundle && !arena_printf(r->arena, &words, "own %s", r->ca_dir))
        return walk_nomem(e);
    TRY(rollover_enter(r, ROLLOVER_STARTING, words.p, e));
    r->past = (struct rollover_past){ .phase = ROLLOVER_STARTING,
                                      .phase_unix_s = env_now_s(r->env),
                                      .start_unix_s = env_now_s(r->env),
                                      .own = !wish->bundle,
                                      .ca_dir = str_c(r->ca_dir) };
    return OK;
}

/* The lists first: a root whose CA has no list is one whose certificates are refused. */
static enum code publish(struct rollover *r, const struct rollover_wish *wish, struct err *e)
{
    if (r->past.own)
        TRY(make_ca(r, wish, e));
    TRY(rollover_look(r, e));
    TRY(rollover_step(r, ROLLOVER_STEP_LISTS, e));
    TRY(rollover_edit_lists(r, ROLLOVER_LISTS_NEXT, NULL, e));
    TRY(rollover_step(r, ROLLOVER_STEP_ROOTS, e));
    TRY(rollover_edit_roots(r, &r->next, NULL, e));
    TRY(rollover_make_pair(r, wish->known, e));
    struct err why;
    if (rollover_reload(r, &why) != OK) {
        (void)!rollover_edit_roots(r, NULL, &r->next, e);
        (void)!rollover_edit_lists(r, ROLLOVER_LISTS_NONE, &r->next, e);
        *e = why;
        return why.code;
    }
    return rollover_enter(r, ROLLOVER_STARTED, NULL, e);
}

static enum code tell(struct rollover *r, enum code code, const struct err *e)
{
    if (code != OK)
        rollover_note_failed(r, e);
    return code;
}

enum code rollover_start(struct rollover *r, const struct rollover_wish *wish, struct err *e)
{
    if (rollover_open_phase(r->past.phase) && r->past.phase != ROLLOVER_STARTING) {
        (void)err_set(e, E_EXISTS, "a rollover is under way");
        err_hint(e, "See: pgseal ca rollover status -D %s", r->target.dir);
        return E_EXISTS;
    }
    if (r->past.phase != ROLLOVER_STARTING)
        TRY(begin(r, wish, e));
    return tell(r, publish(r, wish, e), e);
}

/* ---- servers ---- */

static enum code refuse_phase(const struct rollover *r, const char *what, struct err *e)
{
    if (!rollover_open_phase(r->past.phase)) {
        (void)err_set(e, E_BAD_STATE, "no rollover is under way");
        err_hint(e, "Start one with: pgseal ca rollover start -D %s", r->target.dir);
        return E_BAD_STATE;
    }
    (void)err_set(e, E_BAD_STATE, "%s", what);
    err_hint(e, "See: pgseal ca rollover status -D %s", r->target.dir);
    return E_BAD_STATE;
}

/* What the operator has to bring himself: nobody here can have the new CA issue it. */
static enum code check_brought(struct rollover *r, struct err *e)
{
    struct str how;

    for (size_t i = 0; !r->past.own && i < r->n_pairs; i++) {
        if (!rollover_is_to_bring(r, &r->pairs[i]))
            continue;
        TRY(rollover_how_to_bring(r, &r->pairs[i], &how, e));
        (void)err_set(e, E_CONFIG,
                      "the certificate \"%.*s\" was issued by the old CA, and has no source in \"%s\"",
                      STR_ARG(r->pairs[i].cert), r->target.conf);
        err_hint(e, "When the clients are ready, %.*s", STR_ARG(how));
        return E_CONFIG;
    }
    return OK;
}

/* A source may still have the old CA behind it. */
static enum code check_fetched(struct rollover *r, struct err *e)
{
    TRY(rollover_look(r, e));
    for (size_t i = 0; i < r->n_pairs; i++) {
        if (r->pairs[i].issuer != ROLLOVER_ISSUER_OLD || !r->pairs[i].rule)
            continue;
        (void)err_set(e, E_CONFIG, "the certificate \"%.*s\" was issued by the old CA again",
                      STR_ARG(r->pairs[i].cert));
        err_hint(e, "Change its source in \"%s\" to the new CA.", r->target.conf);
        return E_CONFIG;
    }
    return OK;
}

static enum code serve(struct rollover *r, const char *passphrase_file, struct rollover_issued *out,
                       struct err *e)
{
    TRY(rollover_exchange(r, true, e));
    TRY(rollover_issue(r, ROLLOVER_ISSUER_OLD, passphrase_file, out, e));
    if (!r->past.own)
        TRY(check_fetched(r, e));
    return rollover_enter(r, ROLLOVER_ISSUED, NULL, e);
}

enum code rollover_servers(struct rollover *r, const char *passphrase_file, struct rollover_issued *out,
                           struct err *e)
{
    *out = (struct rollover_issued){ .n = 0 };
    if (r->past.phase != ROLLOVER_STARTED && r->past.phase != ROLLOVER_ISSUING)
        return refuse_phase(r,
                            r->past.phase == ROLLOVER_STARTING ? "the start was interrupted: run it again"
                                                               : "the certificates have been issued already",
                            e);
    TRY(check_brought(r, e));
    if (r->past.phase != ROLLOVER_ISSUING)
        TRY(rollover_enter(r, ROLLOVER_ISSUING, NULL, e));
    return tell(r, serve(r, passphrase_file, out, e), e);
}

/* ---- finish ---- */

static enum code take_old_away(struct rollover *r, struct err *e)
{
    struct err why;

    TRY(rollover_step(r, ROLLOVER_STEP_ROOTS, e));
    TRY(rollover_edit_roots(r, NULL, &r->old, e));
    TRY(rollover_step(r, ROLLOVER_STEP_LISTS, e));
    TRY(rollover_edit_lists(r, ROLLOVER_LISTS_NONE, &r->old, e));
    if (rollover_reload(r, &why) == OK)
        return OK;
    TRY(rollover_edit_lists(r, ROLLOVER_LISTS_OLD, NULL, e));
    TRY(rollover_edit_roots(r, &r->old, NULL, e));
    *e = why;
    return why.code;
}

static enum code put_aside(struct rollover *r, struct err *e)
{
    TRY(rollover_step(r, ROLLOVER_STEP_PAIR, e));
    TRY(rollover_remove_pair(r, e));
    TRY(rollover_retire(r, false, e));
    return rollover_enter(r, ROLLOVER_FINISHED, NULL, e);
}

enum code rollover_finish(struct rollover *r, struct err *e)
{
    if (r->past.phase != ROLLOVER_ISSUED && r->past.phase != ROLLOVER_FINISHING)
        return refuse_phase(r, "the new CA has not issued the gate's certificates yet: run \"servers\" first",
                            e);
    if (r->past.phase != ROLLOVER_FINISHING)
        TRY(rollover_enter(r, ROLLOVER_FINISHING, NULL, e));
    enum code code = take_old_away(r, e);
    if (code != OK) { /* both are in force again */
        struct err ignored;
        (void)!rollover_enter(r, ROLLOVER_ISSUED, NULL, &ignored);
        return tell(r, code, e);
    }
    return tell(r, put_aside(r, e), e);
}

/* ---- abort ---- */

static enum code go_back(struct rollover *r, const char *passphrase_file, struct rollover_issued *out,
                         struct err *e)
{
    if (r->past.issued) {
        TRY(rollover_step(r, ROLLOVER_STEP_ROOTS, e));
        TRY(rollover_edit_lists(r, ROLLOVER_LISTS_OLD, NULL, e));
        TRY(rollover_edit_roots(r, &r->old, NULL, e));
        TRY(rollover_exchange(r, false, e));
        if (r->past.own)
            TRY(rollover_issue(r, ROLLOVER_ISSUER_NEXT, passphrase_file, out, e));
    }
    TRY(rollover_step(r, ROLLOVER_STEP_ROOTS, e));
    TRY(rollover_edit_roots(r, NULL, &r->next, e));
    TRY(rollover_step(r, ROLLOVER_STEP_LISTS, e));
    TRY(rollover_edit_lists(r, ROLLOVER_LISTS_NONE, &r->next, e));
    TRY(rollover_reload(r, e));
    TRY(rollover_step(r, ROLLOVER_STEP_PAIR, e));
    TRY(rollover_remove_pair(r, e));
    TRY(rollover_retire(r, true, e));
    return rollover_enter(r, ROLLOVER_ABORTED, NULL, e);
}

/* The new root goes away with the rollover; what only that verifies may not be left behind. */
static enum code check_taken_back(const struct rollover *r, struct err *e)
{
    for (size_t i = 0; !r->past.own && i < r->n_pairs; i++) {
        if (!rollover_is_served(r, &r->pairs[i], ROLLOVER_ISSUER_NEXT))
            continue;
        (void)err_set(e, E_CONFIG, "the certificate \"%.*s\" was issued by the new CA",
                      STR_ARG(r->pairs[i].cert));
        err_hint(
            e,
            "Put the old CA's certificate and key into \"%.*s\" and \"%.*s\", and run: pgseal reload -D %s",
            STR_ARG(r->pairs[i].cert), STR_ARG(r->pairs[i].key), r->target.dir);
        return E_CONFIG;
    }
    return OK;
}

enum code rollover_abort(struct rollover *r, const char *passphrase_file, struct rollover_issued *out,
                         struct err *e)
{
    *out = (struct rollover_issued){ .n = 0 };
    if (!rollover_open_phase(r->past.phase))
        return refuse_phase(r, "", e);
    if (r->past.phase == ROLLOVER_FINISHING && r->past.step == ROLLOVER_STEP_RETIRE)
        return refuse_phase(r, "the old CA has been put aside already: run \"finish\" again", e);
    TRY(check_taken_back(r, e));
    if (r->past.phase != ROLLOVER_ABORTING)
        TRY(rollover_enter(r, ROLLOVER_ABORTING, NULL, e));
    return tell(r, go_back(r, passphrase_file, out, e), e);
}
