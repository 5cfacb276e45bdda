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

/** A worker's, which closes it. */
struct worker_listener {
    int fd;
    unsigned worker;
};

/** Unix sockets, which the gate unlinks and closes when it stops listening. */
struct listen_set {
    size_t n_unix;
    struct unix_listener sockets[LISTEN_UNIX_MAX];
    size_t n_tcp;                       /* addresses, not sockets */
    struct address tcp[LISTEN_TCP_MAX]; /* the first ones of them */
    struct worker_listener *listeners;  /* for who takes them over */
    size_t n_listeners;
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
/** Give sockets that another gate has opened to the workers; `from` has none then. E_NOMEM. */
MUST_CHECK enum code listen_adopt(struct listen_set *from, struct worker **workers, unsigned n_workers,
                                  struct listen_set *out, struct err *e);
/** Remember a worker's listener. False: memory ran out, and it is closed. */
MUST_CHECK bool listen_note(struct listen_set *set, unsigned worker, int fd);
/** The sockets are another gate's from now on: they are only closed. */
void listen_leave(struct listen_set *set);
/** Give back what listen_note() made. */
void listen_forget(struct listen_set *set);
/** Nobody finds the unix sockets any more; who has come already can still be accepted. May be repeated. */
void listen_hide(struct listen_set *set);
/** No worker polls the unix sockets any more: hide and close them. May be repeated. */
void listen_close(struct listen_set *set);

#endif
