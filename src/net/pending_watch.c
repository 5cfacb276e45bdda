/* Signals that stay pending until they are taken. */
#include "net/pending_watch.h"

#include "net/loop.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <unistd.h>

struct pending_watch {
    int fd;
    struct poll *poll;
    void (*fn)(void *arg);
    void *arg;
};

static void on_pending(void *arg, unsigned events)
{
    struct pending_watch *watch = arg;

    (void)events;
    watch->fn(watch->arg);
}

struct pending_watch *pending_watch_new(struct loop *loop, int signum, void (*fn)(void *arg), void *arg)
{
    struct pending_watch *watch = calloc(1, sizeof *watch);
    sigset_t set;

    if (!watch)
        return NULL;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, signum);
    (void)pthread_sigmask(SIG_BLOCK, &set, NULL);
    *watch = (struct pending_watch){ .fn = fn, .arg = arg };
    watch->fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    watch->poll = watch->fd >= 0 ? poll_new(loop, watch->fd, on_pending, watch) : NULL;
    if (!watch->poll) {
        pending_watch_close(watch);
        return NULL;
    }
    poll_set(watch->poll, POLL_READ);
    return watch;
}

void pending_watch_take(struct pending_watch *watch)
{
    struct signalfd_siginfo info;

    (void)!read(watch->fd, &info, sizeof info); /* nothing there: it was taken before */
}

void pending_watch_close(struct pending_watch *watch)
{
    if (!watch)
        return;
    poll_close(watch->poll);
    if (watch->fd >= 0)
        (void)close(watch->fd);
    free(watch);
}

bool signal_is_pending(int signum)
{
    sigset_t set;

    return sigpending(&set) == 0 && sigismember(&set, signum) == 1;
}
