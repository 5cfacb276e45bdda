/**
 * What a connection string amounts to: is the connection encrypted, and to whom?
 *
 * Drivers give the same words other meanings: sslmode=require verifies nothing for most, the CA for libpq where
 * a root.crt lies, everything for node-postgres (tables/drivers.def).
 */
#ifndef PGSEAL_CLIENT_MEANING_H
#define PGSEAL_CLIENT_MEANING_H

#include "client/conninfo.h"
#include "client/pasted_words.h"

struct arena;
struct conn_world;
struct pasted;

struct conn_meaning {
    bool encrypts;    /* always; false: a server that has no TLS gets everything readable */
    bool tries;       /* encrypted where the server agrees */
    bool chain, name; /* verified whenever it is encrypted */
};

/** The meaning of the options of a driver; sslmode is unset where nothing was said. `root_file`: a root.crt lies
 * where the driver looks for one. */
struct conn_meaning conn_meaning(const struct conn_options *options, enum pasted_driver driver,
                                 bool root_file);
/** Of what was read, with the parameters that are not libpq's. */
struct conn_meaning conn_meaning_pasted(const struct pasted *pasted, bool root_file);
/** What another version of the driver makes of the same text; empty: nothing is known of any. */
struct str conn_meaning_changes(const struct pasted *pasted);
/** Does a root.crt in the home directory count with sslmode=require? */
bool conn_meaning_reads_root_file(enum pasted_driver driver);
/** Does one lie there? */
bool conn_meaning_has_root_file(const struct conn_world *world, struct arena *arena);
/** Each host is a unix socket or this machine. */
bool conn_meaning_is_local(const struct conn_options *options);

#endif
