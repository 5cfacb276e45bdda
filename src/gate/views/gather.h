/**
 * What the workers know at one moment, copied for a statement of the status database.
 *
 * Each worker copies its sessions in slices between other work, so that no turn of its loop grows long; the
 * copies are immutable once the gathering is over and belong to the statement.
 */
#ifndef PGSEAL_GATE_VIEWS_GATHER_H
#define PGSEAL_GATE_VIEWS_GATHER_H

#include "base/arena.h"
#include "gate/session/session.h"
#include "status/console.h"

struct gather;
struct tally_row;

/** One session. Texts live in the gathering; an empty one means: nothing known. */
struct session_card {
    uint64_t id;
    int32_t pid; /* 0: none yet */
    enum state state;
    char transaction; /* of the last ReadyForQuery; 0: none yet */
    bool busy;        /* the client waits for an answer */
    bool local;
    bool tls;
    bool direct;
    bool alpn;
    bool bound; /* the password exchange was bound to the TLS channel */
    bool replication;
    int bits;
    unsigned process; /* the gate's that has it: after an upgrade there may be several */
    unsigned worker;
    unsigned client_port;
    unsigned rule_line;
    struct str owner; /* the user, as it came */
    struct str user, database, application_name, client_addr, client_name, proxy_addr, proxy_id;
    struct str tls_version, tls_cipher, tls_group, sni;
    struct str client_dn, client_serial, issuer_dn; /* names in slash form, not cut */
    int64_t cert_not_after_s;
    struct str method, identity, rule_file;
    struct str upstream, upstream_user, upstream_tls, upstream_cipher;
    enum sslmode upstream_sslmode;
    struct str query;
    int64_t started_us, ready_us, active_us;
    struct console_times times; /* of the status database's own sessions */
    int64_t bytes_in, bytes_out;
    int64_t handshake_us; /* 0: not measured */
    int64_t login_wait_us;
    bool login_waits;
    unsigned upgrades; /* how often another process has taken it over */
    bool draining;
};

/** What one worker copied. */
struct gather_slice {
    const struct session_card *cards;
    size_t n;
    struct gather_slice *next;
};

enum gather_what {
    GATHER_SESSIONS = 1,
    GATHER_TALLY = 2,
    GATHER_CLIENTS = 4 /* the workers hand over what they counted; nothing is copied */
};

/**
 * Begin, on `worker`; wanted: bits of gather_what. `done` is called there when every worker has answered,
 * unless gather_forget() was first. NULL when memory ran out.
 */
struct gather *gather_new(struct worker *worker, unsigned wanted, void (*done)(void *arg), void *arg);
/** On the worker that began: `done` will not be called. NULL is fine. */
void gather_forget(struct gather *gather);
/** After `done`: the copies of one worker; behind the last one those of the processes before this one. */
const struct gather_slice *gather_slices(const struct gather *gather, unsigned worker);
/** After `done`: what one worker counted. */
const struct tally_row *gather_tally(const struct gather *gather, unsigned worker, size_t *out_n);
/** After `done`: memory sufficed for everything that was wanted. */
bool gather_complete(const struct gather *gather);
/** After `done`, on any thread. NULL is fine. */
void gather_free(struct gather *gather);

#endif
