/* The operator's own statements to a running server. [src: PostgreSQL 18, "System Views", "Server Signaling Functions"] */
#include "harden/server.h"

#include "audit/collect_live.h"
#include "audit/collect_rules.h"
#include "audit/live.h"
#include "audit/subject_live.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "os/files.h"

#include <errno.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LOG_MAX ((size_t)256 << 20)
enum { RELOAD_MS = 10000, AWAIT_MS = 2000, PAUSE_MS = 50, PG_WITH_HBA_FILES = 16 };

static enum code server_nomem(struct err *e)
{
    return err_set(e, E_NOMEM, "out of memory");
}

/* ---- who is there ---- */

static const char sessions_sql[] =
    "SELECT a.usename, a.application_name, pg_catalog.host(a.client_addr), a.datname,"
    " coalesce(s.ssl, false), s.version, s.client_dn IS NOT NULL, a.backend_type = 'walsender'"
    " FROM pg_catalog.pg_stat_activity a LEFT JOIN pg_catalog.pg_stat_ssl s USING (pid)"
    " WHERE a.backend_type IN ('client backend', 'walsender') AND a.pid <> pg_catalog.pg_backend_pid()";

static void add_sessions(const struct live_rows *rows, struct known_clients *known)
{
    for (size_t i = 0; i < rows->n; i++) {
        struct str database = live_cell(rows, i, 3);
        bool walsender = live_true(rows, i, 7);
        struct known_client client = { .user = live_cell(rows, i, 0),
                                       .application = live_cell(rows, i, 1),
                                       .address = live_cell(rows, i, 2),
                                       .tls = live_true(rows, i, 4),
                                       .tls_version = live_cell(rows, i, 5),
                                       .cert = live_true(rows, i, 6) ? KNOWN_CERT_PRESENTED : KNOWN_CERT_NONE,
                                       .replication = walsender && database.n == 0,
                                       .source = STR("pg_stat_activity"),
                                       .times = 1 };
        if (database.n > 0)
            client.database = database;
        known_add(known, &client);
    }
}

/* Where the postmaster's stderr goes, as Debian's scripts have it. False: to no file. */
static bool stderr_of(pid_t pid, char out[OS_PATH_MAX])
{
    char link[64];
    struct stat st;

    (void)snprintf(link, sizeof link, "/proc/%ld/fd/2", (long)pid);
    ssize_t n = pid > 0 ? readlink(link, out, OS_PATH_MAX - 1) : -1;
    if (n <= 0)
        return false;
    out[n] = '\0';
    return out[0] == '/' && stat(out, &st) == 0 && S_ISREG(st.st_mode);
}

/* The log, if it is a file that may be read: the collector's, or the postmaster's stderr. */
static enum code read_log(struct live *live, const struct harden_server *server, struct harden_seen *out,
                          struct err *e)
{
    static const char sql[] =
        "SELECT CASE WHEN f LIKE '/%' THEN f ELSE pg_catalog.current_setting('data_directory') || '/' || f END"
        " FROM pg_catalog.pg_current_logfile() f";
    AUTO(buf) struct buf text = BUF_INIT(LOG_MAX);
    char path[OS_PATH_MAX];
    struct live_rows rows;
    struct err ignored;

    enum code code = live_ask(live, "the log's name", sql, &rows, &ignored);
    if (code == E_CLOSED || code == E_NOMEM) {
        *e = ignored;
        return code;
    }
    if (code != OK || !str_to_c(live_cell(&rows, 0, 0), path, sizeof path))
        path[0] = '\0';
    if ((!path[0] && !stderr_of(server->pid, path)) || os_read_file(path, &text, NULL) != OK)
        return OK;
    if (!arena_str(server->arena, str_c(path), &out->log))
        return server_nomem(e);
    known_add_log(&out->known, buf_str(&text), out->log);
    return out->known.nomem ? server_nomem(e) : OK;
}

/* ---- how it sees its files ---- */

static const char settings_errors_sql[] =
    "SELECT sourcefile || ':' || sourceline, coalesce(name || ': ', '') || error FROM pg_catalog.pg_file_settings"
    " WHERE error IS NOT NULL";
static const char hba_errors_sql[] =
    "SELECT pg_catalog.current_setting('hba_file') || ':' || line_number, error FROM pg_catalog.pg_hba_file_rules"
    " WHERE error IS NOT NULL";
static const char hba_errors_16_sql[] = "SELECT file_name || ':' || line_number, error"
                                        " FROM pg_catalog.pg_hba_file_rules WHERE error IS NOT NULL";

static enum code add_errors(struct live *live, const char *sql, struct arena *arena, struct harden_seen *out,
                            struct err *e)
{
    struct live_rows rows;

    TRY(live_ask(live, "the server's view of its files", sql, &rows, e));
    struct str *errors = arena_array(arena, out->n_errors + rows.n, sizeof *errors);
    if (!errors)
        return server_nomem(e);
    if (out->n_errors > 0)
        memcpy(errors, out->errors, out->n_errors * sizeof *errors);
    out->errors = errors;
    for (size_t i = 0; i < rows.n; i++)
        if (!arena_printf(arena, &errors[out->n_errors++], "%.*s: %.*s", STR_ARG(live_cell(&rows, i, 0)),
                          STR_ARG(live_cell(&rows, i, 1))))
            return server_nomem(e);
    return OK;
}

static enum code see_files(struct live *live, struct arena *arena, struct harden_seen *out, struct err *e)
{
    TRY(add_errors(live, settings_errors_sql, arena, out, e));
    return add_errors(live, live_version(live) >= PG_WITH_HBA_FILES ? hba_errors_16_sql : hba_errors_sql,
                      arena, out, e);
}

/* Numbers of lines change with the edits. */
static struct str without_line(struct str text)
{
    size_t i = 0;

    while (i < text.n && !str_starts(str_from(text, i), STR(": ")))
        i++;
    return str_from(text, i);
}

static bool was_there(const struct harden_seen *before, struct str error)
{
    for (size_t i = 0; i < before->n_errors; i++)
        if (str_equal(without_line(before->errors[i]), without_line(error)))
            return true;
    return false;
}

/* Rules are parsed by a session, in which ssl is what it is until the reload. [src: hba.c, parse_hba_line()] */
static bool is_about_ssl(struct str error)
{
    return str_ends(error, STR(": hostssl record cannot match because SSL is disabled"));
}

enum code harden_server_check(const struct harden_server *server, const struct harden_seen *before,
                              bool loaded, struct err *e)
{
    AUTO(live) struct live *live = NULL;
    struct harden_seen now = { .n_errors = 0 };

    TRY(live_open(server->conninfo, server->arena, &live, e));
    TRY(see_files(live, server->arena, &now, e));
    for (size_t i = 0; i < now.n_errors; i++)
        if (!was_there(before, now.errors[i]) && (loaded || !is_about_ssl(now.errors[i])))
            return err_set(e, E_CONFIG, "the server refuses the new files: %.*s", STR_ARG(now.errors[i]));
    return OK;
}

/* ---- the look ---- */

static enum code see_self(struct live *live, struct harden_seen *out, struct err *e)
{
    static const char sql[] =
        "SELECT current_user, pg_catalog.current_setting('is_superuser') = 'on', pg_catalog.pg_is_in_recovery(),"
        " pg_catalog.inet_client_addr() IS NULL";
    const struct passwd *account = getpwuid(geteuid());
    struct live_rows rows;

    TRY(live_ask(live, "the session's role", sql, &rows, e));
    out->role = live_cell(&rows, 0, 0);
    out->superuser = live_true(&rows, 0, 1);
    out->standby = live_true(&rows, 0, 2);
    if (live_true(&rows, 0, 3) && account && str_is(out->role, account->pw_name))
        out->operator_role = out->role;
    if (!out->superuser)
        return err_set(e, E_ACCESS, "role \"%.*s\" is not a superuser", STR_ARG(out->role));
    return OK;
}

enum code harden_server_look(const struct harden_server *server, struct harden_seen *out, struct err *e)
{
    const struct live_params params = { .conninfo = server->conninfo, .now_unix_s = server->now_unix_s };
    AUTO(collected) struct collected c = { .settings = NULL };
    AUTO(live) struct live *live = NULL;
    struct live_rows rows;

    *out = (struct harden_seen){ .n_roles = 0 };
    known_init(&out->known, server->arena);
    TRY(live_open(server->conninfo, server->arena, &live, e));
    TRY(see_self(live, out, e));
    TRY(live_ask(live, "the sessions", sessions_sql, &rows, e));
    add_sessions(&rows, &out->known);
    TRY(read_log(live, server, out, e));
    TRY(see_files(live, server->arena, out, e));
    TRY(collect_live(&params, server->arena, &c, e));
    out->roles = c.subject.roles;
    out->n_roles = c.subject.n_roles;
    return out->known.nomem ? server_nomem(e) : OK;
}

/* ---- reload ---- */

/* A new session inherits the time of the postmaster's last load. */
static enum code loaded_at(const struct harden_server *server, bool ask, struct str *out, struct err *e)
{
    static const char sql[] = "SELECT pg_catalog.pg_conf_load_time()::text";
    static const char reload_sql[] =
        "SELECT pg_catalog.pg_conf_load_time()::text, pg_catalog.pg_reload_conf()";
    AUTO(live) struct live *live = NULL;
    struct live_rows rows;

    TRY(live_open(server->conninfo, server->arena, &live, e));
    TRY(live_ask(live, "the time of the last load", ask ? reload_sql : sql, &rows, e));
    *out = live_cell(&rows, 0, 0);
    return OK;
}

static int64_t mono_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

enum code harden_server_reload(const struct harden_server *server, struct err *e)
{
    const struct timespec pause = { .tv_nsec = PAUSE_MS * 1000000L };
    int64_t until = mono_ms() + RELOAD_MS;
    struct str before, now;
    struct err why;

    TRY(loaded_at(server, true, &before, e));
    for (;;) {
        enum code code = loaded_at(server, false, &now, &why);
        if (code != OK) {
            (void)err_set(e, code, "after the reload you could no longer log in: %s", err_text(&why));
            return code;
        }
        if (!str_equal(before, now))
            return OK;
        if (mono_ms() > until)
            return err_set(e, E_UNAVAILABLE, "the server did not load its files within %d s",
                           RELOAD_MS / 1000);
        (void)nanosleep(&pause, NULL);
    }
}

enum code harden_server_signal(pid_t pid, struct err *e)
{
    if (pid <= 0 || kill(pid, SIGHUP) == 0 || errno == ESRCH)
        return OK;
    return err_set(e, code_from_errno(errno), "could not send SIGHUP to the server (PID %d): %m", (int)pid);
}

void harden_server_await(const struct harden_server *server)
{
    const struct timespec pause = { .tv_nsec = PAUSE_MS * 1000000L };
    int64_t until = mono_ms() + AWAIT_MS;
    struct str when;
    struct err ignored;

    while (loaded_at(server, false, &when, &ignored) != OK && mono_ms() < until)
        (void)nanosleep(&pause, NULL);
}
