/**
 * What the process may still do once it serves: no writing outside its own directories, no programs, and of
 * the kernel's calls only those it needs.
 *
 * All are one-way. Rings first, before any loop; files before threads exist; calls last, for all threads.
 */
#ifndef PGSEAL_OS_SANDBOX_H
#define PGSEAL_OS_SANDBOX_H

#include "base/err.h"

enum sandbox_state { SANDBOX_ON, SANDBOX_ABSENT /* the kernel, or this build, has no such thing */ };

struct sandbox_paths {
    const char *const *at;
    size_t n;
};

/**
 * Landlock: writing, making and removing files only below `writable`, running programs nowhere (or anywhere,
 * with may_exec). Where the kernel knows how, also: no truncating elsewhere, no file moved or linked from one
 * directory to another, no ioctl on devices, no signals to other processes. Reading stays free: a reload may
 * name any file. Holds for this thread and those it starts later.
 *
 * E_IO: the kernel has it but refused. [src: Linux, "Landlock: unprivileged access control"]
 */
MUST_CHECK enum code sandbox_files(const struct sandbox_paths *writable, bool may_exec,
                                   enum sandbox_state *out, struct err *e);
/**
 * seccomp, before the first event loop: io_uring cannot be set up (ENOSYS). What is asked of a ring passes
 * sandbox_calls() by, and libuv makes one for each loop where it can. No program that is started gains privileges
 * from here on. For this thread and those it starts.
 */
MUST_CHECK enum code sandbox_rings(enum sandbox_state *out, struct err *e);
/**
 * seccomp: a list of allowed calls (and ioctls) for all threads; others fail with EPERM. may_exec also allows
 * what running the passphrase command needs.
 */
MUST_CHECK enum code sandbox_calls(bool may_exec, enum sandbox_state *out, struct err *e);
/**
 * For a process that only computes: what is open may be read and written, memory had up to `memory` bytes of
 * address space, the time asked. No files, no sockets, no processes, no threads.
 */
MUST_CHECK enum code sandbox_bare(size_t memory, enum sandbox_state *out, struct err *e);

#endif
