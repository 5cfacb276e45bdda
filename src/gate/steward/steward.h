/** The inside of the steward: for gate.c and reload.c only. */
#ifndef PGSEAL_GATE_STEWARD_STEWARD_H
#define PGSEAL_GATE_STEWARD_STEWARD_H

#include "base/env.h"
#include "base/secret.h"
#include "gate/gate.h"
#include "gate/load/history.h"
#include "gate/steward/listen.h"
#include "gate/work/worker.h"
#include "os/files.h"

struct overview;
struct poll;
struct snapshot;
struct timer;
struct watch;

enum reload_trigger {
    RELOAD_START,
    RELOAD_SIGNAL,
    RELOAD_SQL,          /* pg_reload_conf() */
    RELOAD_CERTIFICATES, /* certificate files have changed */
    RELOAD_FILES         /* rule or settings files were replaced */
};

struct measure_waiter {
    void (*done)(void *arg, const struct counters *counters);
    void *arg;
    STAILQ_ENTRY(measure_waiter) next;
};
STAILQ_HEAD(measure_waiters, measure_waiter);

STAILQ_HEAD(reach_waiters, reach_waiter);

/** Whether any server answers (reach.c). */
struct reach {
    struct reach_waiters waiters; /* who waits for the look that is under way */
    bool looking;                 /* on the pool, and it holds a snapshot */
    bool reached;
    unsigned generation; /* of the snapshot whose servers were looked at */
    int64_t until_ms;    /* the answer is good */
};

TAILQ_HEAD(role_check_list, role_check);

/** Who is asked for the primary (role_check.c). */
struct role_checks {
    struct role_check_list list;
    unsigned under_way; /* on the pool, and each holds a snapshot */
    uint64_t turns;     /* given to those that wait */
    int64_t hurry_until_ms;
    atomic_bool stop;
};
struct answers;
struct handover;
struct successor;
LIST_HEAD(elder_list, elder);

struct gate {
    const struct gate_params *params;
    const struct env *env;
    char state_dir[OS_PATH_MAX]; /* where the gate keeps what it writes itself */
    struct os_lock lock;
    struct gate_shared shared;
    struct worker **workers;
    struct tls_library **libraries;
    struct tls_library
        *http_library; /* of the steward; its checks of what is served use it on a pool thread */
    unsigned n_workers;
    unsigned n_closed; /* workers that listen no more */
    unsigned n_ended;
    struct snapshot *snapshot;
    struct snapshot *previous; /* what a reload replaced, until the new one is seen on the wire */
    unsigned generation;
    struct secret passphrase;
    struct listen_set listening;
    struct loop *loop;
    struct signal_watch *signals[2];
    struct pending_watch *hangup;
    struct timer *delay_timer; /* shutdown_delay */
    struct timer *drain_timer;
    struct timer *release_timer; /* the SQL thread has not written its last in time */
    struct watch *watch;
    struct timer *key_timer;        /* a key that does not fit its certificate: wait for the other file */
    struct timer *cert_check_timer; /* certificates and revocation lists grow old without any reload */
    struct history history;         /* what reloads came to */
    struct counters *counters;      /* what happens to the gate as a whole */
    struct measure_waiters waiters; /* who wants the next measurement */
    bool measuring; /* one is under way: elders are asked, or it is on the pool and holds a snapshot */
    struct reach reach;
    struct role_checks role_checks;
    bool key_waits;
    enum reload_trigger key_trigger; /* of the attempt that waits */
    bool leaving; /* told to stop with a shutdown_delay, in which connections are still accepted */
    bool draining;
    bool succeeded; /* another process is the gate now; what is left here are sessions that could not move */
    void (*released)(struct gate *g); /* called when the lock is closed, instead of a line in the log */
    struct handover *handover;        /* to a successor (handover.c); NULL: none is known */
    struct successor *successor;      /* what we are of a gate before us (succeed.c); NULL: there is none */
    struct elder_list elders;         /* processes before us that still have sessions (elders.c) */
    struct answers *answers;          /* to who is the gate now (answers.c); NULL: it has never asked */
    struct poll *orders;              /* of the parent */
    bool ready;                       /* all workers listen */
    bool programs;                    /* some can be run: asks for a passphrase at reloads */
    void *http;                       /* params->http's; NULL: off */
    struct overview *overview;        /* made by the first who asks */
};

/** All workers have ended; only what they left behind is being put away. */
static inline bool gate_is_over(const struct gate *g)
{
    return g->n_ended == g->n_workers;
}

#endif
