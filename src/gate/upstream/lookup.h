/**
 * What the gate asks the upstream server about a user, under auth_source = query: his secret, his memberships.
 *
 * Over a fenced session of its own (fixed search_path, statement timeout), one query in flight per user and
 * kind. For auth_cache_ttl memberships are used again, and a secret stands in for an answer that does not come [src: CVE-2025-12819 for the search_path].
 */
#ifndef PGSEAL_GATE_UPSTREAM_LOOKUP_H
#define PGSEAL_GATE_UPSTREAM_LOOKUP_H

#include "base/err.h"
#include "net/prefix.h"

struct arena;
struct conn_host;
struct credential;
struct lookup;
struct role_set;
struct settings_route;
struct snapshot;
struct lookups;
struct worker;

enum lookup_kind { LOOKUP_SECRET, LOOKUP_ROLES };

/** All borrowed for the call; a session that asks holds the snapshot. */
struct lookup_question {
    struct snapshot *snapshot;
    const struct settings_route *route; /* of the requested database: its upstream is asked */
    enum lookup_kind kind;
    struct str user;
    bool anew;            /* a cached answer has been tried, and was not good enough */
    struct prefix prefix; /* of the client; zero: the gate itself */
};

/** Ask. `done` is called from the loop, also when the answer is cached. NULL when memory ran out. */
struct lookup *lookup_new(struct worker *worker, const struct lookup_question *question,
                          void (*done)(void *arg), void *arg);
/** Before `done` it will not be called any more. NULL is fine. */
void lookup_free(struct lookup *lookup);
/**
 * After `done`: the answer was there before it was asked for, so the server may know better.
 */
bool lookup_cached(const struct lookup *lookup);
/**
 * After `done`: fill `credential` (LOOKUP_SECRET) or set `*roles` (LOOKUP_ROLES), copied into `arena`.
 * E_UNAVAILABLE and `e`: the server could not be asked, or answered with an error, whose SQLSTATE `e` then has.
 * E_CONFIG: its answer is not what auth_query must give.
 */
MUST_CHECK enum code lookup_take(struct lookup *lookup, struct arena *arena, struct credential *credential,
                                 const struct role_set **roles, struct err *e);
/** A login failed, perhaps on an answer that is no longer true: all workers ask again next time. */
void lookup_forget(struct worker *worker, struct str user);

/** What upstream_check_url has found out of a host: sessions of the gate's own on one that is lost are given up, and what
 * waits for a primary goes on. */
void lookups_news(struct lookups *lookups, const struct conn_host *host, bool lost);
/** Give up all queries and forget all answers; NULL is fine. */
void lookups_free(struct lookups *lookups);

#endif
