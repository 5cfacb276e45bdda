/**
 * Who connects how, over all workers and restarts: a table in memory, written to pgseal.clients in state_directory from time to time.
 *
 * Workers count for themselves and hand their tables over every few seconds, or when a statement asks; the
 * SQL thread adds them up. The file is a copy: whatever is wrong with it, the gate counts on and says so
 * once.
 */
#ifndef PGSEAL_GATE_STATS_CLIENTS_H
#define PGSEAL_GATE_STATS_CLIENTS_H

#include "base/err.h"
#include "status/clients.h"

struct addresses;
struct lru;
struct arena;
struct clients;
struct env;
struct sql_thread;

enum {
    CLIENTS_PER_WORKER = 1024, /* rows a worker holds until it hands them over */
    CLIENTS_HAND_OVER_MS = 2000
};

/** Not counting yet. dir, env: borrowed. NULL when memory ran out. */
struct clients *clients_new(struct sql_thread *sql, const char *dir, const struct env *env);
/** What is known of addresses, from the same rows. Borrowed. */
struct addresses *clients_addresses(const struct clients *clients);
/** The first thing that the SQL thread does is to read the file. `limit`: rows to keep. */
MUST_CHECK bool clients_start(struct clients *clients, size_t limit);
/** Instead: count, but neither read the file nor write it, for another gate still does; until clients_go_on(). */
void clients_await(struct clients *clients, size_t limit);
/** From any thread: that gate has written its last. False when memory ran out: nothing is read or written. */
MUST_CHECK bool clients_go_on(struct clients *clients);
/** From any thread: keep so many rows from now on. False when memory ran out. */
MUST_CHECK bool clients_set_limit(struct clients *clients, size_t limit);
/** A worker's own table, empty. NULL when memory ran out. */
struct lru *clients_table(void);
/**
 * From any thread: add the rows of a clients_table() (taken on success) before everything that is posted to
 * the SQL thread later; then *under_way, which was counted up here, is counted down. False when memory ran
 * out.
 */
MUST_CHECK bool clients_hand_over(struct clients *clients, struct lru *table, _Atomic unsigned *under_way);
/** On the SQL thread, when all workers have handed over: copies of all rows, those that had sessions first,
 * and of these the latest. False when memory ran out. */
MUST_CHECK bool clients_copy(struct clients *clients, struct arena *arena, const struct client_row **out,
                             size_t *out_n);
/**
 * From any thread: write once more what has been handed over, and never again; then `done`, on the SQL
 * thread. False when memory ran out: nothing happens.
 */
MUST_CHECK bool clients_leave(struct clients *clients, void (*done)(void *arg), void *arg);
/** From any thread: never write again. False: something is being written now. */
MUST_CHECK bool clients_forbid(struct clients *clients);
/** The SQL thread has been joined, its loop is still there: write what is not written. NULL is fine. */
void clients_stop(struct clients *clients);
/** After the SQL thread's loop has gone. NULL is fine. */
void clients_free(struct clients *clients);

#endif
