/**
 * Running another program and waiting for it, for a while: no shell, no input, its output kept.
 */
#ifndef PGSEAL_OS_PROCESS_H
#define PGSEAL_OS_PROCESS_H

#include "base/err.h"

struct buf;

struct os_process {
    char *const *argv; /* NULL-terminated; argv[0] is looked for in PATH */
    const char *dir;   /* where it starts */
    unsigned timeout_s;
};

/**
 * Run it to its end, in a process group of its own, which does not outlive the call. Where root acts as somebody
 * else (os/owner.h), the program is that account's for good. Its umask is 022, whatever ours is.
 *
 * out         what it wrote to standard output, up to the buffer's limit.
 * out_status  its exit status.
 *
 * E_NO_FILE: there is no such program. E_CANCELED: it took too long. E_IO: it was killed, or could not be run.
 * E_LIMIT: it wrote too much. The detail is the end of what it wrote to standard error, also where `e` is filled
 * by os_process_failed().
 */
MUST_CHECK enum code os_process_run(const struct os_process *process, struct buf *out, int *out_status,
                                    struct buf *said, struct err *e);

/** Of a program that ended with a status that means failure: fill `e` with it and the end of what it said. */
enum code os_process_failed(const struct os_process *process, int status, const struct buf *said,
                            struct err *e);

#endif
