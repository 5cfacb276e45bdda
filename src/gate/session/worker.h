/**
 * One event-loop thread and its sessions. Share-nothing: what a worker has, no other thread touches.
 */
#ifndef PGSEAL_GATE_SESSION_WORKER_H
#define PGSEAL_GATE_SESSION_WORKER_H

#include "base/err.h"
#include "gate/gate.h"
#include "gate/steward/verify_served.h"

#include <stdatomic.h>
#include <sys/types.h>

struct address;
struct client_row;
struct clerk_link;
struct clients;
struct count_cell;
struct counters;
struct env;
struct history;
struct host_cache;
struct host_roles;
struct loop;
struct session;
struct shares;
struct snapshot;
struct sql_thread;
struct stream_room;
struct tally;
struct tls_library;
struct worker;

enum { FORGET_SLOTS = 256 };

/** What all workers of a gate share: relaxed counters, and constants of the process. */
struct gate_shared {
    struct env *env;
    _Atomic long connections;               /* authenticated: they count against max_connections */
    struct shares *pending, *pending_local; /* who is not, over TCP and over unix sockets: pending.h */
    struct shares *relayed;                 /* of these, who has a connection to a server already */
    int pending_most;                       /* what descriptors suffice for */
    _Atomic unsigned long session_ids;
    uint8_t nonce[32];                 /* of pgseal.secret */
    char check_name[SERVED_NAME_SIZE]; /* by which the gate knows its own visits */
    uid_t uid;                         /* of the gate's process */
    unsigned n_workers;
    atomic_uint forgotten[FORGET_SLOTS]; /* failed logins by user: lookup.c */
    struct host_roles *roles;            /* primaries and standbys, as logins found them */
    struct worker **workers;
    _Atomic unsigned n_undrained; /* workers that have been started and are not drained */
    struct loop **loops;          /* of the workers, for questions to all of them */
    struct sql_thread *sql;       /* has the status database's statements run, one at a time */
    struct clerk_link *clerk;     /* by this */
    struct clients *clients;      /* who connects how; the SQL thread's */
    _Atomic int32_t console_pid;  /* the last one given to a session of the status database */
    int64_t started_us;
    const char *dir; /* as given to serve, with what -c said */
    const struct str *overrides;
    size_t n_overrides;
    _Atomic bool loading;        /* a load is under way: who comes now is judged by what it comes to */
    _Atomic unsigned generation; /* of the snapshot that is in force, or on its way to the workers */
    /* Called on the steward's loop, with `gate`: a worker listens no more, its loop has ended. */
    struct loop *steward;
    void (*worker_closed)(void *gate);
    void (*worker_ended)(void *gate);
    /** On the steward's loop: load the files anew; `note` says what came of it. */
    void (*reload)(void *gate, struct err *note);
    const struct history *history; /* what reloads came to; the steward's */
    gate_auditor *auditor;         /* makes pgseal_findings; may be NULL */
    void *gate;
};

/** Not running yet. NULL when memory or descriptors ran out. */
struct worker *worker_new(struct gate_shared *shared, unsigned index);
/** All workers have been joined: drop what still travels between them. Before the first worker_free(). */
void worker_abandon(struct worker *worker);
/** After worker_join(), or before worker_start(). */
void worker_free(struct worker *worker);
/** Listen on `fd` too (taken). Before worker_start(). tcp false: a descriptor that all workers poll, not
 * taken. */
MUST_CHECK enum code worker_add_listener(struct worker *worker, int fd, bool tcp);
/** Start the thread. `snapshot`: a reference, taken. */
MUST_CHECK enum code worker_start(struct worker *worker, struct snapshot *snapshot, struct err *e);
void worker_join(struct worker *worker);

/**
 * An order to use this snapshot for new connections; when it has been followed, `done` is called on the
 * worker. Made first and sent later, so that either all workers hear of a snapshot or none. NULL when memory
 * ran out.
 */
struct worker_order *worker_order_new(struct worker *worker, struct snapshot *snapshot,
                                      void (*done)(void *arg), void *arg);
/** From any thread; taken. */
void worker_order_send(struct worker_order *order);
/** One that was not sent. NULL is fine. */
void worker_order_free(struct worker_order *order);
/** From any thread: no load is under way any more; who was held comes in. */
void worker_loaded(struct worker *worker);
/**
 * From any thread: listen no more, and end the sessions at their next ReadyForQuery(idle), or at once. Who
 * stands in the listeners' queues still comes in, and hears 57P03. The loop ends when no worker has sessions.
 */
MUST_CHECK bool worker_drain(struct worker *worker, bool now);
/** From any thread: run something on the worker's loop. */
MUST_CHECK bool worker_post(struct worker *worker, void (*fn)(void *arg), void *arg);

/* ---- on the worker's own thread ---- */

struct loop *worker_loop(struct worker *worker);
struct stream_room *worker_room(struct worker *worker);
struct tally *worker_tally(struct worker *worker);
/** Count what was seen of a client. Without memory it is not counted. */
void worker_count_client(struct worker *worker, const struct client_row *seen);
/** Hand over what was counted, before everything that is posted to the SQL thread later. */
void worker_hand_over_clients(struct worker *worker);
/** Written on the worker's own thread, read on any. */
struct counters *worker_counters(struct worker *worker);
/** The cells of the bytes that clients send and get. */
struct count_cell *worker_received(struct worker *worker);
struct count_cell *worker_sent(struct worker *worker);
unsigned worker_index(const struct worker *worker);
struct host_cache *worker_hosts(struct worker *worker);
const struct env *worker_env(const struct worker *worker);
struct gate_shared *worker_shared(struct worker *worker);
struct snapshot *worker_snapshot(struct worker *worker); /* borrowed */
struct tls_library *worker_library(struct worker *worker);
bool worker_draining(const struct worker *worker);
/** Descriptors ran out for a session that is served: somebody who has not logged in yields. True: there is one
 * now. */
bool worker_needs_descriptor(struct worker *worker);
/** A session begins, ends (it is in farewell), and has given its memory back. */
void worker_session_began(struct worker *worker, struct session *session);
void worker_session_ended(struct worker *worker, struct session *session);
/**
 * A session from before the drain is owed no more than an answer to its StartupMessage: it counts as late.
 */
void worker_owes_less(struct worker *worker);
/** `late`: it came when the worker was draining already, or was not through the door. */
void worker_session_freed(struct worker *worker, bool late);

/* ---- cancel keys (registry.c) ---- */

/**
 * Draw a key that fits this worker and is unique here, and remember the session under (s->pid, key).
 * The first four bytes modulo the number of workers give the worker, so a request finds its way without a
 * shared table; over all workers keys are as random as before. n: 4 or 32.
 */
MUST_CHECK enum code registry_add(struct worker *worker, struct session *session, uint8_t n);
/** Forget it, under the pid it was added with. Harmless on a session that is not there. */
void registry_remove(struct worker *worker, struct session *session);
/** Constant time in the key; NULL when nothing fits. `pid_known` tells the two log lines apart. */
struct session *registry_find(struct worker *worker, uint32_t pid, struct bytes key, bool *out_pid_known);
/** The first session of that pid, whatever its key, or the next one `after` such a session; NULL: none. */
struct session *registry_next(struct worker *worker, uint32_t pid, const struct session *after);
/** Which worker a request belongs to. */
unsigned registry_worker(struct bytes key, unsigned n_workers);

#endif
