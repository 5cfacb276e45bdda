/*
 * A file is hostile until it has been looked at: who owns it, whether SQLite finds it whole, whether it holds
 * our one table and nothing that runs (views, triggers). [src: SQLite, "Defense Against The Dark Arts"]
 *
 * A rollback journal instead of a write-ahead log: others may read the file while the gate runs, no shared
 * memory is needed, and one file is all that stays.
 */
#include "status/clients_store.h"

#include "base/check.h"
#include "os/files.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    APPLICATION_ID = 0x70677363, /* "pgsc" */
    VERSION = 3,
    VERSION_OLD = 2, /* without the last six columns; still read, and brought up to date when it is written */
    BUSY_MS = 1000,
    PATH_MAX_N = OS_PATH_MAX + 32,
    VALUE_MAX = 4096,
};
#define FILE_MAX ((off_t)1 << 30)
#define COUNT_MAX ((int64_t)1 << 53)
#define DATE_MAX_S INT64_C(253402300799) /* the end of the year 9999, and of X.509's dates */

#define COLUMNS_OLD                                                                                                 \
    "user, address, application, tls_version, sni, issuer, subject, serial, alpn, gs2, seen, sessions, plaintext, " \
    "tls_failures, first_us, last_us, plain_us, plain_refused_us, tls_us, tls_refused_us, tls_failed_us, "          \
    "cert_ends_s"
#define COLUMNS                                                                                              \
    COLUMNS_OLD ", ca_new_us, ca_failed_us, strange_taken_us, strange_refused_us, misnamed_taken_us, "       \
                "misnamed_refused_us"

#define SCHEMA(more)                                                                                         \
    "CREATE TABLE clients (user TEXT NOT NULL, address TEXT NOT NULL, application TEXT NOT NULL, "           \
    "tls_version TEXT NOT NULL, sni TEXT NOT NULL, issuer TEXT NOT NULL, "                                   \
    "subject TEXT NOT NULL, serial TEXT NOT NULL, "                                                          \
    "alpn INTEGER NOT NULL, gs2 INTEGER NOT NULL, seen INTEGER NOT NULL, sessions INTEGER NOT NULL, "        \
    "plaintext INTEGER NOT NULL, tls_failures INTEGER NOT NULL, first_us INTEGER NOT NULL, "                 \
    "last_us INTEGER NOT NULL, plain_us INTEGER NOT NULL, plain_refused_us INTEGER NOT NULL, "               \
    "tls_us INTEGER NOT NULL, tls_refused_us INTEGER NOT NULL, tls_failed_us INTEGER NOT NULL, "             \
    "cert_ends_s INTEGER NOT NULL, " more "PRIMARY KEY (user, address, application)) WITHOUT ROWID"

static const char schema_old[] = SCHEMA("");
static const char schema[] = SCHEMA(
    "ca_new_us INTEGER NOT NULL, ca_failed_us INTEGER NOT NULL, "
    "strange_taken_us INTEGER NOT NULL, strange_refused_us INTEGER NOT NULL, "
    "misnamed_taken_us INTEGER NOT NULL, misnamed_refused_us INTEGER NOT NULL, ");

struct text_column {
    size_t at, size;
};

#define TEXT(member)                                                                                         \
    {                                                                                                        \
        offsetof(struct client_row, member), sizeof((struct client_row *)NULL)->member                       \
    }
static const struct text_column texts[] = { TEXT(key.user),    TEXT(key.address), TEXT(key.application),
                                            TEXT(tls_version), TEXT(sni),         TEXT(issuer),
                                            TEXT(subject),     TEXT(serial) };

/* Those of one type; alpn, gs2 and seen stand before them. */
enum { FIRST_NUMBER = COUNT_OF(texts), FIRST_COUNT = FIRST_NUMBER + 3 };
#define COUNT(member) offsetof(struct client_row, member)
static const size_t counts[] = { COUNT(sessions),
                                 COUNT(plaintext),
                                 COUNT(tls_failures),
                                 COUNT(first_us),
                                 COUNT(last_us),
                                 COUNT(plain_us),
                                 COUNT(plain_refused_us),
                                 COUNT(tls_us),
                                 COUNT(tls_refused_us),
                                 COUNT(tls_failed_us),
                                 COUNT(cert_ends_s),
                                 COUNT(ca_new_us),
                                 COUNT(ca_failed_us),
                                 COUNT(strange_taken_us),
                                 COUNT(strange_refused_us),
                                 COUNT(misnamed_taken_us),
                                 COUNT(misnamed_refused_us) };

struct store {
    sqlite3 *sql;
    const char *path;
};

/* ---- errors ---- */

static enum code damaged(const char *path, const char *why, struct err *e)
{
    return err_set(e, E_DAMAGED, "file \"%s\" cannot be used: %s", path, why);
}

static enum code clients_store_failed(const struct store *s, int rc, struct err *e)
{
    switch (rc & 0xff) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_SCHEMA:
    case SQLITE_TOOBIG:
    case SQLITE_ERROR: /* our statements fit our table: it is another one */
        return damaged(s->path, sqlite3_errstr(rc & 0xff), e);
    case SQLITE_NOMEM:
        return err_set(e, E_NOMEM, "out of memory");
    case SQLITE_FULL:
        return err_set(e, E_DISK_FULL, "could not write file \"%s\": no space left on device", s->path);
    case SQLITE_READONLY:
    case SQLITE_PERM:
        return err_set(e, E_ACCESS, "could not write file \"%s\": permission denied", s->path);
    default:
        return err_set(e, E_IO, "could not use file \"%s\": %s", s->path, sqlite3_errstr(rc));
    }
}

/* ---- opening ---- */

static enum code check_file(const char *path, struct err *e)
{
    struct stat st;

    if (lstat(path, &st) != 0)
        return err_set(e, code_from_errno(errno), "could not access file \"%s\": %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return err_set(e, E_CONFIG, "file \"%s\" is not a regular file", path);
    TRY(os_check_secret_file(path, "file", e));
    return st.st_size > FILE_MAX ? damaged(path, "it is too large", e) : OK;
}

/* One value of one row; a statement without a row gives -1. */
static int clients_store_ask(const struct store *s, const char *sql, int64_t *out)
{
    sqlite3_stmt *stmt;

    *out = -1;
    int rc = sqlite3_prepare_v2(s->sql, sql, -1, &stmt, NULL);
    if (rc != SQLITE_OK)
        return rc;
    rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW)
        *out = sqlite3_column_int64(stmt, 0);
    (void)sqlite3_finalize(stmt);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int clients_store_run(const struct store *s, const char *sql)
{
    return sqlite3_exec(s->sql, sql, NULL, NULL, NULL);
}

static void fence(const struct store *s)
{
    (void)sqlite3_extended_result_codes(s->sql, 1);
    (void)sqlite3_busy_timeout(s->sql, BUSY_MS);
    (void)sqlite3_db_config(s->sql, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    (void)sqlite3_db_config(s->sql, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    (void)sqlite3_db_config(s->sql, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
    (void)sqlite3_db_config(s->sql, SQLITE_DBCONFIG_ENABLE_VIEW, 0, NULL);
    (void)sqlite3_limit(s->sql, SQLITE_LIMIT_LENGTH, VALUE_MAX);
    (void)sqlite3_limit(s->sql, SQLITE_LIMIT_ATTACHED, 0);
}

/* Is it ours, or empty? *out_version: 0 when it is. */
static enum code check_schema(const struct store *s, int64_t *out_version, struct err *e)
{
    char sql[sizeof schema + 128];
    int64_t objects = 0, ours = 0, id = 0, version = 0;

    int rc = clients_store_ask(s, "SELECT count(*) FROM sqlite_schema", &objects);
    if (rc == SQLITE_OK)
        rc = clients_store_ask(s, "PRAGMA application_id", &id);
    if (rc == SQLITE_OK)
        rc = clients_store_ask(s, "PRAGMA user_version", &version);
    (void)snprintf(sql, sizeof sql, "SELECT count(*) FROM sqlite_schema WHERE sql = '%s'",
                   version == VERSION_OLD ? schema_old : schema);
    if (rc == SQLITE_OK)
        rc = clients_store_ask(s, sql, &ours);
    if (rc != SQLITE_OK)
        return clients_store_failed(s, rc, e);
    *out_version = version;
    if (objects == 0 && id == 0 && version == 0)
        return OK;
    if (id != APPLICATION_ID)
        return damaged(s->path, "it belongs to another program", e);
    if (version != VERSION && version != VERSION_OLD)
        return damaged(s->path, "it was written by another version of pgseal", e);
    return objects == 1 && ours == 1 ? OK : damaged(s->path, "its schema is not the one it should have", e);
}

/* Close it in any case: also after a failure. */
static enum code open_store(struct store *s, const char *path, struct err *e)
{
    *s = (struct store){ .path = path };
    TRY(check_file(path, e));
    int rc = sqlite3_open_v2(path, &s->sql,
                             SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW, NULL);
    if (!s->sql)
        return err_set(e, E_NOMEM, "out of memory");
    if (rc == SQLITE_OK) {
        fence(s);
        rc = clients_store_run(
            s, "PRAGMA cell_size_check = on; PRAGMA mmap_size = 0; PRAGMA temp_store = memory");
    }
    return rc == SQLITE_OK ? OK : clients_store_failed(s, rc, e);
}

static void close_store(struct store *s)
{
    (void)sqlite3_close(s->sql);
    s->sql = NULL;
}

/* ---- reading ---- */

static int64_t between(int64_t n, int64_t max)
{
    return n < 0 ? 0 : n < max ? n : max;
}

static bool is_serial(const char *text)
{
    text += *text == '-';
    return *text && strspn(text, "0123456789") == strlen(text);
}

/* Nobody vouches for the values: each becomes one that could have been counted. */
static void read_row(sqlite3_stmt *stmt, struct client_row *row)
{
    memset(row, 0, sizeof *row);
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        const char *text = (const char *)sqlite3_column_text(stmt, (int)i);
        size_t n = text ? (size_t)sqlite3_column_bytes(stmt, (int)i) : 0;
        client_put((char *)row + texts[i].at, texts[i].size, str_of(text ? text : "", n));
    }
    row->alpn = sqlite3_column_int64(stmt, FIRST_NUMBER) != 0;
    row->gs2 = (char)between(sqlite3_column_int64(stmt, FIRST_NUMBER + 1), 127);
    row->seen = (unsigned)sqlite3_column_int64(stmt, FIRST_NUMBER + 2) & CLIENT_SEEN_ALL;
    for (size_t i = 0; i < COUNT_OF(counts); i++) {
        int64_t n = between(sqlite3_column_int64(stmt, (int)(FIRST_COUNT + i)), COUNT_MAX);
        memcpy((char *)row + counts[i], &n, sizeof n);
    }
    row->cert_ends_s = between(row->cert_ends_s, DATE_MAX_S);
    if (!is_serial(row->serial))
        CLIENT_PUT(row->serial, STR(""));
}

/* A last page that is cut off reads as zeros, which SQLite does not mind. */
static enum code check_size(const struct store *s, struct err *e)
{
    int64_t pages, size;
    struct stat st;

    int rc = clients_store_ask(s, "PRAGMA page_count", &pages);
    if (rc == SQLITE_OK)
        rc = clients_store_ask(s, "PRAGMA page_size", &size);
    if (rc != SQLITE_OK)
        return clients_store_failed(s, rc, e);
    if (lstat(s->path, &st) != 0)
        return err_set(e, code_from_errno(errno), "could not access file \"%s\": %s", s->path,
                       strerror(errno));
    return pages == 0 || st.st_size == pages * size ? OK : damaged(s->path, "it was cut off", e);
}

static enum code check_pages(const struct store *s, struct err *e)
{
    sqlite3_stmt *stmt;
    int rc = sqlite3_prepare_v2(s->sql, "PRAGMA quick_check(1)", -1, &stmt, NULL);

    if (rc != SQLITE_OK)
        return clients_store_failed(s, rc, e);
    rc = sqlite3_step(stmt);
    const char *text = rc == SQLITE_ROW ? (const char *)sqlite3_column_text(stmt, 0) : NULL;
    bool whole = text && strcmp(text, "ok") == 0;
    (void)sqlite3_finalize(stmt);
    if (rc != SQLITE_ROW)
        return clients_store_failed(s, rc, e);
    return whole ? check_size(s, e) : damaged(s->path, "its pages do not fit together", e);
}

static enum code read_rows(const struct store *s, int64_t version, client_row_fn *each, void *arg,
                           struct err *e)
{
    struct client_row row;
    sqlite3_stmt *stmt;
    const char *sql = version == VERSION_OLD ? "SELECT " COLUMNS_OLD
                                               ", 0, 0, 0, 0, 0, 0 FROM clients ORDER BY last_us"
                                             : "SELECT " COLUMNS " FROM clients ORDER BY last_us";
    int rc = sqlite3_prepare_v2(s->sql, sql, -1, &stmt, NULL);

    if (rc != SQLITE_OK)
        return clients_store_failed(s, rc, e);
    while ((rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        read_row(stmt, &row);
        each(arg, &row);
    }
    (void)sqlite3_finalize(stmt);
    return rc == SQLITE_DONE ? OK : clients_store_failed(s, rc, e);
}

enum code client_store_load(const char *path, client_row_fn *each, void *arg, struct err *e)
{
    struct store s;
    int64_t version = 0;

    if (!os_exists(path))
        return OK;
    enum code code = open_store(&s, path, e);
    if (code == OK)
        code = check_pages(&s, e);
    if (code == OK)
        code = check_schema(&s, &version, e);
    if (code == OK && version != 0)
        code = read_rows(&s, version, each, arg, e);
    close_store(&s);
    return code;
}

/* ---- writing ---- */

static int bind_row(sqlite3_stmt *stmt, const struct client_row *row)
{
    int rc = SQLITE_OK;

    for (size_t i = 0; i < COUNT_OF(texts) && rc == SQLITE_OK; i++)
        rc = sqlite3_bind_text(stmt, (int)i + 1, (const char *)row + texts[i].at, -1, SQLITE_STATIC);
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_int(stmt, FIRST_NUMBER + 1, row->alpn);
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_int(stmt, FIRST_NUMBER + 2, row->gs2);
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_int64(stmt, FIRST_NUMBER + 3, row->seen);
    for (size_t i = 0; i < COUNT_OF(counts) && rc == SQLITE_OK; i++) {
        int64_t n;
        memcpy(&n, (const char *)row + counts[i], sizeof n);
        rc = sqlite3_bind_int64(stmt, (int)(FIRST_COUNT + i) + 1, n);
    }
    return rc;
}

static int write_rows(const struct store *s, const struct client_changes *changes)
{
    const struct client_row *row;
    sqlite3_stmt *stmt;
    int rc = sqlite3_prepare_v2(s->sql,
                                "INSERT OR REPLACE INTO clients (" COLUMNS
                                ") VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
                                -1, &stmt, NULL);

    while (rc == SQLITE_OK && (row = changes->next(changes->arg)) != NULL) {
        rc = bind_row(stmt, row);
        if (rc == SQLITE_OK) {
            (void)sqlite3_step(stmt);
            rc = sqlite3_reset(stmt);
        }
    }
    (void)sqlite3_finalize(stmt);
    return rc;
}

/* Those without a session go first: names can be made up by anybody, sessions cannot. */
static int forget_rows(const struct store *s, size_t limit)
{
    char sql[256];
    int64_t n;

    int rc = clients_store_ask(s, "SELECT count(*) FROM clients", &n);
    if (rc != SQLITE_OK || n <= (int64_t)limit)
        return rc;
    (void)snprintf(sql, sizeof sql,
                   "DELETE FROM clients WHERE (user, address, application) IN (SELECT user, address, "
                   "application FROM clients ORDER BY sessions > 0, last_us LIMIT %lld)",
                   (long long)(n - (int64_t)limit));
    return clients_store_run(s, sql);
}

static int make_schema(const struct store *s)
{
    char sql[sizeof schema + 128];

    (void)snprintf(sql, sizeof sql, "PRAGMA application_id = %d; PRAGMA user_version = %d; %s",
                   APPLICATION_ID, VERSION, schema);
    return clients_store_run(s, sql);
}

/* In the transaction that writes: either all of it is of this version, or nothing. */
static int bring_up_to_date(const struct store *s)
{
    int rc = clients_store_run(s, "ALTER TABLE clients RENAME TO before");

    if (rc == SQLITE_OK)
        rc = make_schema(s);
    return rc == SQLITE_OK ? clients_store_run(s, "INSERT INTO clients (" COLUMNS ") SELECT " COLUMNS_OLD
                                                  ", 0, 0, 0, 0, 0, 0 FROM before; DROP TABLE before")
                           : rc;
}

static enum code write_all(const struct store *s, const struct client_changes *changes, struct err *e)
{
    int64_t version;
    int rc = clients_store_run(s, "BEGIN IMMEDIATE");

    if (rc != SQLITE_OK)
        return clients_store_failed(s, rc, e);
    TRY(check_schema(s, &version, e));
    if (version == 0)
        rc = make_schema(s);
    else if (version == VERSION_OLD)
        rc = bring_up_to_date(s);
    if (rc == SQLITE_OK)
        rc = write_rows(s, changes);
    if (rc == SQLITE_OK)
        rc = forget_rows(s, changes->limit);
    if (rc == SQLITE_OK)
        rc = clients_store_run(s, "COMMIT");
    return rc == SQLITE_OK ? OK : clients_store_failed(s, rc, e); /* closing rolls back */
}

/* SQLite would make it with whatever the umask leaves; its journals take the file's mode. */
static enum code make_file(const char *path, struct err *e)
{
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

    if (fd < 0)
        return err_set(e, code_from_errno(errno), "could not create file \"%s\": %s", path, strerror(errno));
    (void)close(fd);
    return OK;
}

enum code client_store_save(const char *path, const struct client_changes *changes, struct err *e)
{
    struct store s;

    if (!os_exists(path))
        TRY(make_file(path, e));
    enum code code = open_store(&s, path, e);
    if (code == OK)
        code = write_all(&s, changes, e);
    close_store(&s);
    return code;
}

/* ---- putting away ---- */

static enum code move(const char *from, const char *to, struct err *e)
{
    if (rename(from, to) == 0 || errno == ENOENT)
        return OK;
    return err_set(e, code_from_errno(errno), "could not rename file \"%s\" to \"%s\": %s", from, to,
                   strerror(errno));
}

enum code client_store_set_aside(const char *path, struct err *e)
{
    char journal[PATH_MAX_N], aside[PATH_MAX_N], aside_journal[PATH_MAX_N];

    (void)snprintf(journal, sizeof journal, "%s-journal", path);
    (void)snprintf(aside, sizeof aside, "%s.damaged", path);
    (void)snprintf(aside_journal, sizeof aside_journal, "%s.damaged-journal", path);
    (void)unlink(aside_journal); /* of an earlier one */
    TRY(move(journal, aside_journal, e));
    return move(path, aside, e);
}
