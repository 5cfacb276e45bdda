/**
 * The gate as a whole: start, serve until told to stop, reload.
 */
#ifndef PGSEAL_GATE_GATE_H
#define PGSEAL_GATE_GATE_H

#include "base/err.h"
#include "net/socket.h"
#include "os/parent.h"

struct arena;
struct counters;
struct env;
struct gate;
struct loop;
struct secret;
struct settings;
struct snapshot;
struct tls_context;

/* ---- what an audit finds ---- */

/** What an audit found, as pgseal_findings shows it. `id` and `severity` are static. */
struct gate_finding {
    const char *id, *severity;
    struct str where, what, fix;
};

struct gate_findings {
    const struct gate_finding *items; /* the worst first; in the caller's arena */
    size_t n;
};

/**
 * Looks at a snapshot for pgseal_findings. The audit is beside the gate, so whoever is above both
 * hands it in. Called on the SQL thread; may read files. E_NOMEM.
 */
typedef enum code gate_auditor(const struct snapshot *snapshot, int64_t now_unix_s, struct arena *arena,
                               struct gate_findings *out, struct err *e);

/* ---- what is shown over HTTP ---- */

struct gate_http_start {
    struct gate *gate; /* lives until close() has returned */
    struct loop *loop; /* the steward's; the same */
    const struct env *env;
    const struct settings *settings;  /* borrowed for the call */
    const struct socket_set *sockets; /* of the gate before: taken, also on failure. NULL: open some */
};

/** What HTTP clients must bring and what they get for it. */
struct gate_http_access {
    struct tls_context *tls;      /* NULL: plain HTTP */
    const struct secret *token;   /* NULL: none is asked for */
    void *owner;                  /* lends both of them */
    void (*release)(void *owner); /* to be called once, when nobody uses them any more */
};

/**
 * The HTTP server of http_listen, handed in: the gate does not know what is shown, and those who show it do
 * not know the gate. All of it is called on the steward's thread.
 */
struct gate_http {
    /** Listen, before the gate confines itself. NULL in *out: http_listen is off. */
    enum code (*open)(const struct gate_http_start *start, void **out, struct err *e);
    /** Now, and again with every load. Nobody is let in before. False: memory ran out (and released). */
    bool (*set_access)(void *http, const struct gate_http_access *access);
    /** What another gate is to take over; borrowed. */
    void (*sockets)(const void *http, struct socket_set *out);
    /** It has taken them over: listen no more, and leave the rest to it. */
    void (*leave)(void *http);
    /** Stop listening; who has come already is still answered. */
    void (*shut)(void *http);
    /** NULL is fine. */
    void (*close)(void *http);
};

/**
 * On the steward's thread: why new sessions are not taken now, or that no server can be reached for them. `done` is called once, perhaps
 * at once, also when the gate stops meanwhile. `why`: static; NULL: ready. False: out of memory.
 */
MUST_CHECK bool gate_ask_ready(struct gate *gate, void (*done)(void *arg, const char *why), void *arg);

/**
 * On the steward's thread, and not before the last call was answered: the status report
 * (gate/views/overview.h) as JSON, borrowed for the call of `done`, or why there is none. `done` is called
 * once, perhaps at once.
 */
void gate_report(struct gate *gate, void (*done)(void *arg, struct bytes json, const struct err *why),
                 void *arg);
/**
 * On the steward's thread: all metrics as of now. `done` is called there later, even when the gate stops
 * meanwhile; what it gets is borrowed for the call, and NULL when there is no memory or the gate stops.
 * False: out of memory, `done` will not be called.
 */
MUST_CHECK bool gate_measure(struct gate *gate, void (*done)(void *arg, const struct counters *counters),
                             void *arg);

/* ---- start ---- */

struct gate_params {
    const char *dir;             /* absolute */
    const struct str *overrides; /* "name=value" of -c */
    size_t n_overrides;
    struct env *env;              /* borrowed; its log gets all lines */
    const struct gate_http *http; /* borrowed; NULL: nothing is shown over HTTP */
    bool login;                   /* gate_check(): go the way to the servers too */
    gate_auditor *auditor;        /* NULL: pgseal_findings stays empty */
    struct parent_ties ties;      /* borrowed */
};

/** Load everything and try what else a start needs, as a start would; all complaints go to `diags`. */
MUST_CHECK enum code gate_check(const struct gate_params *params, struct diags *diags);
/**
 * Serve until SIGTERM or SIGINT. Blocks signals' default actions in the whole process while it runs.
 *
 * OK after an orderly stop; otherwise what prevented the start, which has been logged.
 */
MUST_CHECK enum code gate_run(const struct gate_params *params);

#endif
