/** The inside of a worker: for worker.c, accept.c, registry.c, cancel.c, forward.c, lookup.c, pending.c only. */
#ifndef PGSEAL_GATE_SESSION_WORKER_PRIVATE_H
#define PGSEAL_GATE_SESSION_WORKER_PRIVATE_H

#include "base/env.h"
#include "client/hosts.h"
#include "gate/session/worker.h"
#include "net/socket.h"
#include "net/stream.h"

#include <pthread.h>
#include <sys/queue.h>

enum { REGISTRY_SLOTS = 1024 /* a power of two */ };

struct listener {
    struct worker *worker;
    int fd;
    bool tcp; /* then the descriptor is this worker's own */
    struct poll *poll;
    LIST_ENTRY(listener) entry;
};

/** A connection that was accepted. */
struct accepted {
    bool local;
    bool crowded; /* on the last descriptor, and nobody can yield */
    int fd;
    struct address peer;
};

struct gather_part; /* gather.c: sessions being copied for a statement */
struct forwarder;   /* forward.c: the connections to other gates */
struct errand;      /* cancel.c: a cancel request on its way to a server */
struct lookups;     /* lookup.c: cached answers and queries under way */

struct worker {
    struct gate_shared *shared;
    unsigned index;
    struct env env;
    struct loop *loop;
    struct stream_room room;
    struct tls_library *library;
    struct snapshot *snapshot;
    struct host_cache hosts;
    bool holding; /* `held` waits until the load has been decided, and all others with it */
    struct accepted held;
    struct timer *accept_pause; /* descriptors ran out, or a load takes long: try again later */
    bool accepting;
    int spare;          /* a descriptor that is given up for a client when there is none left; -1: was */
    int64_t need_us;    /* when the log was told last that descriptors ran out */
    size_t n_yielded;   /* pending connections that yielded, of which the log does not know */
    int64_t yielded_us; /* when it was told last */
    LIST_HEAD(, listener) listeners;
    TAILQ_HEAD(session_list, session) sessions;
    size_t n_owed;  /* while draining: sessions from before that are still there */
    size_t n_alive; /* sessions whose memory has not come back */
    struct session *registry[REGISTRY_SLOTS];
    LIST_HEAD(, errand) errands;
    struct forwarder *forwarder; /* of cancel requests to other gates; the first worker's */
    struct lookups *lookups;
    struct tally *tally;
    struct aged *clients; /* who connected how since the last time they were handed over; NULL: nobody */
    struct timer *clients_timer;
    _Atomic unsigned clients_under_way; /* tables that the SQL thread has not taken yet */
    struct counters *counters;
    struct count_cell *received, *sent;
    LIST_HEAD(, gather_part) gathering;
    bool draining;
    bool hurried;                /* told to end at once */
    bool drained;                /* of its own sessions; others may have some still */
    bool finishing;              /* nobody has: what is left ends, then the loop */
    struct loop_message *finish; /* to itself, from whoever is drained last; NULL once sent */
    struct loop_message *closed; /* to the steward, when it listens no more; NULL once sent */
    bool running;                /* the thread exists; the steward's to know */
    bool ended;                  /* the loop has ended: nothing more is answered */
    pthread_t thread;
};

/** Begin to accept, or go on. */
void accept_again(void *worker);
/** The load may have been decided: whoever was held comes in. */
void accept_held(struct worker *worker);
/** Take whoever stands in the queues, and listen no more. */
void accept_stop(struct worker *worker);
/** A session has given its descriptors back. */
void accept_freed(struct worker *worker);
void accept_free(struct worker *worker);
/** Give up all queries and forget all answers; NULL is fine. */
void lookups_free(struct lookups *lookups);
/** The loop has ended: cancel requests still on their way are dropped. All workers must have been joined. */
void cancel_abandon(struct worker *worker);

#endif
