/**
 * The sockets of a start: TCP addresses proven free, then one listener per worker; unix sockets shared by
 * all.
 */
#ifndef PGSEAL_GATE_STEWARD_LISTEN_H
#define PGSEAL_GATE_STEWARD_LISTEN_H

#include "base/err.h"
#include "net/socket.h"

struct env;
struct settings;
struct worker;

enum { LISTEN_UNIX_MAX = 64, LISTEN_TCP_MAX = 64 };

/** Unix sockets, which the gate unlinks and closes when it stops listening. */
struct listen_set {
    size_t n_unix;
    struct unix_listener sockets[LISTEN_UNIX_MAX];
    size_t n_tcp;                       /* addresses, not sockets */
    struct address tcp[LISTEN_TCP_MAX]; /* the first ones of them */
};

/**
 * Open everything that listen_addresses, port and unix_socket_directories ask for, and give it to the
 * workers.
 *
 * An address that cannot be bound is logged; the start fails only where none of a kind can (PostgreSQL's
 * rule).
 */
MUST_CHECK enum code listen_open(const struct settings *settings, struct worker **workers, unsigned n_workers,
                                 const struct env *env, struct listen_set *out, struct err *e);
/** Nobody finds the unix sockets any more; who has come already can still be accepted. May be repeated. */
void listen_hide(struct listen_set *set);
/** No worker polls the unix sockets any more: hide and close them. May be repeated. */
void listen_close(struct listen_set *set);

#endif
