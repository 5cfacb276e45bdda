/*
 * A gate that waits in front of COMMIT of an upgrade, with everything handed over: for tests/integration/test_upgrade_sessions.py.
 *
 * HOLDCOMMIT names a file, which is memory for both: while its first byte is 1 the thread that is about to send COMMIT waits, and
 * the second byte is 1.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <unistd.h>

enum { COMMIT = 'O' /* gate/work/link.h; the packet has no data */ };

static volatile char *page;

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("HOLDCOMMIT");
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    void *memory = fd >= 0 ? mmap(NULL, 2, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) : MAP_FAILED;

    if (fd >= 0)
        (void)close(fd);
    page = memory == MAP_FAILED ? NULL : memory;
    (void)unsetenv("LD_PRELOAD"); /* the programs that it starts do not wait */
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    static ssize_t (*real)(int, const struct msghdr *, int);

    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "sendmsg");
    if (page && message->msg_iovlen == 1 && message->msg_iov[0].iov_len == 1 &&
        *(const char *)message->msg_iov[0].iov_base == COMMIT)
        while (page[0]) {
            page[1] = 1;
            (void)poll(NULL, 0, 1);
        }
    return real(fd, message, flags);
}
