/*
 * TLS with clients. One pair serves all, or, with ssl_sni, each line of hosts_file has a pair of its own.
 *
 * Contexts are built once per worker, from the same files read several times, so the certificates they ended
 * with are compared. Every host is tried, so that one look at the log shows all that is wrong.
 * [src: PostgreSQL 19, "SNI Configuration"; be-secure-openssl.c be_tls_init, init_host_context]
 */
#include "gate/load/server_tls.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/env.h"
#include "conf/files.h"
#include "conf/settings.h"
#include "gate/load/cert_check.h"
#include "gate/load/snapshot.h"
#include "gate/load/tls_params.h"
#include "lex/hba_lex.h"
#include "os/command.h"
#include "os/files.h"
#include "pki/key.h"
#include "tls/hosts.h"
#include "tls/self_test.h"
#include "tls/server_context.h"

/* ---- passphrases ---- */

/* A command, and whether it is run at reloads: of ssl_passphrase_command, or of a line. */
struct passphrase_command {
    const char *text; /* "": none */
    bool needed;      /* a key is protected; as PostgreSQL, which runs it for no other */
    bool reloads;
    const char *name; /* of the setting */
    struct str file;
    unsigned line;
};

/* What cannot be read is not protected: loading it says why. */
static bool is_protected(const char *key_file)
{
    struct buf pem = BUF_INIT(OS_FILE_LIMIT);
    struct err e;

    bool found = key_file && key_file[0] && os_check_key_file(key_file, &e) == OK &&
                 os_read_file(key_file, &pem, &e) == OK && key_is_encrypted(buf_str(&pem));
    buf_fini_secret(&pem);
    return found;
}

/* ssl_passphrase_command is for all keys that settings name. */
static bool any_protected(const struct settings *settings)
{
    struct settings_file_use use;
    const char *path;

    for (size_t i = 0; settings_file_use(settings, i, &use, &path); i++)
        if (use.audit == FILE_SERVER_KEY && is_protected(path))
            return true;
    return false;
}

/* [src: PostgreSQL 18, ssl_passphrase_command; run_ssl_passphrase_command] */
static enum tls_passphrase find_passphrase(const struct snapshot_params *p,
                                           const struct passphrase_command *command, struct secret *out,
                                           struct diags *diags)
{
    struct err e;

    if (!command->text[0])
        return p->running ? TLS_PASSPHRASE_REFUSE : TLS_PASSPHRASE_PROMPT;
    if (!command->needed || (p->running && !command->reloads))
        return TLS_PASSPHRASE_REFUSE;
    if (p->confined) {
        struct diag *row = diags_add(
            diags, SEV_ERROR, E_CONFIG, command->file, command->line,
            "parameter \"%s\" cannot be set for reloads without restarting the server", command->name);
        diags_detail(diags, row,
                     "The gate gave up running programs at its start, when no command for reloads was set.");
        diags_hint(diags, row, "Restart the gate, or set %s = off to ask at the next start.",
                   command->line ? "the last field of the line" : "ssl_passphrase_command_supports_reload");
        return TLS_PASSPHRASE_REFUSE;
    }
    if (os_command_line(command->text, "Enter PEM pass phrase:", out, &e) != OK) {
        err_where(&e, command->file, command->line);
        diags_add_err(diags, &e); /* and the key will fail to load */
    }
    return TLS_PASSPHRASE_GIVEN;
}

enum tls_passphrase server_tls_passphrase(const struct snapshot_params *params,
                                          const struct settings *settings, struct diags *diags)
{
    const struct passphrase_command command = {
        .text = settings->ssl_passphrase_command.n > 0 ? settings->ssl_passphrase_command.p : "",
        .needed = any_protected(settings),
        .reloads = settings->ssl_passphrase_command_supports_reload,
        .name = "ssl_passphrase_command",
    };

    return find_passphrase(params, &command, params->passphrase, diags);
}

bool server_tls_runs_programs(const struct server_tls *tls, const struct settings *settings)
{
    for (size_t i = 0; tls->by_name && i < tls->lines.n; i++)
        if (tls->lines.at[i].command.n > 0 && tls->lines.at[i].command_reloads)
            return true;
    return settings->ssl_passphrase_command.n > 0 && settings->ssl_passphrase_command_supports_reload;
}

/* ---- one host ---- */

static enum code build_contexts(const struct server_tls_job *l, const struct tls_server_params *params,
                                struct server_host *host, struct err *e)
{
    const struct snapshot_params *p = l->params;

    host->tls = arena_array(l->arena, p->n_workers, sizeof(struct tls_context *));
    if (!host->tls)
        return err_set(e, E_NOMEM, "out of memory");
    for (unsigned i = 0; i < p->n_workers; i++) {
        TRY(tls_server_context_new(p->libraries[i], params, &host->tls[i], l->diags, e));
        if (i == 0)
            TRY(tls_context_self_test(p->libraries[0], params, host->tls[0], &host->served, e));
        else if (!bytes_equal(tls_context_certificate(host->tls[0]), tls_context_certificate(host->tls[i])))
            return err_set(e, E_CONFIG, "server certificate file \"%s\" changed while it was read",
                           params->cert_file);
    }
    return OK;
}

static enum code load_host(const struct server_tls_job *l, const struct tls_server_params *params,
                           struct server_host *host)
{
    struct err e;

    enum code code = build_contexts(l, params, host, &e);
    if (code != OK) {
        if (host->line && e.file[0] == '\0')
            err_where(&e, host->line->file, host->line->line);
        diags_add_err(l->diags, &e);
        return code;
    }
    if (l->params->n_workers > 0 && tls_context_end_point(host->tls[0]).n == 0)
        diags_add(l->diags, SEV_WARNING, E_CONFIG, str_c(params->cert_file), 0,
                  "the certificate's signature algorithm has no digest: SCRAM channel binding will fail");
    return OK;
}

static enum code load_only_host(const struct server_tls_job *l)
{
    struct tls_server_params params = tls_params_server(l->settings, l->params->passphrase,
                                                        l->params->running != NULL);
    struct server_host *host = ARENA_NEW(l->arena, struct server_host);

    if (!host)
        return E_NOMEM;
    *host = (struct server_host){ .cert_file = params.cert_file,
                                  .key_file = params.key_file,
                                  .ca_file = params.ca_file };
    l->tls->hosts = host;
    l->tls->n = 1;
    params.passphrase_from = server_tls_passphrase(l->params, l->settings, l->diags);
    return load_host(l, &params, host);
}

/* ---- hosts_file ---- */

/* Relative paths start at the gate's directory, as at PostgreSQL's data directory. */
static enum code file_of(const struct server_tls_job *l, struct str text, const char **out)
{
    char written[OS_PATH_MAX], whole[OS_PATH_MAX];
    struct err e;

    *out = "";
    if (text.n == 0)
        return OK;
    if (!str_to_c(text, written, sizeof written) || os_path(l->settings->dir.p, written, whole, &e) != OK) {
        diags_add(l->diags, SEV_ERROR, E_LIMIT, STR(""), 0, "file name \"%.*s\" is too long", STR_ARG(text));
        return E_LIMIT;
    }
    *out = arena_c(l->arena, str_c(whole));
    return *out ? OK : E_NOMEM;
}

static enum code load_line(const struct server_tls_job *l, const struct host_line *line,
                           struct server_host *host)
{
    AUTO(secret) struct secret secret = { 0 };
    struct tls_server_params params = tls_params_server(l->settings, &secret, l->params->running != NULL);

    host->line = line;
    TRY(file_of(l, line->cert, &host->cert_file));
    TRY(file_of(l, line->key, &host->key_file));
    TRY(file_of(l, line->ca, &host->ca_file));
    params.cert_file = host->cert_file;
    params.key_file = host->key_file;
    params.ca_file = host->ca_file;
    const struct passphrase_command command = {
        .text = line->command.n > 0 ? arena_c(l->arena, line->command) : "",
        .needed = is_protected(host->key_file),
        .reloads = line->command_reloads,
        .name = "hosts_file",
        .file = line->file,
        .line = line->line,
    };
    if (!command.text)
        return E_NOMEM;
    params.passphrase_from = find_passphrase(l->params, &command, &secret, l->diags);
    return load_host(l, &params, host);
}

/* What chooses, for one worker. */
static enum code join(const struct server_tls_job *l, unsigned worker)
{
    struct server_tls *tls = l->tls;
    struct tls_hosts *hosts = ARENA_NEW(l->arena, struct tls_hosts);
    size_t n = 0;

    for (size_t i = 0; i < tls->n; i++)
        n += tls->hosts[i].line->n_names;
    if (!hosts)
        return E_NOMEM;
    *hosts = (struct tls_hosts){ .names = arena_array(l->arena, n, sizeof *hosts->names) };
    if (!hosts->names)
        return E_NOMEM;
    for (size_t i = 0; i < tls->n; i++) {
        const struct host_line *line = tls->hosts[i].line;
        struct tls_context *context = tls->hosts[i].tls[worker];
        if (host_line_is(line, HOSTS_ANY))
            hosts->any = context;
        else if (host_line_is(line, HOSTS_NO_SNI))
            hosts->none = context;
        else
            for (size_t k = 0; k < line->n_names; k++)
                hosts->names[hosts->n++] = (struct tls_host){ line->names[k], context };
    }
    tls_hosts_sort(hosts);
    for (size_t i = 0; i < tls->n; i++)
        if (!tls_hosts_apply(hosts, tls->hosts[i].tls[worker]))
            return E_NOMEM;
    return OK;
}

static enum code load_lines(const struct server_tls_job *l)
{
    struct server_tls *tls = l->tls;
    enum code result = OK;

    tls->hosts = arena_array(l->arena, tls->lines.n, sizeof *tls->hosts);
    if (!tls->hosts)
        return E_NOMEM;
    tls->by_name = true;
    for (size_t i = 0; i < tls->lines.n; i++) {
        struct server_host *host = &tls->hosts[tls->n];
        *host = (struct server_host){ .tls = NULL };
        if (tls->lines.at[i].error.p)
            continue;
        tls->n++;
        enum code code = load_line(l, &tls->lines.at[i], host);
        result = result == OK ? code : result;
    }
    if (result == OK && tls->lines.n_bad > 0)
        result = E_CONFIG;
    for (unsigned w = 0; result == OK && w < l->params->n_workers; w++)
        result = join(l, w);
    return result;
}

static enum code keep_paths(const struct server_tls_job *l, const struct hba_lines *lines)
{
    const struct hba_lex_path *path;
    struct str *paths;
    size_t n = 0;

    STAILQ_FOREACH (path, &lines->paths, next)
        n++;
    paths = arena_array(l->arena, n, sizeof *paths);
    if (!paths)
        return E_NOMEM;
    n = 0;
    STAILQ_FOREACH (path, &lines->paths, next)
        paths[n++] = path->path;
    l->tls->paths = paths;
    l->tls->n_paths = n;
    return OK;
}

static enum code copy_paths(const struct server_tls_job *l)
{
    struct str *paths = arena_array(l->arena, l->running->n_paths, sizeof *paths);

    for (size_t i = 0; paths && i < l->running->n_paths; i++)
        if (!arena_str(l->arena, l->running->paths[i], &paths[i]))
            return E_NOMEM;
    l->tls->paths = paths;
    l->tls->n_paths = l->running->n_paths;
    return paths ? OK : E_NOMEM;
}

/* The lines in force stay where only certificates are looked at. A file that is not there counts as empty. */
static enum code read_lines(const struct server_tls_job *l)
{
    const struct hba_lex_params lex = { .diags = l->diags };
    struct hba_lines lines;
    struct err e;

    if (l->params->certificates_only && l->running) {
        TRY(copy_paths(l));
        return hosts_file_copy(&l->running->lines, l->arena, &l->tls->lines);
    }
    if (!l->settings->hosts_file.path)
        return OK;
    enum code code = hosts_file_read(&lex, str_c(l->settings->hosts_file.path), l->arena, &lines,
                                     &l->tls->lines, &e);
    if (code == E_NO_FILE || code == OK)
        return keep_paths(l, &lines);
    diags_add_err(l->diags, &e);
    return code;
}

/* ---- all of it ---- */

static bool is_earlier(const struct server_tls *tls, size_t at)
{
    for (size_t i = 0; i < at; i++)
        if (strcmp(tls->hosts[i].cert_file, tls->hosts[at].cert_file) == 0)
            return true;
    return false;
}

/* What the first name of the host got until now. */
static const struct cert_list *running_of(const struct server_tls *running, const struct server_host *host)
{
    for (size_t i = 0; running && i < running->n; i++) {
        const struct host_line *line = running->hosts[i].line;
        bool same = !line == !host->line;
        for (size_t k = 0; line && host->line && (k == 0 || !same) && k < line->n_names; k++)
            same = str_equal_nocase(line->names[k], host->line->names[0]);
        if (same && running->hosts[i].served.n > 0)
            return &running->hosts[i].served;
    }
    return NULL;
}

/* Sets the CAs and revocation lists in force. */
static void inspect(struct server_tls *tls, const struct server_tls *running, struct inspection *what,
                    struct diags *diags)
{
    const char **ca_files = arena_array(diags->arena, tls->n, sizeof *ca_files);
    size_t n = 0;

    for (size_t i = 0; ca_files && i < tls->n; i++) {
        const struct server_host *host = &tls->hosts[i];
        if (is_earlier(tls, i))
            continue;
        what->cert_file = host->cert_file;
        what->ca_files = &host->ca_file;
        what->n_ca_files = 1;
        what->served = &host->served;
        what->running = running_of(running, host);
        cert_check_server(what, diags);
    }
    for (size_t i = 0; ca_files && i < tls->n; i++) {
        bool known = !tls->hosts[i].ca_file[0];
        for (size_t k = 0; k < n; k++)
            known |= strcmp(ca_files[k], tls->hosts[i].ca_file) == 0;
        if (!known)
            ca_files[n++] = tls->hosts[i].ca_file;
    }
    what->ca_files = ca_files;
    what->n_ca_files = n;
    cert_check_authorities(what, &tls->client_cas, diags);
    cert_check_revocation(what, &tls->crls, diags);
}

void server_tls_inspect(const struct server_tls *tls, const struct settings *settings, const struct env *env,
                        struct diags *diags)
{
    struct inspection what = { .settings = settings, .now_unix_s = env_now_s(env) };
    struct server_tls again = *tls;

    inspect(&again, NULL, &what, diags);
    cert_list_fini(&again.client_cas);
    crl_list_fini(&again.crls);
}

enum code server_tls_load(const struct server_tls_job *job)
{
    struct inspection what = { .settings = job->settings,
                               .running_cas = job->running ? &job->running->client_cas : NULL,
                               .now_unix_s = env_now_s(job->params->env) };

    if (job->settings->ssl_sni)
        TRY(read_lines(job));
    TRY(job->tls->lines.n > 0 ? load_lines(job) : load_only_host(job));
    cert_check_mounts(job->settings, job->diags);
    for (size_t i = 0; job->tls->by_name && i < job->tls->n; i++) {
        cert_check_mount(job->tls->hosts[i].cert_file, job->diags);
        cert_check_mount(job->tls->hosts[i].key_file, job->diags);
        cert_check_mount(job->tls->hosts[i].ca_file, job->diags);
    }
    inspect(job->tls, job->running, &what, job->diags);
    return OK;
}

void server_tls_fini(struct server_tls *tls, unsigned n_workers)
{
    for (size_t i = 0; i < tls->n; i++) {
        for (unsigned w = 0; tls->hosts[i].tls && w < n_workers; w++)
            tls_context_free(tls->hosts[i].tls[w]);
        cert_list_fini(&tls->hosts[i].served);
    }
    cert_list_fini(&tls->client_cas);
    crl_list_fini(&tls->crls);
    *tls = (struct server_tls){ .n = 0 };
}
