/* Who else than clients is not ready. */
#include "renew/rollover_obstacles.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/env.h"
#include "conf/settings.h"
#include "pki/crl.h"
#include "pki/trust.h"
#include "renew/rollover_steps.h"
#include "renew/servers.h"

enum { OBSTACLES_MAX = 256 };

static enum code obstacles_nomem(struct err *e)
{
    return err_set(e, E_NOMEM, "out of memory");
}

static PRINTF_LIKE(4, 5) enum code
    add(struct rollover *r, struct rollover_obstacles *all, struct err *e, const char *fmt, ...)
{
    va_list args;

    if (all->n == OBSTACLES_MAX)
        return OK;
    va_start(args, fmt);
    bool ok = arena_vprintf(r->arena, &all->items[all->n], fmt, args);
    va_end(args);
    all->n += ok;
    return ok ? OK : obstacles_nomem(e);
}

/* ---- certificates ---- */

static enum code look_at_pair(struct rollover *r, const struct rollover_pair *pair,
                              struct rollover_obstacles *all, struct err *e)
{
    struct str how;

    if (pair->issuer != ROLLOVER_ISSUER_OLD)
        return OK;
    if (!rollover_is_to_bring(r, pair))
        return add(
            r, all, e,
            "the certificate \"%.*s\" was issued by the old CA: pgseal rotate -D %s --pair %.*s --force",
            STR_ARG(pair->cert), r->target.dir, STR_ARG(pair->name));
    TRY(rollover_how_to_bring(r, pair, &how, e));
    return add(r, all, e, "the certificate \"%.*s\" was issued by the old CA: %.*s", STR_ARG(pair->cert),
               STR_ARG(how));
}

static enum code look_at_pairs(struct rollover *r, struct rollover_obstacles *all, struct err *e)
{
    for (size_t i = 0; i < r->n_pairs; i++)
        TRY(look_at_pair(r, &r->pairs[i], all, e));
    return OK;
}

static enum code look_at_roots(struct rollover *r, struct rollover_obstacles *all, struct err *e)
{
    for (size_t i = 0; i < r->n_files; i++)
        if (!r->files[i].lists && r->files[i].holds.missing)
            TRY(add(r, all, e, "file \"%.*s\" (%.*s) does not contain the new root",
                    STR_ARG(r->files[i].path), STR_ARG(r->files[i].setting)));
    return OK;
}

/* ---- revocation lists ---- */

static bool is_current(X509_CRL *crl, int64_t now_s, struct arena *arena)
{
    struct crl_info info;
    struct err ignored;

    return crl_describe(crl, arena, &info, &ignored) == OK && info.last_update_unix_s <= now_s &&
           now_s < info.next_update_unix_s;
}

/* Of each new root one that is valid now: without it, its certificates are refused. */
static enum code look_at_list(struct rollover *r, const struct crl_list *crls, const char *where,
                              struct rollover_obstacles *all, struct err *e)
{
    int64_t now = env_now_s(r->env);

    for (size_t i = 0; i < r->next.n; i++) {
        bool there = false, current = false;
        for (size_t j = 0; j < crls->n; j++) {
            if (!crl_signed_by(crls->items[j], r->next.items[i]))
                continue;
            there = true;
            current = current || is_current(crls->items[j], now, r->arena);
        }
        if (!current)
            TRY(add(r, all, e, "\"%s\" has no revocation list of the new CA%s: %s%s", where,
                    there ? " that is valid now" : "",
                    r->past.own ? "pgseal ca crl -D " : "append it, and run: pgseal reload -D ",
                    r->target.dir));
    }
    return OK;
}

static enum code look_at_lists(struct rollover *r, struct rollover_obstacles *all, struct err *e)
{
    const char *dir = r->target.settings->ssl_crl_dir.path;

    for (size_t i = 0; i < r->n_files; i++) {
        AUTO(trust) struct trust found = { .certs = { .n = 0 } };
        struct err ignored;
        if (!r->files[i].lists || trust_load(r->files[i].real, &found, &ignored) != OK)
            continue;
        TRY(look_at_list(r, &found.crls, r->files[i].path.p, all, e));
    }
    if (dir && r->client_side) {
        AUTO(crl_list) struct crl_list crls = { .n = 0 };
        for (size_t i = 0; i < r->next.n; i++)
            TRY(trust_add_dir(dir, r->next.items[i], &crls, e));
        TRY(look_at_list(r, &crls, dir, all, e));
    }
    return OK;
}

/* ---- the servers behind the gate ---- */

static enum code ask_servers(struct rollover *r, const struct rollover_file *file, const char *without_old,
                             struct rollover_obstacles *all, struct err *e)
{
    const struct renew_rule rule = renew_rule_default(STR("upstream"), RENEW_BUNDLE);
    struct renew_servers servers;
    struct err first;

    TRY(renew_servers_find(&r->target, &rule, file->real, r->arena, &servers, e));
    if (servers.n == 0 || renew_servers_ask(&servers, &r->target, without_old, false, r->env, &first) == OK)
        return OK;
    for (size_t i = 0; i < servers.n; i++)
        if (servers.items[i].result != OK)
            TRY(add(r, all, e, "%.*s (%.*s) cannot be verified without the old root: %s",
                    STR_ARG(servers.items[i].label), STR_ARG(servers.items[i].setting),
                    err_text(&servers.items[i].why)));
    return OK;
}

static enum code look_at_servers(struct rollover *r, struct rollover_obstacles *all, struct err *e)
{
    char path[OS_PATH_MAX];

    TRY(os_path(r->dir, "after.crt", path, e));
    for (size_t i = 0; i < r->n_files; i++) {
        AUTO(buf) struct buf text = BUF_INIT(OS_FILE_LIMIT), rest = BUF_INIT(OS_FILE_LIMIT);
        if (r->files[i].lists || r->files[i].holds.missing)
            continue;
        TRY(os_read_file(r->files[i].real, &text, e));
        TRY(rollover_text_drop_roots(buf_str(&text), &r->old, &rest, e));
        TRY(os_write_file(path, buf_bytes(&rest), 0600, OS_WRITE_REPLACE, e));
        TRY(ask_servers(r, &r->files[i], path, all, e));
    }
    return OK;
}

enum code rollover_obstacles_find(struct rollover *r, struct rollover_obstacles *out, struct err *e)
{
    struct rollover_obstacles all = { .items = arena_array(r->arena, OBSTACLES_MAX, sizeof *all.items) };

    if (!all.items)
        return obstacles_nomem(e);
    TRY(look_at_pairs(r, &all, e));
    TRY(look_at_roots(r, &all, e));
    TRY(look_at_lists(r, &all, e));
    TRY(look_at_servers(r, &all, e));
    *out = all;
    return OK;
}
