/**
 * How each driver is told what to connect to and whom to trust: text only, each value quoted as its syntax
 * wants it.
 */
#ifndef PGSEAL_CMD_DRIVERS_H
#define PGSEAL_CMD_DRIVERS_H

#include "base/slice.h"

struct buf;

enum driver {
#define X(id, word, title, form, key) DRIVER_##id,
#include "connect.def"
#undef X
    DRIVER_COUNT,
    DRIVER_LAST_SHOWN = DRIVER_PGX /* init and harden print the first ones */
};

/** In which form a driver reads a key and its certificate. */
enum driver_key { DRIVER_KEY_PEM, DRIVER_KEY_PK8, DRIVER_KEY_P12 };

/** "libpq", "jdbc", ...: the words of --for. */
const char *driver_name(enum driver driver);
/** For people: "psql, libpq, psycopg". */
const char *driver_title(enum driver driver);
enum driver_key driver_key(enum driver driver);
bool driver_from_name(struct str name, enum driver *out);

/** C strings, borrowed. */
struct driver_facts {
    const char *host;
    unsigned port;
    const char *dbname;
    const char *user;
    const char *root; /* CA file */
    const char *cert; /* NULL: no client certificate */
    const char *key;  /* in the form this driver reads; NULL with a PKCS#12 file in `cert` */
    bool key_has_passphrase;
};

/** Append the connection string, or the object that a driver wants in its place, without a line end. */
void driver_connect(struct buf *out, enum driver driver, const struct driver_facts *facts);

/** Append one value of a libpq conninfo, quoted where need be. */
void conninfo_quote(struct buf *out, struct str value);

#endif
