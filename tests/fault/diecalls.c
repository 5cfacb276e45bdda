/*
 * A process that is killed just before its n-th change to the file system: for tests/integration/test_rotate.py and
 * tests/integration/test_harden_crash.py.
 *
 * DIECALLS says which one, counted from 1. DIECALLS_AFTER is a text: it is killed when that has been written. DIECALLS_COUNT
 * names a file for the number of all calls, if it comes to its end. Preloaded; only the program's own calls come here.
 */
#include <dlfcn.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

static long calls, last;
static const char *after, *count;

__attribute__((constructor)) static void begin(void)
{
    const char *text = getenv("DIECALLS");

    last = text ? strtol(text, NULL, 10) : 0;
    after = getenv("DIECALLS_AFTER");
    count = getenv("DIECALLS_COUNT");
    (void)unsetenv("LD_PRELOAD"); /* the programs that it starts live on */
}

__attribute__((destructor)) static void end(void)
{
    FILE *out = count ? fopen(count, "w") : NULL;

    if (!out)
        return;
    (void)fprintf(out, "%ld\n", calls);
    (void)fclose(out);
}

static void *next(const char *name)
{
    if (++calls == last)
        (void)kill(getpid(), SIGKILL);
    return dlsym(RTLD_NEXT, name);
}

int rename(const char *from, const char *to)
{
    int (*real)(const char *, const char *);

    *(void **)&real = next("rename");
    return real(from, to);
}

int symlink(const char *target, const char *path)
{
    int (*real)(const char *, const char *);

    *(void **)&real = next("symlink");
    return real(target, path);
}

int link(const char *from, const char *to)
{
    int (*real)(const char *, const char *);

    *(void **)&real = next("link");
    return real(from, to);
}

int unlink(const char *path)
{
    int (*real)(const char *);

    *(void **)&real = next("unlink");
    return real(path);
}

int rmdir(const char *path)
{
    int (*real)(const char *);

    *(void **)&real = next("rmdir");
    return real(path);
}

int mkdir(const char *path, mode_t mode)
{
    int (*real)(const char *, mode_t);

    *(void **)&real = next("mkdir");
    return real(path, mode);
}

int fsync(int fd)
{
    int (*real)(int);

    *(void **)&real = next("fsync");
    return real(fd);
}

ssize_t write(int fd, const void *data, size_t n)
{
    ssize_t (*real)(int, const void *, size_t);

    *(void **)&real = next("write");
    ssize_t written = real(fd, data, n);
    if (after && memmem(data, n, after, strlen(after)))
        (void)kill(getpid(), SIGKILL);
    return written;
}

int renameat(int from_dir, const char *from, int to_dir, const char *to)
{
    int (*real)(int, const char *, int, const char *);

    *(void **)&real = next("renameat");
    return real(from_dir, from, to_dir, to);
}

int renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
    int (*real)(int, const char *, int, const char *, unsigned);

    *(void **)&real = next("renameat2");
    return real(from_dir, from, to_dir, to, flags);
}

int linkat(int from_dir, const char *from, int to_dir, const char *to, int flags)
{
    int (*real)(int, const char *, int, const char *, int);

    *(void **)&real = next("linkat");
    return real(from_dir, from, to_dir, to, flags);
}

int unlinkat(int dir, const char *path, int flags)
{
    int (*real)(int, const char *, int);

    *(void **)&real = next("unlinkat");
    return real(dir, path, flags);
}
