/**
 * Connection strings as applications have them: libpq's, and those of other drivers.
 *
 * `pgseal explain` and `pgseal probe` take what a person copies from an application's settings. What is not
 * libpq's is read as the driver reads it, and put into libpq's options; what that means is told in notes. The
 * gate's own settings know libpq's syntax only (client/conninfo.h).
 *
 *   jdbc:postgresql://db/app?user=app&ssl=true          pgJDBC
 *   r2dbc:postgresql://app@db/app?sslMode=require       R2DBC
 *   postgresql+asyncpg://app@db/app?ssl=require         SQLAlchemy
 *   postgres://app@db/app?schema=x&sslmode=no-verify    Prisma, node-postgres
 *   Host=db;Username=app;SSL Mode=VerifyFull            Npgsql, ODBC
 *   pgsql:host=db;dbname=app   dbi:Pg:host=db           PHP's PDO, Perl's DBI
 *   DATABASE_URL="…"   export DATABASE_URL=…   psql "…" any of them, or libpq's, in a shell's words
 */
#ifndef PGSEAL_CLIENT_PASTED_H
#define PGSEAL_CLIENT_PASTED_H

#include "client/conninfo.h"
#include "client/pasted_words.h"

enum { PASTED_NOTES_MAX = 8 };

struct pasted {
    struct conn_options options;
    struct str notes[PASTED_NOTES_MAX]; /* sentences for people; without secrets */
    size_t n_notes;
    enum pasted_driver driver; /* whose words they are */
    bool sslmode_given;        /* by sslmode= or ssl=; else it is the driver's default */
    bool no_verify;            /* a parameter says that nothing is verified */
    bool libpq_compat;         /* node-postgres is told to read sslmode as libpq does */
};

/**
 * True for all of the above and for URLs of any scheme; false for libpq's `keyword = value` and other words.
 */
bool pasted_recognized(struct str text);

/**
 * Read a text, `keyword = value` included. Lives in `arena`.
 *
 * A parameter that libpq does not have is left out with a note where drivers do so, too.
 * E_PARAM: it cannot be read; message and hint say what to write instead, and show no secret.
 * [src: PostgreSQL 18, "Connection Strings"; pgJDBC, "Connecting to the Database"; Npgsql, "Connection String
 * Parameters"]
 */
MUST_CHECK enum code pasted_parse(struct str text, struct arena *arena, struct pasted *out, struct err *e);
/** The same as `driver` reads it, where the text itself does not tell whose it is. */
MUST_CHECK enum code pasted_parse_for(struct str text, enum pasted_driver driver, struct arena *arena,
                                      struct pasted *out, struct err *e);

#endif
