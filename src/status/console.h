/**
 * A session of the status database after authentication, as bytes in and bytes out.
 *
 * It speaks PostgreSQL's simple and extended protocol: the caller feeds what the client sent and sends what
 * `out` holds. Statements run as jobs: the caller collects the rows that a job needs, runs it on the one SQL
 * thread, and comes back. Everything but console_job_run() and console_cancel() belongs to the session's
 * own thread.
 *
 *   step = console_feed(c, bytes, out)
 *   CONSOLE_MORE   send out; feed when the client has sent more
 *   CONSOLE_DRAIN  send out; when it is gone: step = console_next(c, out)
 *   CONSOLE_JOB    job = console_job(c); collect the views of console_job_views(job);
 *                  console_job_rows(job, source); on the SQL thread console_job_run(job);
 *                  back here: step = console_next(c, out)
 *   CONSOLE_WAIT   only from console_feed while a job runs or out drains: the bytes are kept, nothing to do
 *   CONSOLE_DONE   send out, then close
 *
 * [src: PostgreSQL 18, "Message Flow"]
 */
#ifndef PGSEAL_STATUS_CONSOLE_H
#define PGSEAL_STATUS_CONSOLE_H

#include "base/err.h"
#include "status/rows.h"

struct buf;
struct console;
struct console_job;
struct env;

enum console_step { CONSOLE_MORE, CONSOLE_DRAIN, CONSOLE_JOB, CONSOLE_WAIT, CONSOLE_DONE };

enum {
    CONSOLE_MESSAGE_MAX = 1 << 20,      /* length word of any message from the client */
    CONSOLE_CHUNK = 256 * 1024,         /* a job hands its rows over when it has about so many bytes */
    CONSOLE_DEADLINE_MS_DEFAULT = 5000, /* of one statement, while it runs */
    CONSOLE_PORTALS_MAX = 16,           /* each may hold a snapshot of rows */
    CONSOLE_STATEMENTS_MAX = 256
};

enum signal_kind { SIGNAL_TERMINATE, SIGNAL_CANCEL };
enum signal_result { SIGNAL_SENT, SIGNAL_NO_SESSION, SIGNAL_DENIED, SIGNAL_AMBIGUOUS };

struct signal_request {
    enum signal_kind kind;
    int32_t pid;
    struct str user; /* who asks */
    bool is_admin;   /* in admin_users */
};

/**
 * What SQL may set in motion. Called on the SQL thread; must be thread-safe. Each returns soon: a reload
 * within its 0.3 s.
 */
struct console_actions {
    void *ctx;
    /**
     * pg_reload_conf(), for admins only (checked before). `note` is the NOTICE to show: message, detail and
     * hint as far as given, e.g. "configuration reloaded, generation 4" or file and line of the refusal.
     * Returns false when the request could not be made at all; `note` is then a WARNING.
     */
    bool (*reload)(void *ctx, struct err *note);
    /**
     * pg_terminate_backend(pid), pg_cancel_backend(pid).
     * SIGNAL_DENIED when the session belongs to somebody else and is_admin is false. SIGNAL_AMBIGUOUS:
     * servers number their processes for themselves, and several sessions that the user may signal have that
     * pid; none was signaled, and `e` has message, detail and hint. [choice: the wrong one must not be hit]
     */
    enum signal_result (*signal)(void *ctx, const struct signal_request *request, struct err *e);
};

/** One attribute of a distinguished name, for ssl_client_dn_field(). */
struct dn_field {
    struct str name;  /* short name, long name or dotted OID: give a row for each */
    struct str value; /* escaped as in the slash form */
};

/** The asking session's own connection, for sslinfo's functions. Empty texts are NULL. */
struct console_tls {
    bool used;
    bool cert_present;
    struct str version;
    struct str cipher;
    struct str client_dn;     /* cut to 63 bytes by the caller */
    struct str issuer_dn;     /* likewise */
    struct str client_serial; /* decimal */
    const struct dn_field *subject_fields;
    size_t subject_field_count;
    const struct dn_field *issuer_fields;
    size_t issuer_field_count;
    bool (*field_known)(struct str name); /* the name is one OpenSSL knows; NULL: not checked */
};

struct console_option {
    struct str name;
    struct str value;
};

/** All texts are copied by console_new. */
struct console_params {
    const struct env *env; /* borrowed for the console's life; its clock is also asked on the SQL thread */
    struct str user;
    struct str database;
    struct str system_user; /* empty: NULL */
    struct str client_addr; /* numeric, empty: unix socket */
    struct str server_addr;
    int client_port;
    int server_port;
    int32_t pid;
    bool is_admin;        /* admin_users: may reload, signal anybody, see all rows */
    bool can_see_all;     /* stats_users: may see all rows */
    int64_t started_us;   /* when the gate started, microseconds since 1970 */
    int64_t loaded_us;    /* when the configuration in force was loaded: pg_conf_load_time() */
    int scram_iterations; /* told to the client */
    unsigned deadline_ms; /* 0: CONSOLE_DEADLINE_MS_DEFAULT */
    struct console_tls tls;
    const struct console_option *options; /* the StartupMessage's other parameters */
    size_t option_count;
    struct console_actions actions;
};

/** NULL when memory ran out. */
struct console *console_new(const struct console_params *params);
/**
 * Not while a job runs on the SQL thread: console_cancel() first, and wait for the job to come back.
 * Rows given to jobs are released.
 */
void console_free(struct console *console);

/**
 * Write what follows AuthenticationOk up to and without BackendKeyData and ReadyForQuery: ParameterStatus
 * for everything a client expects.
 */
void console_greet(struct console *console, struct buf *out);

/**
 * Take bytes from the client; all of them are taken. May be called at any time; while a job runs or `out`
 * drains they only wait. `out` receives whole messages. When `out` or memory fails: CONSOLE_DONE.
 */
enum console_step console_feed(struct console *console, struct bytes in, struct buf *out);
/** Go on after CONSOLE_JOB (the job has run) or CONSOLE_DRAIN (`out` is empty). */
enum console_step console_next(struct console *console, struct buf *out);

/** The job to run after CONSOLE_JOB; borrowed. */
struct console_job *console_job(struct console *console);
/** VIEW_BIT set of the views it may read and that a source must provide; 0 when it needs none. */
uint64_t console_job_views(const struct console_job *job);
/** Hand rows over; `source` is taken. Without this call all views are empty. */
void console_job_rows(struct console_job *job, struct row_source source);
/** On the SQL thread. Touches the job, its rows and the actions, nothing else. */
void console_job_run(struct console_job *job);

/** From any thread, at any time during the console's life: the running statement ends with 57014. */
void console_cancel(struct console *console);
/** 'I', 'T' or 'E'. */
char console_transaction_state(const struct console *console);
/** The statement being run or run last, for pg_stat_activity; borrowed until the next call into the console.
 */
struct str console_last_query(const struct console *console);

/** Microseconds since 1970; 0: not yet. */
struct console_times {
    int64_t transaction_us; /* of the transaction that runs or ran last */
    int64_t query_us;       /* of that statement */
    int64_t state_us;       /* the session became active, or idle */
};

struct console_times console_times_of(const struct console *console);

#endif
