/**
 * One connection on its way through the house: what the rooms know of it, and how they answer.
 *
 * A room reads s->in (plaintext from the client), appends to s->out, and answers; it never waits and never
 * touches the client's socket before relay. Only walk.c knows the order of the rooms, enters states, reads
 * and sends, and acts on answers. A session belongs to one worker and never moves.
 */
#ifndef PGSEAL_GATE_SESSION_SESSION_H
#define PGSEAL_GATE_SESSION_SESSION_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/log.h"
#include "conf/settings.h"
#include "gate/load/snapshot.h"
#include "gate/stats/addresses.h"
#include "gate/upstream/server_conn.h"
#include "net/socket.h"
#include "net/stream.h"
#include "pgwire/hello.h"
#include "pgwire/msg.h"
#include "pki/peer.h"
#include "policy/match.h"
#include "policy/policy.h"
#include "tls/cause.h"

struct admission;
struct console_room;
struct count_cell;
struct cancel_task;
struct resolve;
struct share;
struct upstream_room;
struct worker;

enum state {
#define X(name, phase, arrows, enter, step, leave, drain, cancel, waits_for) STATE_##name,
#include "states.def"
#undef X
    STATE_COUNT
};

const char *state_name(enum state state);

enum step {
    STEP_MORE, /* more bytes from the client are needed */
    STEP_JOB,  /* something else must happen first; session_resume() goes on */
    STEP_DONE, /* go to s->next */
    STEP_FAIL  /* go to farewell; the room's `e` says why, s->parting says how */
};

/** How a failed session takes leave of its client. */
enum parting {
    PARTING_FATAL,    /* ErrorResponse with severity FATAL, then close */
    PARTING_FATAL_V2, /* the same in the format of protocol 2 */
    PARTING_YIELDED,  /* as PARTING_FATAL, but whether the client takes it is not waited for */
    PARTING_RELAYED,  /* the server's own ErrorResponse is in s->out already; one line in the log */
    PARTING_LOGGED,   /* no byte for the client; one line in the log */
    PARTING_SILENT,   /* neither */
    PARTING_ABRUPT    /* neither, and no close_notify */
};

/** Who is at the other end of the client's socket: one of these. */
enum origin {
    ORIGIN_TCP,
    ORIGIN_BALANCER, /* its PROXY header is due; then ORIGIN_TCP, and `peer` is whom the header names */
    ORIGIN_GATE,     /* ORIGIN_TCP until its ALPN said so: sends cancel requests and nothing else */
    ORIGIN_UNIX,
    ORIGIN_OWNER /* ORIGIN_UNIX until admit: the gate's own OS user, or root, at the status database */
};

/** What else is true of a session. */
enum session_flag {
    /* Its place. WITHOUT_DESCRIPTOR is refused in greet or startup, so it is never COUNTED. */
    SESSION_WITHOUT_DESCRIPTOR = 1 << 0, /* came when no descriptor was left */
    SESSION_COUNTED = 1 << 1,      /* counts against max_connections: from route or upstream to farewell */
    SESSION_LIMITED = 1 << 11,     /* and against the limits of its user and database */
    SESSION_SPOKE_LOCAL = 1 << 13, /* its balancer spoke for itself: LOCAL */
    SESSION_UNSAID = 1 << 14,      /* the log does not know yet that it came (visit.h) */
    SESSION_JUDGED = 1 << 15,      /* `visit` is known */
    SESSION_TOO_FAST = 1 << 12,    /* its address begins too many: refused in greet or startup */
    /* The end of its worker. Either, both, or neither: a client that came late is told to go anyway. */
    SESSION_LATE = 1 << 2,     /* the drain does not wait for it: came meanwhile, or had said nothing */
    SESSION_DRAINING = 1 << 3, /* is to end; in relay and console when its turn comes: */
    SESSION_DUE = 1 << 10,     /* it ends at the next ReadyForQuery(idle) */
    /* The client. BUSY only in relay; DEAF in any state, and for good. */
    SESSION_DEAF = 1 << 4,  /* nothing more is read of it: end of file, or nobody is left to hear it */
    SESSION_BUSY = 1 << 5,  /* has asked for something that the server has not answered in full */
    SESSION_BOUND = 1 << 6, /* its password exchange was bound to the TLS channel */
    SESSION_TOLD =
        1 << 16, /* the server has ended with FATAL what it has to say, as far as is known; only in relay */
    /* Between two processes; only in relay. */
    SESSION_HELD = 1 << 8,  /* nothing is read, written or ended: see pack.h */
    SESSION_DOOMED = 1 << 9 /* was to end at once meanwhile */
};

enum {
    SESSION_IN_MAX = 256 * 1024,       /* plaintext held for a room; reading pauses above */
    SESSION_OUT_MAX = 8 * 1024 * 1024, /* what a login may say before ReadyForQuery */
    SESSION_ARENA_MAX = 256 * 1024,    /* what one client may make us remember */
    SESSION_ARENA_FIRST = 896,         /* holds what most sessions keep: a second block would double it */
    SESSION_SCRATCH_MAX = 1024 * 1024  /* what its login may need meanwhile */
};

/** What is known of the client's TLS session and certificate; texts live in the session's arena. */
struct tls_facts {
    bool used;
    bool direct;
    bool alpn;
    const char *version;
    const char *cipher;
    const char *group;
    int bits;
    struct str sni;                    /* a host name, so cleaned to ASCII */
    const struct tls_context *context; /* that serves the client; of the snapshot */
    bool has_cert;
    struct peer_cert cert;
    enum trial trial; /* session/trial.h */
    bool judged;      /* what became of the trial is known */
};

struct session;

/** What the walk does with a session when something else asks for it; see the functions below. */
struct session_walk {
    void (*resume)(struct session *s);
    void (*end)(struct session *s, enum parting parting, const struct err *e);
    void (*drain)(struct session *s, bool now);
    void (*cancel)(struct session *s);
    void (*login_over)(struct session *s);
};

struct session {
    const struct session_walk *walk;
    struct worker *worker;
    struct snapshot *snapshot; /* the one in force when the client connected */
    TAILQ_ENTRY(session) entry;
    uint64_t id;
    enum state state;
    enum state next;
    enum parting parting;
    enum origin origin;
    uint8_t visit;    /* enum visit_kind */
    uint16_t proxy_n; /* bytes of the PROXY header */
    uint32_t said_n;  /* bytes up to the end of its StartupMessage, without TLS */
    unsigned flags;   /* enum session_flag */
    struct address peer;
    struct str peer_name;     /* of the client's address, where a rule wanted it looked up */
    struct address *balancer; /* who sent the PROXY header; NULL: nobody */
    struct str balancer_id;   /* its name for the connection; empty: none */
    struct stream client;
    struct stream server; /* from relay on; before that it belongs to server_conn */
    struct timer *deadline;
    struct arena arena;   /* lives as long as the session */
    struct arena scratch; /* freed when relay begins */
    struct buf in;
    struct buf out;
    struct hello hello;
    struct startup startup;
    struct tls_facts tls;
    const struct hba_rule *rule;     /* of the snapshot's policy; NULL before */
    struct str upstream_user;        /* the role the gate acts as on the server */
    const struct upstream *upstream; /* of the snapshot; NULL: none yet */
    struct str server_text;          /* its address, once the session is established */
    enum sslmode server_sslmode;     /* as its upstream said when the session began */
    struct str identity;             /* authenticated name for logs; p == NULL: the method sets none */
    enum cause cause;                /* of a refusal, where somebody knows better than its code */
    const char *reason; /* for the log only: why the client is, or will be, refused; NULL: nothing to add */
    struct admission *admission;     /* room admit; in scratch */
    struct server_conn *server_conn; /* room upstream */
    struct cancel_task *cancel_task; /* room cancel: the first of those under way */
    uint32_t n_cancel_tasks;
    uint32_t n_requests; /* of another gate, on this connection */
    struct upstream_room *upstream_room;
    struct console_room *console;
    struct resolve *resolve;
    struct share *pending; /* its place among those that are not authenticated */
    struct share *relayed; /* its place at the server, while that judges it */
    /* relay */
    struct msg_follow follow;
    struct msg_asked asked; /* by the client: as many ReadyForQuery as follow.n_ready when all are answered */
    int32_t pid;            /* the server's backend pid; 0: none yet */
    uint8_t key[32];        /* the cancel key that the client holds */
    uint8_t key_n;          /* its length; 0: not in the registry */
    char gs2;               /* the client's flag in SCRAM's first message; 0: there was none */
    struct session *key_next;          /* registry's chain */
    struct cancel_route *cancel_route; /* how to reach the session's server for a cancel */
    int64_t started_us;
    int64_t began_mono_us;            /* the same moment, of the clock that never steps back */
    int64_t admission_mono_us;        /* authentication began */
    int64_t admitted_mono_us;         /* and succeeded */
    int64_t handshake_us;             /* how long TLS took; 0: no TLS, negative: it goes on */
    int64_t ready_us;                 /* when it was admitted; 0: not yet */
    int64_t ready_mono_us;            /* the same moment, for its duration */
    int64_t login_wait_us;            /* for its turns at the server; negative: it waits since then */
    uint32_t upgrades;                /* how often another process has taken it over */
    struct count_cell *metered;       /* where it counts among the sessions */
    uint64_t metered_in, metered_out; /* what of client.received and sent is counted */
    int64_t active_ms;                /* of the loop's clock: bytes last went either way */
};

/* ---- for rooms ---- */

/** Begin a log line that carries what is known of the session. End it with log_end(). */
void session_log(struct session *s, struct log_line *line, enum severity severity, const char *event);
/** One line `connection_received`, where log_connections asks for it. */
void session_log_received(struct session *s);
/** Answer STEP_FAIL with this way of parting. */
enum step session_fail(struct session *s, enum parting parting);
/** Answer STEP_DONE. */
enum step session_goto(struct session *s, enum state next);
/** Note that the session is served from now on. */
void session_ready(struct session *s);
const struct env *session_env(const struct session *s);
const struct settings *session_settings(const struct session *s);
/** Its route, once the StartupMessage is there. */
const struct settings_route *session_route(const struct session *s);
/** True when the client came over a unix socket. */
static inline bool session_is_local(const struct session *s)
{
    return s->origin == ORIGIN_UNIX || s->origin == ORIGIN_OWNER;
}
/** "127.0.0.1" or "[local]". */
void session_host(const struct session *s, char *out, size_t size);

/* ---- for those who woke it: loop callbacks, jobs ---- */

/** Go on with the present room after STEP_JOB. May end the session: touch it no more. */
void session_resume(struct session *s);
/** End a session with this error, whatever it is doing. */
void session_end(struct session *s, enum parting parting, const struct err *e);
/** The gate is to stop, or this session: end now; or, in relay and console, when it is due (walk_due()). */
void session_drain(struct session *s, bool now);
/** Cancel what the session is doing, as if its client had asked. On its worker. */
void session_cancel(struct session *s);
/** Nothing of the login is needed any more. */
void session_login_over(struct session *s);
/** Nothing more to wait for in farewell. The memory goes back from the timer: somebody up the stack may still
 * hold the session. */
void session_gone(struct session *s);
/** True when the session asked for the status database. */
bool session_is_console(const struct session *s);
/** Flush s->out to the client's socket. False: the client is gone and the session is on its way out. */
MUST_CHECK bool session_send(struct session *s);
/** Begin the AUTH phase's timer. */
void session_phase_auth(struct session *s);
/** Neither phase any more. */
void session_phase_none(struct session *s);

#endif
