/**
 * The words of other drivers' connection strings, and what they mean in libpq's.
 */
#ifndef PGSEAL_CLIENT_PASTED_WORDS_H
#define PGSEAL_CLIENT_PASTED_WORDS_H

#include "client/conninfo.h"

enum pasted_driver {
#define X(name, word, title, unset, require, reading, changes) PASTED_##name,
#include "drivers.def"
#undef X
};

/** As people call it: "pgJDBC". */
const char *pasted_driver_name(enum pasted_driver driver);
/** The driver of a word of --driver: "pgjdbc", and those that stand on another one, such as "psycopg". */
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
/** True for a parameter that switches verification off. */
bool pasted_not_validating(struct str keyword, struct str value);

#endif
