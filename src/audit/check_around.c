#include "audit/check_around.h"

#include "audit/edit.h"
#include "audit/finding.h"
#include "base/check.h"
#include "client/conninfo.h"
#include "conf/files.h"
#include "conf/route.h"
#include "conf/settings.h"
#include "os/files.h"
#include "policy/policy.h"

#include <sys/stat.h>

enum { PG_WITH_LOG_WORDS = 18 };

/* ---- upstream servers ---- */

static bool is_on_this_machine(const struct conn_host *host)
{
    struct str address = host->hostaddr.n > 0 ? host->hostaddr : host->host;

    return host->kind == CONN_HOST_UNIX || str_is(address, "localhost") || str_is(address, "::1") ||
           str_starts(address, STR("127."));
}

/* The first host that is another machine; NULL: none. */
static const struct conn_host *far_host(const struct conninfo *info)
{
    for (size_t i = 0; i < info->host_count; i++)
        if (!is_on_this_machine(&info->hosts[i]))
            return &info->hosts[i];
    return NULL;
}

static void check_upstream(struct audit *a, const struct subject_connection *u)
{
    const struct settings_route *route = u->route;
    const struct conn_host *host = far_host(u->info);
    struct str where = u->file.n > 0 ? audit_place(a, u->file, u->line) : STR("upstream");

    if (host) {
        struct str name = host->host.n > 0 ? host->host : host->hostaddr;
        if (u->info->sslmode < SSLMODE_VERIFY_CA)
            audit_add(a, CHECK_UPSTREAM_UNVERIFIED, where,
                      "with sslmode=%s anyone who impersonates \"%.*s\" gets the sessions%s",
                      sslmode_name(u->info->sslmode), STR_ARG(name),
                      u->info->sslmode < SSLMODE_REQUIRE ? ", in cleartext" : "");
        else if (u->info->sslmode == SSLMODE_VERIFY_CA)
            audit_add(a, CHECK_UPSTREAM_NAME_UNVERIFIED, where,
                      "with sslmode=verify-ca the certificate need not be for \"%.*s\"", STR_ARG(name));
        if (settings_logs_in_by(&route->upstream_login, CONF_LOGIN_TRUST))
            audit_add_setting(
                a, CHECK_UPSTREAM_TRUST, "upstream_login",
                "\"%.*s\" may admit the gate as any user without authentication, and anyone else who can "
                "reach it",
                STR_ARG(name));
    }
    if (settings_logs_in_by(&route->upstream_login, CONF_LOGIN_SERVICE))
        audit_add_setting(a, CHECK_UPSTREAM_SERVICE, "upstream_login",
                          "sessions run as \"%.*s\" on the server, whoever the client is",
                          STR_ARG(u->info->user));
}

void check_upstreams(struct audit *a)
{
    for (size_t i = 0; i < a->subject->n_connections; i++)
        if (a->subject->connections[i].purpose == PURPOSE_UPSTREAM)
            check_upstream(a, &a->subject->connections[i]);
}

/* ---- files ---- */

/* In a sticky directory others may add, but replace nothing. */
static void check_writable(struct audit *a, const char *path)
{
    struct stat st;

    if (path && stat(path, &st) == 0 && (st.st_mode & S_IWOTH) &&
        !(S_ISDIR(st.st_mode) && (st.st_mode & S_ISVTX)))
        audit_add(a, CHECK_FILES_WRITABLE, str_c(path), "its mode is %04o", (unsigned)(st.st_mode & 07777));
}

/* A gate judges its own key; a server's belongs to the server's account, or to root. */
static void check_key(struct audit *a, const char *path)
{
    struct stat st;
    struct err e;

    if (a->subject->kind == SUBJECT_GATE) {
        if (os_check_key_file(path, &e) != OK)
            audit_add(a, CHECK_KEY_PERMISSIONS, str_c(path), "%s", err_text(&e));
        return;
    }
    if (subject_is_unseen(a->subject, path) || stat(path, &st) != 0)
        return;
    unsigned mode = st.st_mode & 07777;
    bool foreign = a->subject->owner_seen && st.st_uid != a->subject->owner && st.st_uid != 0;
    if (foreign)
        audit_add(a, CHECK_KEY_PERMISSIONS, str_c(path),
                  "private key file \"%s\" must be owned by the database user or root, not by user %u", path,
                  (unsigned)st.st_uid);
    else if (mode & (st.st_uid == 0 && (!a->subject->owner_seen || a->subject->owner != 0) ? 037 : 077))
        audit_add(a, CHECK_KEY_PERMISSIONS, str_c(path),
                  "private key file \"%s\" has group or world access: its mode is %04o", path, mode);
}

static void check_keys(struct audit *a)
{
    const struct settings *settings = a->subject->settings;
    struct settings_file_use use;
    const char *path;
    struct err e;

    for (size_t i = 0; settings_file_use(settings, i, &use, &path); i++) {
        if (!path || !settings_reads(settings, use.reader))
            continue;
        if (use.audit == FILE_SERVER_KEY)
            check_key(a, path);
        else if (use.audit == FILE_CLIENT_KEY && os_check_client_key_file(path, &e) != OK)
            audit_add(a, CHECK_KEY_PERMISSIONS, str_c(path), "%s", err_text(&e));
    }
}

/* Each file once, whoever names it. */
static void check_mounted(struct audit *a, enum check check, const char *path, const char *what)
{
    if (!path || !path[0] || !os_is_mounted_alone(path))
        return;
    for (size_t i = 0; i < a->n; i++)
        if (a->items[i].check == check && str_is(a->items[i].where, path))
            return;
    audit_add(a, check, str_c(path), "%s is the root of a mount", what);
}

static void check_mounted_pairs(struct audit *a)
{
    static const enum conn_option named[] = { CONN_SSLCERT, CONN_SSLKEY, CONN_SSLROOTCERT, CONN_SSLCRL };
    struct settings_file_use use;
    const char *path;

    for (size_t i = 0; settings_file_use(a->subject->settings, i, &use, &path); i++)
        if (settings_reads(a->subject->settings, use.reader))
            check_mounted(a, CHECK_CERTIFICATE_MOUNTED_ALONE, path, use.setting);
    for (size_t i = 0; a->subject->settings->ssl && i < a->subject->n_hosts; i++) {
        const struct subject_host *host = &a->subject->hosts[i];
        check_mounted(a, CHECK_CERTIFICATE_MOUNTED_ALONE, host->cert, "a certificate of hosts_file");
        check_mounted(a, CHECK_CERTIFICATE_MOUNTED_ALONE, host->key, "a key of hosts_file");
        check_mounted(a, CHECK_CERTIFICATE_MOUNTED_ALONE, host->ca, "a CA of hosts_file");
    }
    for (size_t i = 0; i < a->subject->n_connections; i++) {
        const struct subject_connection *c = &a->subject->connections[i];
        for (size_t k = 0; c->purpose == PURPOSE_UPSTREAM && c->info && k < COUNT_OF(named); k++)
            check_mounted(a, CHECK_CERTIFICATE_MOUNTED_ALONE,
                          audit_connection_file(a, c, c->info->options.v[named[k]]),
                          "a file of an upstream connection");
    }
}

/* A change arrives elsewhere, and a reload says that it is in force. */
static void check_mounted_configuration(struct audit *a)
{
    const struct audit_subject *s = a->subject;
    const struct policy_path *paths;
    size_t n;

    for (size_t i = 0; s->kind == SUBJECT_GATE && i < s->settings->files.n; i++)
        check_mounted(a, CHECK_CONFIGURATION_MOUNTED_ALONE, s->settings->files.at[i].p, "a file of settings");
    for (size_t i = 0; i < s->n_files; i++)
        check_mounted(a, CHECK_CONFIGURATION_MOUNTED_ALONE, s->files[i].p, "a file of settings");
    paths = s->policy ? policy_paths(s->policy, &n) : NULL;
    for (size_t i = 0; paths && i < n; i++)
        check_mounted(a, CHECK_CONFIGURATION_MOUNTED_ALONE, paths[i].path.p, "a file of rules or maps");
    for (size_t i = 0; i < s->n_hosts; i++)
        check_mounted(a, CHECK_CONFIGURATION_MOUNTED_ALONE, arena_c(a->arena, s->hosts[i].file),
                      "hosts_file");
    check_mounted(a, CHECK_CONFIGURATION_MOUNTED_ALONE, s->settings->auth_file.path, "auth_file");
}

void check_files(struct audit *a)
{
    const struct settings *settings = a->subject->settings;
    const struct policy_path *paths;
    struct settings_file_use use;
    const char *path;
    struct err e;
    size_t n;

    check_keys(a);
    for (size_t i = 0; settings->ssl && i < a->subject->n_hosts; i++)
        if (a->subject->hosts[i].key)
            check_key(a, a->subject->hosts[i].key);
    if (settings->auth_file.path && os_check_secret_file(settings->auth_file.path, "auth file", &e) != OK)
        audit_add(a, CHECK_AUTH_FILE_PERMISSIONS, str_c(settings->auth_file.path), "%s", err_text(&e));
    for (size_t i = 0; a->subject->kind == SUBJECT_GATE && i < settings->files.n; i++)
        check_writable(a, settings->files.at[i].p);
    for (size_t i = 0; i < a->subject->n_files; i++)
        check_writable(a, a->subject->files[i].p);
    if (a->subject->policy && !a->subject->live &&
        !a->subject->manifest) { /* what a live server names lies on its machine */
        paths = policy_paths(a->subject->policy, &n);
        for (size_t i = 0; i < n; i++)
            check_writable(a, paths[i].path.p);
    }
    for (size_t i = 0; settings_file_listed(settings, i, &use, &path); i++)
        if (use.audit == FILE_AUDITED && settings_reads(settings, use.reader))
            check_writable(a, path);
    if (!a->subject->live && !a->subject->manifest) { /* theirs lie elsewhere */
        check_mounted_pairs(a);
        check_mounted_configuration(a);
    }
}

/* ---- operation ---- */

/* The list of words is new in PostgreSQL 18. */
static void check_log(struct audit *a)
{
    const struct audit_subject *s = a->subject;
    bool old = s->kind == SUBJECT_SERVER && s->version > 0 && s->version < PG_WITH_LOG_WORDS;

    if (s->settings->log_connections != 0)
        return;
    struct finding *f = audit_add_setting(a, CHECK_LOG_CONNECTIONS_OFF, "log_connections",
                                          "connections that succeed are not logged");
    edit_setting(a, f, "log_connections", old ? "on" : "'authorization'");
    if (f && old)
        f->fix = STR("Set log_connections = on.");
}

void check_operation(struct audit *a)
{
    const struct settings *settings = a->subject->settings;

    if (!a->subject->settings_seen)
        return;
    check_log(a);
    if (a->subject->kind != SUBJECT_GATE)
        return;
    if (settings->ssl && settings->reload_on_change == CONF_RELOAD_OFF)
        audit_add_setting(a, CHECK_RELOAD_OFF, "reload_on_change",
                          "a renewed certificate is not loaded automatically");
    if (settings->http_listen.n == 0 || str_is(settings->http_listen, "off"))
        audit_add_setting(a, CHECK_HTTP_OFF, "http_listen", "/metrics is not served");
}
