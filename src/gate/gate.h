/**
 * The gate as a whole: start, serve until told to stop, reload.
 */
#ifndef PGSEAL_GATE_GATE_H
#define PGSEAL_GATE_GATE_H

#include "base/err.h"

struct env;
struct gate;
struct loop;
struct secret;
struct settings;
struct tls_context;

/* ---- what is shown over HTTP ---- */

struct gate_http_start {
    struct gate *gate; /* lives until close() has returned */
    struct loop *loop; /* the steward's; the same */
    const struct env *env;
    const struct settings *settings; /* borrowed for the call */
};

/** What HTTP clients must bring and what they get for it. */
struct gate_http_access {
    struct tls_context *tls;      /* NULL: plain HTTP */
    const struct secret *token;   /* NULL: none is asked for */
    void *owner;                  /* lends both of them */
    void (*release)(void *owner); /* to be called once, when nobody uses them any more */
};

/**
 * The server behind http_listen, handed in: the gate does not know what is shown, and those who show it do
 * not know the gate. All of it is called on the steward's thread.
 */
struct gate_http {
    /** Listen, before the gate confines itself. NULL in *out: http_listen is off. */
    enum code (*open)(const struct gate_http_start *start, void **out, struct err *e);
    /** Now, and again with every load. Nobody is let in before. False: memory ran out (and released). */
    bool (*set_access)(void *http, const struct gate_http_access *access);
    /** NULL is fine. */
    void (*close)(void *http);
};

/** On the steward's thread: why new sessions are not served now; NULL: they are. */
const char *gate_not_ready(const struct gate *gate);

/* ---- start ---- */

struct gate_params {
    const char *dir;             /* absolute */
    const struct str *overrides; /* "name=value" of -c */
    size_t n_overrides;
    struct env *env;              /* borrowed; its log gets all lines */
    const struct gate_http *http; /* borrowed; NULL: nothing is shown over HTTP */
};

/** Load everything as a start would; all complaints go to `diags`. */
MUST_CHECK enum code gate_check(const struct gate_params *params, struct diags *diags);
/**
 * Serve until SIGTERM or SIGINT. Blocks signals' default actions in the whole process while it runs.
 *
 * OK after an orderly stop; otherwise what prevented the start, which has been logged.
 */
MUST_CHECK enum code gate_run(const struct gate_params *params);

#endif
