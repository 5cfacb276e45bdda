/* Signals held off by the process's mask. */
#include "os/hold.h"

#include "base/check.h"

#include <time.h>

static const int enders[] = { SIGINT, SIGTERM, SIGHUP };
static const int failures[] = { SIGPIPE, SIGXFSZ };

/* nohup: who ignores a signal does not want to be ended by it. */
static bool is_ignored(int signal)
{
    struct sigaction action;

    return sigaction(signal, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
}

void os_hold_begin(struct os_hold *hold)
{
    sigset_t all;

    (void)sigemptyset(&hold->ends);
    for (size_t i = 0; i < COUNT_OF(enders); i++)
        if (!is_ignored(enders[i]))
            (void)sigaddset(&hold->ends, enders[i]);
    all = hold->ends;
    for (size_t i = 0; i < COUNT_OF(failures); i++)
        (void)sigaddset(&all, failures[i]);
    (void)sigprocmask(SIG_BLOCK, &all, &hold->before);
}

static int take(const sigset_t *set)
{
    static const struct timespec now = { 0 };
    int signal = sigtimedwait(set, NULL, &now);

    return signal > 0 ? signal : 0;
}

int os_hold_signal(const struct os_hold *hold)
{
    return take(&hold->ends);
}

void os_hold_end(const struct os_hold *hold)
{
    sigset_t mine = hold->ends;

    for (size_t i = 0; i < COUNT_OF(failures); i++)
        (void)sigaddset(&mine, failures[i]);
    for (int signal = 1; signal < NSIG; signal++)
        if (sigismember(&hold->before, signal) == 1)
            (void)sigdelset(&mine, signal); /* somebody else holds it, and will ask for it */
    while (take(&mine))
        continue;
    (void)sigprocmask(SIG_SETMASK, &hold->before, NULL);
}
