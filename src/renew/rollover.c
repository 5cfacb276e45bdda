/* The state of a rollover, read from disk. */
#include "renew/rollover.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "client/conninfo.h"
#include "client/conninfo_defaults.h"
#include "conf/hosts_file.h"
#include "conf/settings.h"
#include "lex/hba_lex.h"
#include "os/journal.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { FILES_MAX = 512, PAIRS_MAX = 512 };

static enum code rollover_nomem(struct err *e)
{
    return err_set(e, E_NOMEM, "out of memory");
}

void rollover_close(struct rollover *r)
{
    cert_list_fini(&r->old);
    cert_list_fini(&r->next);
    os_lock_release(&r->lock);
    renew_target_fini(&r->target);
}

void rollover_auto(struct rollover *r)
{
    rollover_close(r);
}

/* ---- paths ---- */

enum code rollover_beside(const struct rollover *r, const char *ending, char out[OS_PATH_MAX], struct err *e)
{
    char path[OS_PATH_MAX];

    if (snprintf(path, sizeof path, "%s.%s", r->ca_dir, ending) >= (int)sizeof path)
        return err_set(e, E_LIMIT, "path name is too long: \"%s\"", r->ca_dir);
    return os_path("", path, out, e);
}

enum code rollover_pair_paths(const struct rollover *r, char cert[OS_PATH_MAX], char key[OS_PATH_MAX],
                              struct err *e)
{
    char dir[OS_PATH_MAX];

    TRY(os_dir_of(r->target.server_cert, dir, e));
    TRY(os_path(dir, "rollover.crt", cert, e));
    return os_path(dir, "rollover.key", key, e);
}

static bool holds_ca(const char *dir, const struct cert_list *roots)
{
    AUTO(cert_list) struct cert_list found = { .n = 0 };
    char path[OS_PATH_MAX];
    struct err ignored;

    if (os_path(dir, "ca.crt", path, &ignored) != OK || cert_chain_load(path, &found, &ignored) != OK)
        return false;
    for (size_t i = 0; i < roots->n; i++)
        if (cert_same_key(found.items[0], roots->items[i]))
            return true;
    return false;
}

bool rollover_find_ca(const struct rollover *r, bool next, char out[OS_PATH_MAX])
{
    static const char *const endings[] = { NULL, "next", "old" };
    const struct cert_list *roots = next ? &r->next : &r->old;
    struct err ignored;

    for (size_t i = 0; r->past.own && i < COUNT_OF(endings); i++) {
        enum code code = endings[i] ? rollover_beside(r, endings[i], out, &ignored)
                                    : os_path("", r->ca_dir, out, &ignored);
        if (code == OK && holds_ca(out, roots))
            return true;
    }
    return false;
}

/* ---- who has issued what ---- */

static bool is_issued_by(const struct cert_list *chain, const struct cert_list *roots)
{
    for (size_t i = 0; i < chain->n; i++)
        for (size_t j = 0; j < roots->n; j++)
            if (cert_issued_by(chain->items[i], roots->items[j]))
                return true;
    return false;
}

enum rollover_issuer rollover_issuer_of(const struct rollover *r, const struct cert_list *chain)
{
    return is_issued_by(chain, &r->next)  ? ROLLOVER_ISSUER_NEXT
           : is_issued_by(chain, &r->old) ? ROLLOVER_ISSUER_OLD
                                          : ROLLOVER_ISSUER_OTHER;
}

static enum code add_pair(struct rollover *r, const struct rollover_pair *like, struct err *e)
{
    AUTO(cert_list) struct cert_list chain = { .n = 0 };
    struct rollover_pair pair = *like;
    int64_t from;
    struct err ignored;

    for (size_t i = 0; i < r->n_pairs; i++)
        if (str_equal(r->pairs[i].cert, like->cert))
            return OK;
    if (r->n_pairs == PAIRS_MAX)
        return err_set(e, E_LIMIT, "there are more than %d pairs", PAIRS_MAX);
    if (cert_chain_load(like->cert.p, &chain, &ignored) != OK)
        return OK;
    pair.issuer = rollover_issuer_of(r, &chain);
    if (cert_times(chain.items[0], &from, &pair.not_after_unix_s, &ignored) != OK)
        pair.not_after_unix_s = 0;
    pair.rule = renew_conf_find(&r->conf, pair.name);
    r->pairs[r->n_pairs++] = pair;
    return OK;
}

static enum code add_own_pair(struct rollover *r, struct str name, const char *cert, const char *key,
                              struct err *e)
{
    struct rollover_pair pair = { .name = name };

    if (!arena_str(r->arena, str_c(cert), &pair.cert) || !arena_str(r->arena, str_c(key), &pair.key))
        return rollover_nomem(e);
    return add_pair(r, &pair, e);
}

static enum code add_ruled_pairs(struct rollover *r, struct err *e)
{
    char cert[OS_PATH_MAX], key[OS_PATH_MAX];

    for (size_t i = 0; i < r->conf.n; i++) {
        const struct renew_rule *rule = &r->conf.rules[i];
        if (rule->v[RENEW_SET_CERT_FILE].n == 0 || rule->v[RENEW_SET_KEY_FILE].n == 0)
            continue;
        TRY(os_path(r->target.dir, rule->v[RENEW_SET_CERT_FILE].p, cert, e));
        TRY(os_path(r->target.dir, rule->v[RENEW_SET_KEY_FILE].p, key, e));
        TRY(add_own_pair(r, rule->name, cert, key, e));
    }
    return OK;
}

static enum code add_named_pair(struct rollover *r, const char *name, struct str cert_setting,
                                struct str key_setting, struct err *e)
{
    const struct setting_row *cert = settings_find(r->target.settings, cert_setting);
    const struct setting_row *key = settings_find(r->target.settings, key_setting);
    char cert_path[OS_PATH_MAX], key_path[OS_PATH_MAX];

    if (!cert || !key || cert->show.n == 0 || key->show.n == 0)
        return OK;
    const char *cert_text = arena_c(r->arena, cert->show), *key_text = arena_c(r->arena, key->show);
    if (!cert_text || !key_text)
        return rollover_nomem(e);
    TRY(os_path(r->target.dir, cert_text, cert_path, e));
    TRY(os_path(r->target.dir, key_text, key_path, e));
    return add_own_pair(r, str_c(name), cert_path, key_path, e);
}

/* What is shown to those who are tried out may have been left over from another rollover. */
static enum code look_at_probe(struct rollover *r, struct err *e)
{
    const struct setting_row *row = settings_find(r->target.settings, STR("rollover_cert_file"));
    AUTO(cert_list) struct cert_list chain = { .n = 0 };
    char path[OS_PATH_MAX];
    struct err ignored;

    r->foreign_probe = false;
    r->no_probe = !row || row->show.n == 0;
    if (r->no_probe)
        return OK;
    const char *text = arena_c(r->arena, row->show);
    if (!text)
        return rollover_nomem(e);
    TRY(os_path(r->target.dir, text, path, e));
    r->foreign_probe = cert_chain_load(path, &chain, &ignored) == OK &&
                       rollover_issuer_of(r, &chain) != ROLLOVER_ISSUER_NEXT;
    return OK;
}

/* ---- the files of roots and lists ---- */

static enum code add_file(struct rollover *r, const char *path, struct str setting, bool lists, struct err *e)
{
    AUTO(buf) struct buf text = BUF_INIT(OS_FILE_LIMIT);
    struct rollover_file file = { .setting = setting, .lists = lists };
    struct err ignored;

    if (!path || !path[0] || os_real_path(path, "read", file.real, &ignored) != OK)
        return OK;
    for (size_t i = 0; i < r->n_files; i++)
        if (strcmp(r->files[i].real, file.real) == 0 && r->files[i].lists == lists)
            return OK;
    if (os_read_file(file.real, &text, &ignored) != OK)
        return OK;
    file.holds = lists ? rollover_text_lists(buf_str(&text), &r->old, &r->next)
                       : rollover_text_roots(buf_str(&text), &r->old, &r->next);
    if (!file.holds.old && !file.holds.next)
        return OK;
    if (r->n_files == FILES_MAX)
        return err_set(e, E_LIMIT, "there are more than %d files of certificates", FILES_MAX);
    if (!arena_str(r->arena, str_c(path), &file.path))
        return rollover_nomem(e);
    r->files[r->n_files++] = file;
    return OK;
}

/* A path of a connection string begins at the gate's directory. */
static enum code absolute(struct rollover *r, struct str path, struct str *out, struct err *e)
{
    const char *written = arena_c(r->arena, path);
    char full[OS_PATH_MAX];

    if (!written)
        return rollover_nomem(e);
    TRY(os_path(r->target.dir, written, full, e));
    return arena_str(r->arena, str_c(full), out) ? OK : rollover_nomem(e);
}

static enum code add_option(struct rollover *r, struct str path, struct str setting, bool lists,
                            struct err *e)
{
    struct str full;

    if (path.n == 0)
        return OK;
    TRY(absolute(r, path, &full, e));
    return add_file(r, full.p, setting, lists, e);
}

static enum code add_conninfo(struct rollover *r, const struct settings_route *route, struct str setting,
                              struct err *e)
{
    const struct conn_world world = conn_world_files();
    struct rollover_pair pair = { .client = true };
    struct str roots, lists;
    struct conninfo info;
    struct err ignored;

    if (conninfo_parse(route->upstream, &world, CONN_GATE, r->arena, &info, &ignored) != OK ||
        info.sslmode == SSLMODE_DISABLE)
        return OK;
    if (!arena_printf(r->arena, &roots, "%.*s: sslrootcert", STR_ARG(setting)) ||
        !arena_printf(r->arena, &lists, "%.*s: sslcrl", STR_ARG(setting)))
        return rollover_nomem(e);
    TRY(add_option(r, info.options.v[CONN_SSLROOTCERT], roots, false, e));
    TRY(add_option(r, info.options.v[CONN_SSLCRL], lists, true, e));
    if (info.options.v[CONN_SSLCERT].n == 0 || info.options.v[CONN_SSLKEY].n == 0)
        return OK;
    pair.name = STR("upstream"); /* names a directory, so a database's own name will not do */
    if (route->index > 0 && !arena_printf(r->arena, &pair.name, "upstream-%u", route->index))
        return rollover_nomem(e);
    TRY(absolute(r, info.options.v[CONN_SSLCERT], &pair.cert, e));
    TRY(absolute(r, info.options.v[CONN_SSLKEY], &pair.key, e));
    return add_pair(r, &pair, e);
}

static enum code add_upstreams(struct rollover *r, struct err *e)
{
    const struct settings *s = r->target.settings;

    for (size_t i = 0; i < s->n_routes; i++) {
        struct str setting = STR("upstream");
        if (s->routes[i].upstream.n == 0 || (i > 0 && !s->routes[i].owns_upstream))
            continue;
        if (i > 0 && !arena_printf(r->arena, &setting, "upstream.%.*s", STR_ARG(s->routes[i].label)))
            return rollover_nomem(e);
        TRY(add_conninfo(r, &s->routes[i], setting, e));
    }
    return OK;
}

/* Certificates by host name, under the names that `pgseal rotate` has for them. */
static enum code add_hosts(struct rollover *r, struct err *e)
{
    for (size_t i = 0; i < r->target.hosts.n; i++) {
        const struct renew_host *host = &r->target.hosts.at[i];
        TRY(add_own_pair(r, host->pair, host->cert, host->key, e));
    }
    return OK;
}

/* The client CAs that belong to host names. */
static enum code add_host_roots(struct rollover *r, struct err *e)
{
    const struct settings *s = r->target.settings;
    const struct hba_lex_params lex = { .diags = NULL };
    struct hba_lines lines;
    struct host_lines hosts;
    struct str ca;
    struct err ignored;

    if (!s->ssl_sni || !s->hosts_file.path ||
        hosts_file_read(&lex, str_c(s->hosts_file.path), r->arena, &lines, &hosts, &ignored) != OK)
        return OK;
    for (size_t i = 0; i < hosts.n; i++) {
        if (hosts.at[i].error.p || !hosts.at[i].ca.p)
            continue;
        TRY(absolute(r, hosts.at[i].ca, &ca, e));
        TRY(add_file(r, ca.p, STR("hosts_file"), false, e));
    }
    return OK;
}

static enum code find_files(struct rollover *r, struct err *e)
{
    const struct settings *s = r->target.settings;
    char published[OS_PATH_MAX], list[OS_PATH_MAX];

    TRY(os_path(r->target.dir, "tls/ca.crt", published, e));
    TRY(os_path(r->target.dir, "tls/ca.crl", list, e));
    TRY(add_file(r, s->ssl_ca_file.path, STR("ssl_ca_file"), false, e));
    TRY(add_host_roots(r, e));
    r->client_side = r->n_files > 0;
    TRY(add_file(r, s->ssl_chain_root_file.path, STR("ssl_chain_root_file"), false, e));
    TRY(add_file(r, published, STR("clients' root certificate"), false, e));
    TRY(add_file(r, s->ssl_crl_file.path, STR("ssl_crl_file"), true, e));
    TRY(add_file(r, list, STR("revocation list"), true, e));
    return add_upstreams(r, e);
}

enum code rollover_look(struct rollover *r, struct err *e)
{
    r->n_files = r->n_pairs = 0;
    r->server_side = r->client_side = false;
    if (r->target.has_server)
        TRY(add_own_pair(r, STR("server"), r->target.server_cert, r->target.server_key, e));
    if (r->target.has_http)
        TRY(add_own_pair(r, STR("http"), r->target.http_cert, r->target.http_key, e));
    TRY(add_ruled_pairs(r, e));
    TRY(add_hosts(r, e));
    TRY(add_named_pair(r, "canary", STR("canary_cert_file"), STR("canary_key_file"), e));
    TRY(look_at_probe(r, e));
    TRY(find_files(r, e));
    for (size_t i = 0; i < r->n_pairs; i++)
        r->server_side = r->server_side ||
                         (!r->pairs[i].client && r->pairs[i].issuer != ROLLOVER_ISSUER_OTHER);
    return OK;
}

/* ---- opening ---- */

static enum code read_past(struct rollover *r, struct err *e)
{
    AUTO(buf) struct buf text = BUF_INIT(OS_JOURNAL_LIMIT);

    TRY(os_path(r->dir, "journal", r->journal, e));
    TRY(os_journal_load(r->journal, &text, e));
    return rollover_past_read(buf_str(&text), r->arena, &r->past, e);
}

static enum code load_roots(const struct rollover *r, const char *name, struct cert_list *out, struct err *e)
{
    char path[OS_PATH_MAX];

    TRY(os_path(r->dir, name, path, e));
    return os_exists(path) ? cert_chain_load(path, out, e) : OK;
}

static enum code take_lock(struct rollover *r, bool look, struct err *e)
{
    char path[OS_PATH_MAX];

    TRY(os_path(r->dir, "lock", path, e));
    if (look) {
        r->busy = os_lock_held(path);
        return OK;
    }
    TRY(os_mkdir(r->dir, 0700, e));
    enum code code = os_lock_take(path, getpid(), &r->lock, e);
    if (code == E_EXISTS)
        (void)err_set(e, E_EXISTS, "another pgseal ca rollover is running for \"%s\"", r->target.dir);
    return code;
}

static enum code load_conf(struct rollover *r, struct err *e)
{
    struct diags diags;

    diags_init(&diags, r->arena);
    enum code code = renew_conf_load(NULL, r->target.conf, r->arena, &r->conf, &diags);
    if (code == OK || code == E_NO_FILE)
        return OK;
    if (!diags_first_error(&diags))
        return err_set(e, code, "file \"%s\" could not be read", r->target.conf);
    return diags_to_err(&diags, code, "", e);
}

static enum code find_ca_dir(struct rollover *r, const char *named, struct err *e)
{
    char given[OS_PATH_MAX];

    if (!named)
        return r->past.ca_dir.n > 0 && rollover_open_phase(r->past.phase)
                   ? os_path("", r->past.ca_dir.p, r->ca_dir, e)
                   : os_path("", r->target.ca_dir, r->ca_dir, e);
    TRY(os_real_path(named, "resolve", given, e));
    if (rollover_open_phase(r->past.phase) && !str_is(r->past.ca_dir, given))
        return err_set(e, E_PARAM, "the rollover under way is that of the CA in \"%.*s\"",
                       STR_ARG(r->past.ca_dir));
    return os_path("", given, r->ca_dir, e);
}

enum code rollover_open(const struct rollover_params *params, struct rollover *out, struct err *e)
{
    const struct renew_where where = { .dir = params->dir, .look = params->look };
    struct rollover *r = out;

    *r = (struct rollover){
        .hooks = params->hooks, .env = params->env, .arena = params->arena, .lock = OS_LOCK_INIT
    };
    TRY(renew_target_open(&where, r->arena, &r->target, e));
    if (!r->target.is_gate)
        return err_set(e, E_NO_FILE, "\"%s\" is not a gate's directory", params->dir);
    r->apart = params->ca_dir != NULL;
    r->files = arena_array(r->arena, FILES_MAX, sizeof *r->files);
    r->pairs = arena_array(r->arena, PAIRS_MAX, sizeof *r->pairs);
    if (!r->files || !r->pairs)
        return rollover_nomem(e);
    TRY(load_conf(r, e));
    TRY(os_path(r->target.dir, "rollover", r->dir, e));
    TRY(take_lock(r, params->look, e));
    TRY(read_past(r, e));
    TRY(find_ca_dir(r, params->ca_dir, e));
    if (!rollover_open_phase(r->past.phase))
        return OK;
    TRY(load_roots(r, "old.crt", &r->old, e));
    TRY(load_roots(r, "new.crt", &r->next, e));
    return rollover_look(r, e);
}
