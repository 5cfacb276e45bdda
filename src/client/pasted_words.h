/**
 * The words of other drivers' connection strings, and what they mean in libpq's.
 */
#ifndef PGSEAL_CLIENT_PASTED_WORDS_H
#define PGSEAL_CLIENT_PASTED_WORDS_H

#include "client/conninfo.h"

/** A driver's first row is of its newest version, the others of the versions that they name. */
enum pasted_driver {
#define X(name, driver, word, from, before, title, unset, ssl, require, reading, system, binding, direct,    \
          again, unless, changes)                                                                            \
    PASTED_##name,
#include "drivers.def"
#undef X
};

enum pasted_require {
    PASTED_REQUIRE_NOTHING,
    PASTED_REQUIRE_ROOT,
    PASTED_REQUIRE_FILE,
    PASTED_REQUIRE_SYSTEM
};
enum pasted_reading {
    PASTED_READING_WRITTEN,
    PASTED_READING_TIGHT,
    PASTED_READING_CA,
    PASTED_READING_STRICT,
    PASTED_READING_FULL,
    PASTED_READING_UNREAD,
    PASTED_READING_NEVER,
    PASTED_READING_CARELESS
};
enum pasted_again { PASTED_AGAIN_NEXT, PASTED_AGAIN_RESTART, PASTED_AGAIN_UNKNOWN };
enum pasted_system { PASTED_SYSTEM_NO, PASTED_SYSTEM_DEFAULT, PASTED_SYSTEM_ALWAYS };

/** A row of drivers.def, where its columns are explained. */
struct pasted_reader {
    enum pasted_driver family;
    const char *word, *from, *before, *title, *unset, *ssl;
    enum pasted_require require;
    enum pasted_reading reading;
    enum pasted_system system;
    enum pasted_again again; /* when it reads the file of roots anew … */
    const char *unless;      /* … and when not; empty: always so */
    const char *changes;
};

const struct pasted_reader *pasted_reader(enum pasted_driver driver);
/** The driver of which it is a version. */
enum pasted_driver pasted_family(enum pasted_driver driver);
/** As people call it: "pgJDBC". */
const char *pasted_driver_name(enum pasted_driver driver);
/**
 * The driver of a word of --driver: "pgjdbc", "node@8.2", and those that are based on another one, such as "psycopg".
 * False also when the version is none.
 */
bool pasted_driver_find(struct str word, enum pasted_driver *out);
/** The scheme of a PostgreSQL URL, without a "+driver". */
bool pasted_scheme(struct str scheme, enum pasted_driver *out);
/** The driver that SQLAlchemy loads for "psycopg2", "asyncpg" and so on. */
enum pasted_driver pasted_sqlalchemy(struct str driver);
/** The option of a name in any driver's spelling: "SSL Mode", "sslRootCert", "User Id". */
bool pasted_word_option(struct str word, enum conn_option *out);
/**
 * libpq's word for a value of sslmode; the value itself when it is none. `exact`: in libpq's spelling only.
 */
struct str pasted_sslmode(struct str value, bool exact);
/**
 * libpq's word for pgJDBC's targetServerType and Npgsql's "Target Session Attributes", or the value itself.
 */
struct str pasted_session_attrs(struct str value);
/** The sslmode that an `ssl` parameter amounts to; NULL: the value has no meaning. */
const char *pasted_ssl_means(struct str value, enum pasted_driver driver);
/** The sslmode of a driver that is told nothing, where it is not libpq's prefer; else NULL. */
const char *pasted_default_sslmode(enum pasted_driver driver);
/** Does sslrootcert=system mean verify-full? `given`: there is an sslmode. */
bool pasted_system_verifies(enum pasted_driver driver, bool given);
/** True for a parameter that switches verification off. */
bool pasted_not_validating(struct str keyword, struct str value, enum pasted_driver driver);

#endif
