/** The inside of a worker's thread: for worker_thread.c and accept.c only. */
#ifndef PGSEAL_GATE_SESSION_WORKER_THREAD_IMPL_H
#define PGSEAL_GATE_SESSION_WORKER_THREAD_IMPL_H

#include "gate/session/drain.h"
#include "gate/session/worker_thread.h"
#include "net/socket.h"

#include <pthread.h>

struct poll;
struct worker_thread;

struct listener {
    struct worker *worker;
    int fd;
    bool tcp; /* then the descriptor is this worker's own */
    int batch;
    uint64_t round; /* the last one in which it was ready */
    struct poll *poll;
    LIST_ENTRY(listener) entry;
};

/** A connection that was accepted. */
struct accepted {
    bool local;
    bool last_descriptor; /* on the last descriptor, and nobody can yield */
    int fd;
    struct address peer;
};

/** Who comes in. */
struct accepting {
    LIST_HEAD(, listener) listeners;
    bool on;
    bool holding; /* `held` waits until the load has been decided, and all others with it */
    struct accepted held;
    struct timer *pause; /* descriptors ran out, or a load takes long: try again later */
    int spare;           /* a descriptor that is given up for a client when there is none left; -1: was */
    int64_t need_us;     /* when the log was told last that descriptors ran out */
};

struct worker_thread {
    struct worker worker; /* what everything else knows of it; the first member: see worker_thread_of() */
    struct accepting accepting;
    struct drain drain;
    bool hurried;                /* told to end at once */
    bool drained;                /* of its own sessions; others may have some still */
    bool finishing;              /* nobody has: what is left ends, then the loop */
    struct loop_message *finish; /* to itself, from whoever is drained last; NULL once sent */
    struct loop_message *closed; /* to the steward, when it listens no more; NULL once sent */
    bool running;                /* the thread exists; the steward's to know */
    pthread_t thread;
};

static inline struct worker_thread *worker_thread_of(struct worker *worker)
{
    return (struct worker_thread *)(void *)worker;
}

#endif
