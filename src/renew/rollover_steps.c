/* The single steps of a rollover. */
#include "renew/rollover_steps.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/env.h"
#include "conf/settings.h"
#include "os/journal.h"
#include "pki/leaf.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { STAMP_SIZE = 32, ASIDE_MAX = 99, PAIR_DAYS = 365 };

static enum code steps_nomem(struct err *e)
{
    return err_set(e, E_NOMEM, "out of memory");
}

/* ---- the journal ---- */

enum code rollover_enter(struct rollover *r, enum rollover_phase phase, const char *words, struct err *e)
{
    struct str line;

    if (!arena_printf(r->arena, &line, "%s%s%s", rollover_phase_word(phase), words ? " " : "",
                      words ? words : ""))
        return steps_nomem(e);
    TRY(os_journal_add(r->journal, line, r->env, e));
    r->past.phase = phase;
    r->past.step = ROLLOVER_STEP_NONE;
    r->past.failed = STR("");
    r->past.phase_unix_s = env_now_s(r->env);
    r->past.both_us = phase == ROLLOVER_STARTED ? r->env->now_unix_us(r->env->ctx) : r->past.both_us;
    r->past.issued = r->past.issued || phase == ROLLOVER_ISSUING;
    return OK;
}

enum code rollover_step(struct rollover *r, enum rollover_step step, struct err *e)
{
    struct str line;

    if (!arena_printf(r->arena, &line, "step %s", rollover_step_name(step)))
        return steps_nomem(e);
    TRY(os_journal_add(r->journal, line, r->env, e));
    r->past.step = step;
    r->past.failed = STR("");
    return OK;
}

void rollover_note_failed(struct rollover *r, const struct err *why)
{
    struct err ignored;
    struct str line;

    if (arena_printf(r->arena, &line, "failed %s: %s",
                     r->past.step ? rollover_step_name(r->past.step) : "begin", err_text(why)))
        (void)!os_journal_add(r->journal, line, r->env, &ignored);
}

/* ---- roots and lists ---- */

enum code rollover_write_roots(struct rollover *r, const char *name, const struct cert_list *roots,
                               struct err *e)
{
    AUTO(buf) struct buf pem = BUF_INIT(OS_FILE_LIMIT);
    char path[OS_PATH_MAX];

    TRY(os_path(r->dir, name, path, e));
    for (size_t i = 0; i < roots->n; i++)
        if (cert_to_pem(roots->items[i], &pem) != OK)
            return steps_nomem(e);
    return os_write_file(path, buf_bytes(&pem), 0644, OS_WRITE_REPLACE, e);
}

/* With the mode that it has. */
static enum code rewrite(const char *path, struct str before, const struct buf *after, struct err *e)
{
    struct os_target target = { path, { 0644, (uid_t)-1, (gid_t)-1 }, OS_WRITE_REPLACE };
    struct stat st;

    if (str_equal(before, buf_str(after)))
        return OK;
    if (stat(path, &st) == 0)
        target.owned.mode = st.st_mode & 07777;
    return os_write_target(&target, buf_bytes(after), e);
}

static enum code edit_roots_of(const char *path, const struct cert_list *add, const struct cert_list *drop,
                               struct err *e)
{
    AUTO(buf) struct buf text = BUF_INIT(OS_FILE_LIMIT), more = BUF_INIT(OS_FILE_LIMIT);
    AUTO(buf) struct buf less = BUF_INIT(OS_FILE_LIMIT);
    const struct cert_list none = { .n = 0 };

    TRY(os_read_file(path, &text, e));
    TRY(rollover_text_add_roots(buf_str(&text), add ? add : &none, &more, e));
    TRY(rollover_text_drop_roots(buf_str(&more), drop ? drop : &none, &less, e));
    return rewrite(path, buf_str(&text), &less, e);
}

enum code rollover_edit_roots(struct rollover *r, const struct cert_list *add, const struct cert_list *drop,
                              struct err *e)
{
    for (size_t i = 0; i < r->n_files; i++)
        if (!r->files[i].lists)
            TRY(edit_roots_of(r->files[i].real, add, drop, e));
    return OK;
}

enum code rollover_edit_lists(struct rollover *r, enum rollover_lists add, const struct cert_list *drop,
                              struct err *e)
{
    AUTO(buf) struct buf fresh = BUF_INIT(OS_FILE_LIMIT);
    const struct cert_list *comes = add == ROLLOVER_LISTS_NEXT ? &r->next : &r->old;
    char dir[OS_PATH_MAX], path[OS_PATH_MAX];

    if (add != ROLLOVER_LISTS_NONE && r->past.own && rollover_find_ca(r, add == ROLLOVER_LISTS_NEXT, dir)) {
        TRY(os_path(dir, "ca.crl", path, e));
        TRY(os_read_file(path, &fresh, e));
    }
    for (size_t i = 0; i < r->n_files; i++) {
        AUTO(buf) struct buf text = BUF_INIT(OS_FILE_LIMIT), more = BUF_INIT(OS_FILE_LIMIT);
        AUTO(buf) struct buf less = BUF_INIT(OS_FILE_LIMIT);
        const struct cert_list none = { .n = 0 };
        if (!r->files[i].lists)
            continue;
        TRY(os_read_file(r->files[i].real, &text, e));
        TRY(rollover_text_put_lists(buf_str(&text), fresh.n ? comes : &none, buf_str(&fresh), &more, e));
        TRY(rollover_text_put_lists(buf_str(&more), drop ? drop : &none, STR(""), &less, e));
        TRY(rewrite(r->files[i].real, buf_str(&text), &less, e));
    }
    return OK;
}

enum code rollover_reload(struct rollover *r, struct err *e)
{
    TRY(rollover_step(r, ROLLOVER_STEP_RELOAD, e));
    return renew_target_runs(&r->target) ? renew_target_reload(&r->target, e) : OK;
}

/* ---- the pair of a probed handshake ---- */

static bool pair_is_good(const struct rollover *r, const char *cert, const char *key)
{
    const struct key_passphrase *none = NULL;
    AUTO(cert_list) struct cert_list chain = { .n = 0 };
    AUTO(key) EVP_PKEY *found = NULL;
    struct err ignored;
    int64_t from, to;

    return os_exists(cert) && os_exists(key) && cert_chain_load(cert, &chain, &ignored) == OK &&
           key_load(key, none, &found, &ignored) == OK && key_fits(found, chain.items[0]) &&
           rollover_issuer_of(r, &chain) == ROLLOVER_ISSUER_NEXT &&
           cert_times(chain.items[0], &from, &to, &ignored) == OK && to > env_now_s(r->env);
}

bool rollover_is_served(const struct rollover *r, const struct rollover_pair *pair,
                        enum rollover_issuer issuer)
{
    return !pair->client && pair->issuer == issuer &&
           ((r->target.has_server && str_is(pair->cert, r->target.server_cert)) ||
            renew_hosts_of(&r->target.hosts, pair->cert.p, 0));
}

static bool has_san(const struct ca_request *request, const struct san *san)
{
    for (size_t i = 0; i < request->n_sans; i++)
        if (request->sans[i].type == san->type && bytes_equal(request->sans[i].value, san->value))
            return true;
    return false;
}

/* As many as fit; a host whose names are not all there is not tried out. */
static void add_names(const struct cert_names *names, struct san *room, struct ca_request *request)
{
    for (size_t i = 0; i < names->n_sans && request->n_sans < CA_LIST_MAX; i++)
        if (!has_san(request, &names->sans[i]))
            room[request->n_sans++] = names->sans[i];
}

/* Like the first certificate that the old CA has issued for the gate's clients, with the names of all of them. `like`
 * receives that one, which the request borrows from. */
static enum code request_like_served(struct rollover *r, struct cert_list *like, struct ca_request *request,
                                     struct err *e)
{
    struct san *room = arena_array(r->arena, CA_LIST_MAX, sizeof *room);
    struct cert_names names;

    if (!room)
        return steps_nomem(e);
    for (size_t i = 0; i < r->n_pairs; i++) {
        AUTO(cert_list) struct cert_list served = { .n = 0 };
        if (!rollover_is_served(r, &r->pairs[i], ROLLOVER_ISSUER_OLD))
            continue;
        TRY(cert_chain_load(r->pairs[i].cert.p, &served, e));
        TRY(cert_names_of(served.items[0], r->arena, &names, e));
        if (like->n == 0) {
            if (cert_list_add(like, served.items[0]) != OK)
                return steps_nomem(e);
            TRY(ca_request_of(like->items[0], r->arena, request, e));
            request->sans = room;
            request->n_sans = 0;
        }
        add_names(&names, room, request);
    }
    return like->n > 0
               ? OK
               : err_set(e, E_BAD_STATE, "the old CA has issued no certificate that clients are shown");
}

static enum code issue_pair(struct rollover *r, const struct key_passphrase *known, const char *cert,
                            const char *key, struct err *e)
{
    AUTO(cert_list) struct cert_list like = { .n = 0 };
    AUTO(leaf) struct leaf leaf = { NULL, NULL };
    AUTO(ca) struct ca *ca = NULL;
    struct leaf_files files = LEAF_FILES_INIT;
    struct ca_request request;
    char dir[OS_PATH_MAX];
    enum key_kind kind;

    if (!rollover_find_ca(r, true, dir))
        return err_set(e, E_NO_FILE, "the new CA is not beside \"%s\"", r->ca_dir);
    TRY(request_like_served(r, &like, &request, e));
    if (!key_kind_of(X509_get0_pubkey(like.items[0]), &kind))
        kind = KEY_P256;
    if (request.days < PAIR_DAYS) /* nobody renews it, and a rollover may take a while */
        request.days = PAIR_DAYS;
    TRY(ca_open(&(struct ca_where){ dir, known, r->env }, CA_SIGN, &ca, e));
    TRY(leaf_make(&(struct leaf_wish){ ca, r->env, &request, kind }, &leaf, e));
    files.cert_path = cert;
    files.key_path = key;
    files.replace = true;
    return leaf_write(&leaf, &files, e);
}

static bool any_served(const struct rollover *r, enum rollover_issuer issuer)
{
    for (size_t i = 0; i < r->n_pairs; i++)
        if (rollover_is_served(r, &r->pairs[i], issuer))
            return true;
    return false;
}

bool rollover_has_served(const struct rollover *r)
{
    return any_served(r, ROLLOVER_ISSUER_OLD);
}

bool rollover_serves_next(const struct rollover *r)
{
    return any_served(r, ROLLOVER_ISSUER_NEXT);
}

enum code rollover_make_pair(struct rollover *r, const struct key_passphrase *known, struct err *e)
{
    char cert[OS_PATH_MAX], key[OS_PATH_MAX];

    if (!r->past.own || !rollover_has_served(r))
        return OK;
    TRY(rollover_step(r, ROLLOVER_STEP_PAIR, e));
    TRY(rollover_pair_paths(r, cert, key, e));
    return pair_is_good(r, cert, key) ? OK : issue_pair(r, known, cert, key, e);
}

bool rollover_is_to_bring(const struct rollover *r, const struct rollover_pair *pair)
{
    return !r->past.own && pair->issuer == ROLLOVER_ISSUER_OLD && !pair->rule &&
           !str_is(pair->name, "canary");
}

enum code rollover_how_to_bring(const struct rollover *r, const struct rollover_pair *pair, struct str *out,
                                struct err *e)
{
    const struct settings_file *cert = &r->target.settings->rollover_cert_file;
    const struct settings_file *key = &r->target.settings->rollover_key_file;
    bool tried = cert->path && key->path && !r->foreign_probe && str_is(pair->name, "server") &&
                 r->target.hosts.n == 0;

    bool ok = tried
                  ? arena_printf(r->arena, out,
                                 "run: cp -b %s %.*s && cp -b %s %.*s && pgseal reload -D %s && "
                                 "pgseal ca rollover servers -D %s",
                                 cert->path, STR_ARG(pair->cert), key->path, STR_ARG(pair->key),
                                 r->target.dir, r->target.dir)
                  : arena_printf(r->arena, out,
                                 "put a certificate of the new CA with its key into %.*s and %.*s, and run: "
                                 "pgseal reload -D %s && pgseal ca rollover servers -D %s",
                                 STR_ARG(pair->cert), STR_ARG(pair->key), r->target.dir, r->target.dir);
    return ok ? OK : steps_nomem(e);
}

enum code rollover_remove_pair(struct rollover *r, struct err *e)
{
    const struct setting_row *row = settings_find(r->target.settings, STR("rollover_cert_file"));
    char cert[OS_PATH_MAX], key[OS_PATH_MAX];

    if (!r->past.own || !r->target.server_cert[0] || (row && row->show.n > 0))
        return OK;
    TRY(rollover_pair_paths(r, cert, key, e));
    if ((unlink(key) < 0 && errno != ENOENT) || (unlink(cert) < 0 && errno != ENOENT))
        return err_set(e, code_from_errno(errno), "could not remove file \"%s\": %m", key);
    return OK;
}

/* ---- the directories of the CAs ---- */

static enum code move(const char *from, const char *to, struct err *e)
{
    if (rename(from, to) == 0)
        return OK;
    return err_set(e, code_from_errno(errno), "could not rename directory \"%s\" to \"%s\": %m", from, to);
}

static enum code lock_ca(const char *dir, struct os_lock *out, struct err *e)
{
    char path[OS_PATH_MAX];

    TRY(os_path(dir, "ca.lock", path, e));
    return os_lock_take(path, getpid(), out, e);
}

/* Nobody may be about to sign, or he would write into the directory of the other CA. */
static enum code exchange_dirs(const char *a, const char *b, struct err *e)
{
    AUTO(os_lock) struct os_lock lock_a = OS_LOCK_INIT, lock_b = OS_LOCK_INIT;

    TRY(lock_ca(a, &lock_a, e));
    TRY(lock_ca(b, &lock_b, e));
    if (renameat2(AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE) == 0)
        return OK;
    return err_set(e, code_from_errno(errno), "could not exchange directories \"%s\" and \"%s\": %m", a, b);
}

enum code rollover_exchange(struct rollover *r, bool forward, struct err *e)
{
    char next[OS_PATH_MAX], old[OS_PATH_MAX], comes[OS_PATH_MAX], goes[OS_PATH_MAX];

    if (!r->past.own)
        return OK;
    TRY(rollover_step(r, ROLLOVER_STEP_EXCHANGE, e));
    TRY(rollover_beside(r, "next", next, e));
    TRY(rollover_beside(r, "old", old, e));
    if (!rollover_find_ca(r, forward, comes))
        return err_set(e, E_NO_FILE, "the %s CA is not beside \"%s\"", forward ? "new" : "old", r->ca_dir);
    if (strcmp(comes, r->ca_dir) != 0)
        TRY(exchange_dirs(r->ca_dir, comes, e));
    const char *place = forward ? old : next;
    if (!rollover_find_ca(r, !forward, goes) || strcmp(goes, place) == 0)
        return OK;
    return move(goes, place, e);
}

/* A directory of the CA in force, that does not exist yet. */
static enum code name_aside(struct rollover *r, bool next, struct err *e)
{
    time_t when = (time_t)r->past.start_unix_s;
    char stamp[STAMP_SIZE] = "", name[STAMP_SIZE * 2];
    struct tm tm;

    if (gmtime_r(&when, &tm))
        (void)strftime(stamp, sizeof stamp, "%Y%m%dT%H%M%S", &tm);
    for (unsigned i = 1; i <= ASIDE_MAX; i++) {
        (void)snprintf(name, sizeof name, "%s-%s-%u", next ? "aborted" : "old", stamp, i);
        TRY(os_path(r->ca_dir, name, r->aside, e));
        if (!os_exists(r->aside))
            return OK;
    }
    return err_set(e, E_EXISTS, "\"%s\" already exists; move it away", r->aside);
}

enum code rollover_retire(struct rollover *r, bool next, struct err *e)
{
    char from[OS_PATH_MAX];

    TRY(rollover_step(r, ROLLOVER_STEP_RETIRE, e));
    if (!r->past.own)
        return OK;
    TRY(rollover_beside(r, next ? "next" : "old", from, e));
    if (!os_exists(from))
        return OK;
    TRY(name_aside(r, next, e));
    return move(from, r->aside, e);
}
