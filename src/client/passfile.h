/**
 * The password file: `host:port:database:user:password`, first matching line wins.
 * [src: PostgreSQL 18, "The Password File"]
 */
#ifndef PGSEAL_CLIENT_PASSFILE_H
#define PGSEAL_CLIENT_PASSFILE_H

#include "base/err.h"

struct conn_file;
struct conn_host;
struct conn_world;
struct password;

enum { PASSFILE_MAX = 1 << 20 /* bytes of a password file [choice: libpq reads any size] */ };

struct passfile_key {
    struct str host; /* see passfile_host() */
    struct str port;
    struct str dbname;
    struct str user;
};

/** The name a host list entry is looked up under: host else hostaddr, `localhost` for the default socket. */
struct str passfile_host(const struct conn_host *host);
/** Look a key up in the file's contents; false: no line matches. `out` is set only then. */
MUST_CHECK enum code passfile_find(struct bytes contents, const struct passfile_key *key,
                                   struct password *out, bool *found, struct err *e);
/**
 * Check, read, look up. A file that is missing or unreadable finds nothing, as in libpq.
 * E_ACCESS: the warning that libpq prints while it ignores the file.
 */
MUST_CHECK enum code passfile_lookup(const struct conn_world *world, struct str path,
                                     const struct passfile_key *key, struct password *out, bool *found,
                                     struct err *e);

#endif
