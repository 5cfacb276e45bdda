#include "audit/live.h"

#include "base/arena.h"
#include "base/check.h"
#include "base/utf8.h"

#include <errno.h>
#include <libpq-fe.h>
#include <poll.h>
#include <stdlib.h>
#include <time.h>

enum {
    OLDEST = 12,
    ANSWER_MS = 30000,            /* for all of an answer: longer than a statement may take */
    ROWS_MAX = 1000000,           /* of one answer */
    BYTES_MAX = 256 * 1024 * 1024 /* of one answer */
};

/* A statement that holds locks or waits for them is not worth an audit. */
static const char settle[] = "SELECT pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', false),"
                             " pg_catalog.set_config('default_transaction_read_only', 'on', false),"
                             " pg_catalog.set_config('statement_timeout', '20s', false),"
                             " pg_catalog.set_config('lock_timeout', '5s', false),"
                             " pg_catalog.set_config('standard_conforming_strings', 'on', false)";

struct live {
    PGconn *conn;
    struct arena *arena;
    unsigned version, minor;
};

/* The first line of libpq's words, without what a terminal would obey or could not show. */
static void put_message(struct err *e, const char *text)
{
    struct str rest = str_c(text);
    size_t n = 0;

    while (rest.n > 0 && rest.p[0] != '\n') {
        size_t size = utf8_front(rest);
        bool plain = size > 0 && (unsigned char)rest.p[0] >= 0x20 && rest.p[0] != 0x7f;
        if (n + (plain ? size : 1) >= sizeof e->message)
            break;
        if (plain)
            memcpy(e->message + n, rest.p, size);
        else
            e->message[n] = '?';
        n += plain ? size : 1;
        rest = str_from(rest, size > 0 ? size : 1);
    }
    e->message[n] = '\0';
}

static enum code live_fail(struct err *e, enum code code, const char *text)
{
    (void)err_set(e, code, "%s", "");
    put_message(e, text && text[0] ? text : "no message was given");
    return code;
}

/* ---- the connection ---- */

static void ignore_notice(void *arg, const char *message)
{
    (void)arg;
    (void)message;
}

static enum code check_server(struct live *live, struct err *e)
{
    int number = PQserverVersion(live->conn);

    live->version = (unsigned)(number / 10000);
    live->minor = (unsigned)(number % 10000); /* [src: PostgreSQL 18, PQserverVersion()] */
    if (number == 0)
        return err_set(e, E_UNSUPPORTED, "the server is not PostgreSQL: it does not report its version");
    if (live->version < OLDEST)
        return err_set(e, E_UNSUPPORTED, "server version %u is not supported: an audit needs %d or newer",
                       live->version, OLDEST);
    return OK;
}

enum code live_open(const char *conninfo, struct arena *arena, struct live **out, struct err *e)
{
    static const char *const keys[] = { "connect_timeout", "fallback_application_name", "dbname",
                                        "client_encoding", NULL };
    const char *const values[] = { "10", "pgseal audit", conninfo, "UTF8", NULL };
    AUTO(live) struct live *live = calloc(1, sizeof *live);
    struct live_rows rows;

    if (!live)
        return err_set(e, E_NOMEM, "out of memory");
    live->arena = arena;
    live->conn = PQconnectdbParams(keys, values, 1);
    if (!live->conn)
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): AUTO() frees it */
        return err_set(e, E_NOMEM, "out of memory");
    if (PQstatus(live->conn) != CONNECTION_OK)
        return live_fail(e, E_CONNECT, PQerrorMessage(live->conn));
    (void)PQsetNoticeProcessor(live->conn, ignore_notice, NULL);
    TRY(check_server(live, e));
    enum code code = live_ask(live, "the session's settings", settle, &rows, e);
    if (code == E_ACCESS || code == E_UNDEFINED || code == E_PARAM)
        code = E_UNSUPPORTED; /* what cannot even do this is a pooler's console, or something else */
    if (code != OK) {
        if (e)
            e->code = code;
        return code;
    }
    *out = TAKE(live);
    return OK;
}

void live_close(struct live *live)
{
    if (!live)
        return;
    PQfinish(live->conn);
    free(live);
}

void live_auto(struct live **live)
{
    live_close(*live);
}

unsigned live_version(const struct live *live)
{
    return live->version;
}

unsigned live_minor(const struct live *live)
{
    return live->minor;
}

struct str live_host(const struct live *live)
{
    const char *host = PQhost(live->conn);

    return str_c(host && (host[0] == '/' || host[0] == '@') ? "" : host);
}

struct str live_port(const struct live *live)
{
    return str_c(PQport(live->conn));
}

/* ---- statements ---- */

struct answer {
    struct str *cells;
    size_t rows, room, columns, bytes;
};

static int64_t now_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Until libpq has a result at hand. */
static enum code await(struct live *live, const char *what, int64_t until, struct err *e)
{
    while (PQisBusy(live->conn) || now_ms() > until) {
        struct pollfd fd = { .fd = PQsocket(live->conn), .events = POLLIN };
        int64_t left = until - now_ms();
        int ready = fd.fd < 0 ? -1 : poll(&fd, 1, left > 0 ? (int)left : 0);
        if (ready < 0 && fd.fd >= 0 && errno == EINTR)
            continue;
        if (ready == 0 || left <= 0)
            return err_set(e, E_CLOSED, "timeout while reading %s", what);
        if (ready < 0 || !PQconsumeInput(live->conn)) {
            struct err cause;
            (void)live_fail(&cause, E_CLOSED, PQerrorMessage(live->conn));
            return err_set(e, E_CLOSED, "lost the connection to the server while reading %s: %s", what,
                           cause.message);
        }
    }
    return OK;
}

static bool make_room(struct live *live, struct answer *a)
{
    size_t room = a->room ? 2 * a->room : 64;

    if (a->rows < a->room)
        return true;
    struct str *cells = arena_array(live->arena, room * a->columns, sizeof *cells);
    if (!cells)
        return false;
    if (a->rows > 0)
        memcpy(cells, a->cells, a->rows * a->columns * sizeof *cells);
    a->cells = cells;
    a->room = room;
    return true;
}

static enum code take_rows(struct live *live, const PGresult *result, struct answer *a, struct err *e)
{
    a->columns = (size_t)PQnfields(result);
    for (int row = 0; row < PQntuples(result); row++) {
        if (!make_room(live, a))
            return err_set(e, E_NOMEM, "out of memory");
        struct str *cells = &a->cells[a->rows * a->columns];
        for (int column = 0; column < (int)a->columns; column++) {
            struct str cell = str_of(PQgetvalue(result, row, column),
                                     (size_t)PQgetlength(result, row, column));
            a->bytes += cell.n;
            if (!PQgetisnull(result, row, column) && !arena_str(live->arena, cell, &cells[column]))
                return err_set(e, E_NOMEM, "out of memory");
        }
        if (++a->rows > ROWS_MAX || a->bytes > BYTES_MAX)
            return err_set(e, E_LIMIT, "the server's answer is too long");
    }
    return OK;
}

static enum code code_of(const char *sqlstate)
{
    static const struct {
        const char *sqlstate;
        enum code code;
    } map[] = {
        { "42501", E_ACCESS },    { "42P01", E_UNDEFINED }, { "42883", E_UNDEFINED },
        { "42703", E_UNDEFINED }, { "42704", E_UNDEFINED }, { "3F000", E_UNDEFINED },
    };

    for (size_t i = 0; sqlstate && i < COUNT_OF(map); i++)
        if (strcmp(sqlstate, map[i].sqlstate) == 0)
            return map[i].code;
    return E_PARAM;
}

/* One result. The first thing that went wrong is told, and all results are taken off the connection. */
static enum code take_result(struct live *live, const PGresult *result, struct answer *a, struct err *e)
{
    ExecStatusType status = PQresultStatus(result);

    if (status == PGRES_SINGLE_TUPLE || status == PGRES_TUPLES_OK)
        return take_rows(live, result, a, e);
    if (status == PGRES_FATAL_ERROR) {
        const char *text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
        return live_fail(e, code_of(PQresultErrorField(result, PG_DIAG_SQLSTATE)),
                         text ? text : PQresultErrorMessage(result));
    }
    return err_set(e, E_PROTOCOL, "the server gave an unexpected answer: %s", PQresStatus(status));
}

enum code live_ask(struct live *live, const char *what, const char *sql, struct live_rows *out, struct err *e)
{
    struct answer a = { .rows = 0 };
    int64_t until = now_ms() + ANSWER_MS;
    enum code code = OK;
    PGresult *result;

    if (!PQsendQuery(live->conn, sql) || !PQsetSingleRowMode(live->conn)) {
        struct err cause;
        (void)live_fail(&cause, E_CLOSED, PQerrorMessage(live->conn));
        return err_set(e, E_CLOSED, "lost the connection to the server before reading %s: %s", what,
                       cause.message);
    }
    do {
        enum code waited = await(live, what, until, e);
        if (waited != OK)
            return waited;
        result = PQgetResult(live->conn);
        if (result && code == OK)
            code = take_result(live, result, &a, e);
        PQclear(result);
        if (code == E_LIMIT || code == E_NOMEM || code == E_PROTOCOL)
            return code;
    } while (result);
    if (PQstatus(live->conn) != CONNECTION_OK) {
        struct err cause = { .code = OK };
        (void)live_fail(&cause, E_CLOSED, code == OK ? PQerrorMessage(live->conn) : err_text(e));
        return err_set(e, E_CLOSED, "lost the connection to the server while reading %s: %s", what,
                       cause.message);
    }
    if (code == OK)
        *out = (struct live_rows){ a.cells, a.rows, a.columns };
    return code;
}

struct str live_cell(const struct live_rows *rows, size_t row, size_t column)
{
    if (row >= rows->n || column >= rows->columns || !rows->cells[row * rows->columns + column].p)
        return STR("");
    return rows->cells[row * rows->columns + column];
}

bool live_true(const struct live_rows *rows, size_t row, size_t column)
{
    return str_is(live_cell(rows, row, column), "t");
}

unsigned live_number(const struct live_rows *rows, size_t row, size_t column)
{
    uint32_t number = 0;

    (void)str_to_u32(live_cell(rows, row, column), 0, UINT32_MAX, &number);
    return number;
}
