/*
 * A gate's successor that is killed just before its n-th packet over the link, or stopped there: for
 * tests/integration/test_upgrade.py.
 *
 * DIELINK says which one, counted from 1; what is sent and what is received count alike. DIELINK_SIGNAL is another signal
 * than SIGKILL. Preloaded into `serve` alone: others have no link.
 */
#include <dlfcn.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

enum { LINK = 5 /* os/family_start.c: where a successor has it */ };

static atomic_long packets;
static long last;
static int number = SIGKILL;

__attribute__((constructor)) static void begin(void)
{
    const char *text = getenv("DIELINK"), *other = getenv("DIELINK_SIGNAL");

    last = text ? strtol(text, NULL, 10) : 0;
    if (other)
        number = (int)strtol(other, NULL, 10);
    (void)unsetenv("LD_PRELOAD"); /* the programs that it starts live on */
}

static void count(void)
{
    if (atomic_fetch_add(&packets, 1) + 1 == last)
        (void)syscall(SYS_tgkill, getpid(), syscall(SYS_gettid),
                      number); /* which the gate may call, confined as it is */
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    static ssize_t (*real)(int, const struct msghdr *, int);

    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "sendmsg");
    if (fd == LINK)
        count();
    return real(fd, message, flags);
}

ssize_t recvmsg(int fd, struct msghdr *message, int flags)
{
    static ssize_t (*real)(int, struct msghdr *, int);

    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "recvmsg");
    if (fd == LINK)
        count();
    return real(fd, message, flags);
}
