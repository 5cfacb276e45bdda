/**
 * Where to connect next, and how: libpq's sequence of hosts, addresses and encryption methods as a machine
 * without sockets.
 *
 *     attempts_init → step.action says what to do → the caller does it → attempts_event → next step …
 *
 * Per address the encryption methods that sslmode allows are tried in order, each at most once; what happened decides
 * whether the same connection goes on, a new one is made, the next address or host is taken, or all ends.
 * Addresses known to be down are passed over while others are left. [src: PostgreSQL 18, "Specifying Multiple Hosts"; PQconnectPoll]
 */
#ifndef PGSEAL_CLIENT_HOSTS_H
#define PGSEAL_CLIENT_HOSTS_H

#include "base/err.h"
#include "net/socket.h"

#include <stdatomic.h>

struct addrinfo;
struct arena;
struct buf;
struct conn_host;
struct conninfo;
struct env;

/** What getaddrinfo() has found, without ports; NULL: nothing. Returns how many were taken, at most `max`. */
size_t conn_addrs_found(const struct addrinfo *found, struct address *out, size_t max);
/** Look a host name up, and wait for it. 0, or getaddrinfo()'s error and `*out_n` of 0. The addresses have no ports. */
int conn_addrs_look_up(struct str host, struct address *out, size_t max, size_t *out_n);
/** Numeric text without port, or the socket's path ("@…" for an abstract one), into `out`; cut if need be. */
void conn_addr_text(const struct address *addr, char out[128]);
bool conn_addr_equal(const struct address *a, const struct address *b);
bool conn_addr_is_unix(const struct address *addr);

enum {
    HOST_CACHE_SLOTS = 64,
    HOST_DOWN_S = 30, /* how long a dead address is passed over [choice: a failover takes about so long] */
    HOST_ADDRESSES_MAX = 64 /* addresses of one name that are tried */
};

enum { HOST_ROLE_SLOTS = 256 /* [choice: collisions cost an attempt in the wrong order, nothing else] */ };

/**
 * Which addresses last said that they were primaries or standbys; shared by all workers, no locks. Zeroed
 * memory knows nothing. Only the order of attempts hangs on it: every session's server is still asked.
 */
struct host_roles {
    _Atomic uint64_t slot[HOST_ROLE_SLOTS]; /* by address: what logins have found */
    _Atomic uint64_t hint[HOST_ROLE_SLOTS]; /* by name and port: what somebody else says, which is newer */
};

enum host_role {
    HOST_ROLE_UNKNOWN,
    HOST_ROLE_PRIMARY,
    HOST_ROLE_STANDBY,
    HOST_ROLE_SILENT /* of a hint: the host does not answer, and another is the primary */
};

/** Remember what a login over this address has told. Thread-safe, like the next. */
void host_roles_note(struct host_roles *roles, const struct address *addr, enum host_role role);
/** What was noted; HOST_ROLE_UNKNOWN: nothing, or it has been forgotten since. */
enum host_role host_roles_get(const struct host_roles *roles, const struct address *addr);
/** The same for a host of a conninfo, as told by others than its server. */
void host_roles_hint(struct host_roles *roles, const struct conn_host *host, enum host_role role);
/** What was told; HOST_ROLE_UNKNOWN: nothing. */
enum host_role host_roles_hinted(const struct host_roles *roles, const struct conn_host *host);
/** Both name the same host and port, in the same words. */
bool conn_host_equal(const struct conn_host *a, const struct conn_host *b);

/** Addresses that did not answer lately; one per worker, no locks. Zeroed memory is an empty cache. */
struct host_cache {
    struct host_roles *roles; /* borrowed; NULL: roles are not remembered */
    struct {
        struct address addr;
        int64_t until_us; /* monotonic; 0: free slot */
    } slot[HOST_CACHE_SLOTS];
};

/** Remember an address as down; the entry that ends first gives way when all slots are taken. */
void host_cache_down(struct host_cache *cache, const struct address *addr, int64_t now_us);
/** It has answered: forget that it was down. */
void host_cache_up(struct host_cache *cache, const struct address *addr);
/** Is it passed over at `now_us` (monotonic)? */
bool host_cache_is_down(const struct host_cache *cache, const struct address *addr, int64_t now_us);

enum conn_method {
    METHOD_PLAIN,     /* StartupMessage at once */
    METHOD_TLS,       /* SSLRequest, then TLS */
    METHOD_DIRECT_TLS /* ClientHello at once */
};

enum attempt_action {
    ATTEMPT_RESOLVE,  /* look up hosts[step.host].host, answer with attempts_resolved() */
    ATTEMPT_CONNECT,  /* close what is open; connect to step.addr, use step.method; (re)start connect_timeout
                       */
    ATTEMPT_CONTINUE, /* go on over the open connection with step.method */
    ATTEMPT_FAIL      /* nothing is left */
};

struct attempt_step {
    enum attempt_action action;
    size_t host; /* index into conninfo->hosts */
    struct address addr;
    enum conn_method method;
    bool new_address; /* CONNECT: another address than before, connect_timeout starts again */
};

/** What became of a step. */
enum attempt_event {
    EVENT_CONNECT_FAILED, /* connect(2) failed: refused, unreachable, no such socket */
    EVENT_TIMEOUT,        /* connect_timeout ran out, at whatever point */
    EVENT_TLS_REFUSED,    /* `N` to SSLRequest */
    EVENT_REPLY_BAD,      /* `E` or another byte to SSLRequest, bytes after `S` */
    EVENT_TLS_FAILED,     /* set-up, handshake, verification, host name, key file */
    EVENT_SERVER_ERROR,   /* ErrorResponse before AuthenticationOk, any SQLSTATE but 57P03 */
    EVENT_SERVER_BUSY,    /* the same with 57P03 */
    EVENT_LOCAL_ERROR,    /* refused here: require_auth, channel binding, no password, SCRAM checks */
    EVENT_CLOSED,         /* the server closed without a message */
    EVENT_LATE_ERROR,     /* ErrorResponse after AuthenticationOk */
    EVENT_ATTRS_MISMATCH  /* logged in, but target_session_attrs does not like it: send Terminate */
};

struct attempt_host;

/** Where the sequence stands; on the caller's side, written by the functions below only. */
struct attempts {
    const struct conninfo *info; /* borrowed */
    struct host_cache *cache;    /* borrowed; NULL: nothing is remembered */
    const struct env *env;
    struct arena *arena;        /* holds the two arrays and the addresses of the hosts seen so far */
    size_t *order;              /* host indices, shuffled where load_balance_hosts says so */
    struct attempt_host *hosts; /* by index into conninfo->hosts */
    size_t host_at;             /* index into `order` */
    size_t addr_at;
    unsigned method_at; /* index into the methods of the present address */
    enum attempt_pass {
        PASS_LIVE,      /* addresses not known to be down, nor to be of the wrong role */
        PASS_UNFIT,     /* those that were of the wrong role when last asked; they may have changed */
        PASS_ANY_ATTRS, /* the same once more for prefer-standby, which now takes any server */
        PASS_DOWN       /* those that were passed over */
    } pass;
    struct attempt_step step;
    struct err
        passed; /* why a host was passed over without an attempt (bad port, bad address); code OK: none */
};

/**
 * Begin. E_NOMEM. `out->step` is set: act on it.
 *
 * info, env, arena, cache  borrowed until the end of the sequence.
 */
MUST_CHECK enum code attempts_init(struct attempts *out, const struct conninfo *info,
                                   struct host_cache *cache, const struct env *env, struct arena *arena);
/**
 * Answer to ATTEMPT_RESOLVE; count 0: the look-up failed. Ports are filled in here. Shuffles where asked to.
 * Only the first HOST_ADDRESSES_MAX are used.
 */
MUST_CHECK enum code attempts_resolved(struct attempts *a, const struct address *addrs, size_t count);
/** Answer to ATTEMPT_CONNECT or ATTEMPT_CONTINUE when it failed; sets the next step. */
void attempts_event(struct attempts *a, enum attempt_event event);
/** The server of the present step said what it is. */
void attempts_role(struct attempts *a, enum host_role role);
/** What is remembered of the present address does not suit target_session_attrs. */
bool attempts_unfit(const struct attempts *a);
/** The session is accepted: the address is up. */
void attempts_done(struct attempts *a);
/** In the pass in which prefer-standby takes any server. */
bool attempts_any_attrs(const struct attempts *a);
/**
 * `connection to server at "HOST" (ADDR), port P failed: ` for the present step, into `out`.
 * [src: PostgreSQL 18, fe-connect.c emitHostIdentityInfo]
 */
void attempts_prefix(const struct attempts *a, struct buf *out);
/** The same in front of a failure, unless the server said something itself: that one is known by its words. */
void attempts_name_server(const struct attempts *a, struct err *e);
/**
 * An attempt came to nothing in a way that it does while another server becomes the primary. sqlstate: of what the server
 * said, or empty. [src: PostgreSQL 18, errcodes: 57P01 admin_shutdown, 57P02 crash_shutdown, 57P03 cannot_connect_now]
 */
bool attempt_may_recover(enum attempt_event event, const char *sqlstate);

#endif
