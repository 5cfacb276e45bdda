/**
 * How many connections a user and a database have, and how fast an address begins them: counted, and compared with
 * limits.
 *
 * Only names that have a connection, or were refused, are kept; of those that have none any more a bounded number.
 * Thread-safe.
 */
#ifndef PGSEAL_NET_LIMITS_H
#define PGSEAL_NET_LIMITS_H

#include "base/err.h"
#include "net/prefix.h"

enum limit_kind { LIMIT_USER, LIMIT_DATABASE, LIMIT_ADDRESS };

enum { LIMIT_NAME_MAX = 64 /* bytes of a name that count [src: PostgreSQL 18, NAMEDATALEN] */ };

struct limits;

/** NULL when memory ran out. */
struct limits *limits_new(void);
/** NULL is fine. */
void limits_free(struct limits *limits);

/** One connection more of this name. E_TOO_MANY, counted as a refusal: there are `limit` already (0: any number). E_NOMEM. */
MUST_CHECK enum code limits_take(struct limits *limits, enum limit_kind kind, struct str name,
                                 unsigned limit);
/** One that was taken is over. */
void limits_leave(struct limits *limits, enum limit_kind kind, struct str name);

/** An address begins a connection: may it? `per_s` at once, and then as many a second. */
bool limits_begin(struct limits *limits, const struct prefix *prefix, unsigned per_s, int64_t now_ms);

struct limit_count {
    enum limit_kind kind;
    struct str name; /* borrowed */
    uint64_t used;   /* connections; of an address, those that were begun in the last second */
    uint64_t refused;
};

/** For each user and database that has connections or was refused, and each address that was refused. `each` must not
 * call back. */
void limits_each(struct limits *limits, int64_t now_ms,
                 void (*each)(void *arg, const struct limit_count *count), void *arg);

#endif
