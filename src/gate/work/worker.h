/**
 * What one event-loop thread lends to everything that runs on it: its loop, buffers, clock, tables.
 *
 * Share-nothing: what a worker has, no other thread touches, except where a member says so. Another worker is
 * spoken to through its loop. How the thread lives is gate/session/worker_thread.h.
 */
#ifndef PGSEAL_GATE_WORK_WORKER_H
#define PGSEAL_GATE_WORK_WORKER_H

#include "base/env.h"
#include "client/hosts.h"
#include "client/verify_served.h"
#include "gate/gate.h"
#include "net/stream.h"
#include "pgwire/hello.h"

#include <stdatomic.h>
#include <sys/queue.h>
#include <sys/types.h>

struct clerk_link;
struct clients;
struct count_cell;
struct counters;
struct history;
struct host_roles;
struct limits;
struct loop;
struct session;
struct shares;
struct snapshot;
struct sql_thread;
struct tally;
struct tls_library;
struct turns;
struct view_services;
struct visits;
struct worker;

enum { FORGET_SLOTS = 256 };

/** How sessions that were served when the gate was told to stop have ended. */
enum drained {
    DRAINED_IDLE,   /* between two transactions */
    DRAINED_CUT,    /* in one, or in a query: at drain_timeout, or by SIGINT */
    DRAINED_CLIENT, /* the client, or the server, was first */
    DRAINED_COUNT
};

/** What all workers of a gate share: relaxed counters, and constants of the process. */
struct gate_shared {
    struct env *env;
    _Atomic long connections;               /* authenticated: they count against max_connections */
    struct shares *pending, *pending_local; /* who is not, over TCP and over unix sockets: pending.h */
    struct shares *relayed;                 /* of these, who has a connection to a server already */
    struct visits *visits;                  /* of health checks: session/visit.h */
    struct limits *limits;                  /* of users, databases, addresses: session/limit.h */
    struct turns *turns;                    /* to log in, by server: session/upstream_turn.h */
    int pending_most;                       /* what descriptors suffice for */
    _Atomic unsigned long session_ids;
    uint8_t nonce[32]; /* of pgseal.secret */
    uid_t uid;         /* of the gate's process */
    unsigned n_workers;
    atomic_uint forgotten[FORGET_SLOTS]; /* failed logins by user: lookup.c */
    struct host_roles *roles;            /* primaries and standbys, as logins found them */
    struct worker **workers;
    _Atomic unsigned n_undrained;      /* workers that have been started and are not drained */
    struct loop **loops;               /* of the workers, for questions to all of them */
    struct sql_thread *sql;            /* has the status database's statements run, one at a time */
    struct clerk_link *clerk;          /* by this */
    const struct view_services *views; /* session/console.h */
    struct clients *clients;           /* who connects how; the SQL thread's */
    _Atomic int32_t console_pid;       /* the last one given to a session of the status database */
    int64_t started_us;
    const char *dir; /* as given to serve, with what -c said */
    const struct str *overrides;
    size_t n_overrides;
    _Atomic bool elder, heir;    /* there is a process before us, or after us, that still has sessions */
    _Atomic bool waiting;        /* for the gate before, whose the listeners still are */
    _Atomic bool loading;        /* a load is under way: who comes now is judged by what it comes to */
    _Atomic unsigned generation; /* of the snapshot that is in force, or on its way to the workers */
    struct loop *steward;
    const struct steward_hooks *steward_hooks;
    struct gate *gate;             /* the hooks' argument, and nobody else's */
    const struct history *history; /* what reloads came to; the steward's */
    gate_auditor *auditor;         /* makes pgseal_findings; may be NULL */
    _Atomic long drain_left;       /* sessions that the drain has still to end */
    _Atomic unsigned long drained[DRAINED_COUNT];
};

/** Whom a cancel request means. */
struct cancel_request {
    uint32_t pid;
    uint16_t key_n;
    uint8_t key[CANCEL_KEY_MAX];
};

/** Whether another process has the session, and has passed the request on. */
typedef void cancel_answered(void *arg, bool known);

/** What the processes before this one are asked. */
enum elder_question {
    ELDER_SESSIONS = 'S', /* copies of their sessions (views/cards.h) */
    ELDER_FIGURES = 'F',  /* what they count (steward/figures.h) */
    ELDER_SIGNAL = 'K'    /* to find a session, or to end or cancel it (session/signalling.h) */
};

/** Who hears their answers, on the steward's loop. */
struct elder_listener {
    /** A piece of an answer of one of them. False: it makes no sense, and that one is not heard any more. */
    bool (*take)(void *arg, struct bytes piece);
    /** Once: all have answered, have ended, or took too long. */
    void (*done)(void *arg);
    void *arg;
};

/** What workers and sessions want of the steward. Each is called on the steward's loop. */
struct steward_hooks {
    /** A worker listens no more. */
    void (*worker_closed)(struct gate *gate);
    /** A worker's loop has ended. */
    void (*worker_ended)(struct gate *gate);
    /**
     * Ask the process before us, or the one that came after us, for the session that a cancel request means. False: there is
     * none, and `answered` is not called.
     */
    bool (*ask_elder)(struct gate *gate, const struct cancel_request *request, cancel_answered *answered,
                      void *arg);
    bool (*ask_heir)(struct gate *gate, const struct cancel_request *request, cancel_answered *answered,
                     void *arg);
    /** Ask all processes before us. False: there is none that answers, and `listener` is not called. */
    bool (*query_elders)(struct gate *gate, enum elder_question what, struct bytes details,
                         const struct elder_listener *listener);
    /** Load the files again; `note` receives the result. */
    void (*reload)(struct gate *gate, struct err *note);
    /** Ask the hosts of upstream_check_url now; `note` says how many, or why none. */
    void (*recheck)(struct gate *gate, struct err *note);
};

struct lru;
struct forwarder;
struct lookups;
struct registry;
struct timer;

/** Who connects how, since the last time it was handed over. */
struct client_counts {
    struct lru *table; /* NULL: nobody */
    struct timer *timer;
    _Atomic unsigned under_way; /* tables that the SQL thread has not taken yet */
};

struct worker {
    struct gate_shared *shared;
    unsigned index;
    struct env env;
    struct loop *loop;
    struct stream_room room;
    struct tls_library *library;
    struct snapshot *snapshot; /* the one that new connections get */
    struct host_cache hosts;
    struct counters *counters;          /* written on this thread, read on any */
    struct count_cell *received, *sent; /* bytes that clients send and get */
    struct tally *tally;
    struct client_counts clients;
    struct registry *registry;             /* session/registry.h */
    struct lookups *lookups;               /* upstream/lookup.h */
    struct forwarder *forwarder;           /* of cancel requests to other gates; the first worker's */
    LIST_HEAD(, cancel_task) cancel_tasks; /* session/cancel.h */
    LIST_HEAD(, gather_part) gathering;    /* views/gather.h */
    TAILQ_HEAD(session_list, session) sessions;
    size_t n_owed;      /* while draining: sessions from before that are still there */
    size_t n_alive;     /* sessions whose memory has not come back */
    size_t n_yielded;   /* pending connections that yielded, of which the log does not know */
    int64_t yielded_us; /* when it was told last */
    bool draining;
    bool succeeded; /* what it listened on is another process's; its sessions live on */
    bool ended;     /* the loop has ended: nothing more is answered */
    const struct worker_hooks *hooks;
    /** While sessions are copied (views/gather.h): one leaves the list. NULL: nobody copies. */
    void (*session_leaves)(struct worker *worker, const struct session *session);
};

/** What the thread itself does when its sessions come to something. */
struct worker_hooks {
    /** A session is owed no more, or has given its memory back. */
    void (*sessions_changed)(struct worker *worker);
    /** A session has given its descriptors back. */
    void (*descriptor_freed)(struct worker *worker);
    /** Descriptors ran out for a session that is served. True: there is one now. */
    bool (*needs_descriptor)(struct worker *worker);
};

#endif
