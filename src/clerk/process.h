/**
 * The clerk as a process: one socket, one request at a time, nothing else.
 */
#ifndef PGSEAL_CLERK_PROCESS_H
#define PGSEAL_CLERK_PROCESS_H

#include "clerk/clerk.h"

/**
 * Confine this process and serve the socket until the other side closes it. Returns the exit status.
 *
 * fd  taken. Nothing else that is open is needed.
 */
int clerk_process(int fd);

#endif
