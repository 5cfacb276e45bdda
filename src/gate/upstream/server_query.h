/**
 * A fenced session of the gate's own on a server: one parameterised query at a time, rows of text.
 *
 * search_path is pg_catalog, statements time out, transactions are read only, times are ISO in UTC
 * [src: CVE-2025-12819: a role's own search_path must not decide what the secrets query calls].
 */
#ifndef PGSEAL_GATE_UPSTREAM_SERVER_QUERY_H
#define PGSEAL_GATE_UPSTREAM_SERVER_QUERY_H

#include "base/err.h"

struct conn_host;
struct server_query;
struct snapshot;
struct upstream;
struct worker;

enum { QUERY_COLUMNS_MAX = 8 };

struct server_query_owner {
    /** A row; values[i].p is NULL for SQL's NULL. Borrowed for the call. */
    void (*row)(void *arg, const struct str *values, size_t n);
    /** The server has answered: e NULL, or its error; E_ENCODING: it has no such character as the parameter
     * holds. The next question may be asked from here. */
    void (*done)(void *arg, const struct err *e);
    /** The question was not answered: no session could be had, or it was lost. */
    void (*lost)(void *arg, const struct err *e);
    void *arg;
};

/** Connects at the first question. snapshot: a reference of its own is taken. NULL when memory ran out. */
struct server_query *server_query_new(struct worker *worker, struct snapshot *snapshot,
                                      const struct upstream *upstream,
                                      const struct server_query_owner *owner);
void server_query_free(struct server_query *query);
/** Ask, with one text parameter. Only when no question is open. Answers come from the loop. */
MUST_CHECK enum code server_query_ask(struct server_query *query, struct str sql, struct str parameter);
/** A host has become the primary, or (lost) is it no more: an open question goes on to another one. */
void server_query_news(struct server_query *query, const struct conn_host *host, bool lost);

#endif
