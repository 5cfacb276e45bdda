/* Wrapped system calls that change the file system. */
#include "calls.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static enum calls_mode mode;
static long target, seen;

void calls_arm(enum calls_mode how, long n)
{
    mode = how;
    target = n;
    seen = 0;
}

long calls_seen(void)
{
    return seen;
}

/* False: the call is to fail, with errno set. */
static bool may(bool needs_room)
{
    seen++;
    if (mode == CALLS_KILL && seen == target)
        (void)kill(getpid(), SIGKILL);
    if (mode == CALLS_TELL && seen == target)
        calls_told();
    bool fails = (mode == CALLS_FAIL && seen == target) ||
                 (mode == CALLS_FULL && seen >= target && needs_room);
    if (fails)
        errno = mode == CALLS_FAIL ? EIO : ENOSPC;
    return !fails;
}

/* A name that was moved needs no room on the disk. */
static bool is_directory(int fd)
{
    struct stat st;

    return fstat(fd, &st) == 0 && S_ISDIR(st.st_mode);
}

#define WRAP(type, name, needs_room, params, args)                                                           \
    type __real_##name params;                                                                               \
    type __wrap_##name params;                                                                               \
    type __wrap_##name params                                                                                \
    {                                                                                                        \
        return may(needs_room) ? __real_##name args : -1;                                                    \
    }

WRAP(ssize_t, write, true, (int fd, const void *data, size_t n), (fd, data, n))
WRAP(int, fsync, !is_directory(fd), (int fd), (fd))
WRAP(int, rename, false, (const char *from, const char *to), (from, to))
WRAP(int, renameat, false, (int from_dir, const char *from, int to_dir, const char *to),
     (from_dir, from, to_dir, to))
WRAP(int, renameat2, false, (int from_dir, const char *from, int to_dir, const char *to, unsigned flags),
     (from_dir, from, to_dir, to, flags))
WRAP(int, link, true, (const char *from, const char *to), (from, to))
WRAP(int, linkat, true, (int from_dir, const char *from, int to_dir, const char *to, int flags),
     (from_dir, from, to_dir, to, flags))
WRAP(int, unlink, false, (const char *path), (path))
WRAP(int, unlinkat, false, (int dir, const char *path, int flags), (dir, path, flags))
WRAP(int, mkdir, true, (const char *path, mode_t bits), (path, bits))
WRAP(int, rmdir, false, (const char *path), (path))
WRAP(int, chmod, false, (const char *path, mode_t bits), (path, bits))
WRAP(int, fchmod, false, (int fd, mode_t bits), (fd, bits))
WRAP(int, ftruncate64, false, (int fd, off_t n), (fd, n))

int __real_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...)
{
    va_list args;

    va_start(args, flags);
    mode_t bits = flags & O_CREAT ? va_arg(args, mode_t) : 0;
    va_end(args);
    return !(flags & O_CREAT) || may(true) ? __real_open64(path, flags, bits) : -1;
}

int __real_openat64(int dir, const char *path, int flags, ...);
int __wrap_openat64(int dir, const char *path, int flags, ...);
int __wrap_openat64(int dir, const char *path, int flags, ...)
{
    va_list args;

    va_start(args, flags);
    mode_t bits = flags & O_CREAT ? va_arg(args, mode_t) : 0;
    va_end(args);
    return !(flags & O_CREAT) || may(true) ? __real_openat64(dir, path, flags, bits) : -1;
}
