/**
 * Which signals another process has blocked, or has pending: what the kernel tells of that in /proc/PID/status.
 */
#ifndef PGSEAL_OS_SIGNAL_MASK_H
#define PGSEAL_OS_SIGNAL_MASK_H

#include <stdbool.h>
#include <sys/types.h>

/** To be asked as often as wanted, and closed by the caller. -1: it cannot be opened. */
int os_signal_mask_open(pid_t pid);
/** Is the signal in this mask ("ShdPnd", "SigBlk", ...) now? False where that cannot be read. fd: may be -1. */
bool os_signal_mask_has(int fd, const char *mask, int signum);

#endif
