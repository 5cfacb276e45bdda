/*
 * Results of many sizes, read through libpq's asynchronous calls, as psycopg, ruby-pg or php read them.
 *
 *     async_client CONNINFO ROWS
 *
 * Whenever libpq has read and waits for more, nothing may be left inside OpenSSL: a caller that watches the
 * socket would not hear of it. The exit status is 1 if it was so, with the first size on standard error;
 * otherwise one line tells libpq's version and the number of results.
 */
#include <libpq-fe.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

/* Rows that end anywhere within libpq's buffer, so that the room left for the next record varies. */
static const int widths[] = { 1, 97, 997, 4001, 7919 };

static void fail(PGconn *conn)
{
    (void)fprintf(stderr, "async_client: %s", PQerrorMessage(conn));
    exit(2);
}

/* The rows of all results that are complete; false: libpq waits for more. */
static bool take(PGconn *conn, int *rows)
{
    while (!PQisBusy(conn)) {
        PGresult *result = PQgetResult(conn);
        if (!result)
            return true;
        if (PQresultStatus(result) != PGRES_TUPLES_OK)
            fail(conn);
        *rows += PQntuples(result);
        PQclear(result);
    }
    return false;
}

static void read_one(PGconn *conn, int width, int wanted)
{
    char sql[128];
    int rows = 0;

    (void)snprintf(sql, sizeof sql, "SELECT repeat('x', %d) FROM generate_series(1, %d)", width, wanted);
    if (PQsendQuery(conn, sql) != 1)
        fail(conn);
    for (;;) {
        struct pollfd watched = { .fd = PQsocket(conn), .events = POLLIN };
        if (poll(&watched, 1, -1) < 0 || PQconsumeInput(conn) != 1)
            fail(conn);
        if (take(conn, &rows))
            break;
        int left = SSL_pending(PQsslStruct(conn, "OpenSSL"));
        if (left > 0) {
            (void)fprintf(stderr,
                          "async_client: %d bytes stay inside OpenSSL while libpq %d waits: %d rows of %d\n",
                          left, PQlibVersion(), wanted, width);
            exit(1);
        }
    }
    if (rows != wanted) {
        (void)fprintf(stderr, "async_client: %d rows instead of %d\n", rows, wanted);
        exit(2);
    }
}

int main(int argc, char **argv)
{
    long most = argc == 3 ? strtol(argv[2], NULL, 10) : 0;
    int results = 0;

    if (most < 1) {
        (void)fprintf(stderr, "usage: async_client CONNINFO ROWS\n");
        return 2;
    }
    PGconn *conn = PQconnectdb(argv[1]);
    if (PQstatus(conn) != CONNECTION_OK || !PQsslInUse(conn))
        fail(conn);
    for (size_t i = 0; i < sizeof widths / sizeof *widths; i++)
        for (int rows = 1; rows <= most; rows++, results++)
            read_one(conn, widths[i], rows);
    (void)printf("libpq %d: %d results\n", PQlibVersion(), results);
    PQfinish(conn);
    return 0;
}
