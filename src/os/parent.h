/**
 * The process above a gate: it has no keys and no network sockets, and starts what the confined gate may not.
 *
 * It forks the gate before anything is read, and is from then on what others see of the service: it forwards
 * signals, speaks to the service manager, reaps whoever is orphaned (as PID 1 of a container it must), starts
 * clerks, and ends as the gate does. The gate dies with it.
 *
 *   gate → parent                                    parent → gate
 *   S  start a clerk, and end the last one           F  with a descriptor: the socket to it
 *                                                    X  it could not be started; the reason as text
 *   K  end the last clerk
 *   N  a text for the service manager
 *
 * Each is one packet, of at most PARENT_PACKET_MAX bytes.
 */
#ifndef PGSEAL_OS_PARENT_H
#define PGSEAL_OS_PARENT_H

#include "base/err.h"
#include "base/log.h"

struct env;

enum { PARENT_PACKET_MAX = 1024, PARENT_CLERK_FD = 3 /* in a clerk: its socket */ };

struct parent_params {
    const char *program;      /* of the clerk: its file */
    const char *const *clerk; /* its arguments, the first its name; ended by NULL */
    const struct env *env;    /* its log says when the gate dies; borrowed */
};

/**
 * Fork. In the child, the gate, *out_line is its end of the line, and the function returns OK. In the parent it
 * returns when all is over, with *out_line = -1 and the status to end with.
 *
 * E_IO: there is no child.
 */
MUST_CHECK enum code parent_fork(const struct parent_params *params, int *out_line, int *out_status,
                                 struct err *e);

/* ---- in the gate ---- */

/**
 * A new clerk's socket (returned to caller); the clerk before is killed. Blocks for as long as the parent
 * takes, five seconds at most. One thread at a time.
 */
MUST_CHECK enum code parent_clerk(int line, int *out_fd, struct err *e);
/**
 * On any thread: this signal was sent to the parent, and has not been sent on to us yet. Whoever connects after
 * `kill -HUP` has returned must find the new rules.
 */
bool parent_has_signal(int signum);
/** In which form the parent is to log from now on. */
void parent_log_as(enum log_format format);
/** Kill the clerk. Never blocks. */
void parent_end_clerk(int line);

#endif
