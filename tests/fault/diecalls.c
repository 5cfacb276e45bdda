/*
 * A process that is killed just before its n-th change to the file system: for tests/integration/test_rotate.py.
 *
 * DIECALLS says which one, counted from 1. Preloaded; only the program's own calls come here.
 */
#include <dlfcn.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

static long calls, last;

__attribute__((constructor)) static void begin(void)
{
    const char *text = getenv("DIECALLS");

    last = text ? strtol(text, NULL, 10) : 0;
    (void)unsetenv("LD_PRELOAD"); /* the programs that it starts live on */
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
    return real(fd, data, n);
}
