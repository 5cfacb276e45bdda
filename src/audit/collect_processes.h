/**
 * Running processes as clients: the connections of their environments and command lines.
 */
#ifndef PGSEAL_AUDIT_COLLECT_PROCESSES_H
#define PGSEAL_AUDIT_COLLECT_PROCESSES_H

#include "base/err.h"

struct client_params;
struct collected;

/** True for /proc, and for the directory of one process in it. */
bool collect_is_processes(const char *path);
/**
 * Look at every process, or at one. Equal connections of processes of one name are told once.
 *
 * path  absolute.
 *
 * E_NOMEM; the code of the errno where the directory cannot be read.
 */
MUST_CHECK enum code collect_processes(const char *path, const struct client_params *params,
                                       struct collected *out, struct err *e);

#endif
