/* The readiness datagram. */
#include "os/notify.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

bool os_is_journal(int fd)
{
    const char *stream = getenv("JOURNAL_STREAM"); /* device:inode */
    char own[64];
    struct stat st;

    if (!stream || fstat(fd, &st) != 0)
        return false;
    (void)snprintf(own, sizeof own, "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
    return strcmp(own, stream) == 0;
}

static int parent_line = -1;

void os_notify_through(int line)
{
    parent_line = line;
}

/* The manager listens to its service's main process. */
static void tell_parent(const char *state)
{
    char type = 'N';
    struct iovec parts[] = { { &type, 1 }, { (void *)(uintptr_t)state, strlen(state) } };
    const struct msghdr message = { .msg_iov = parts, .msg_iovlen = 2 };

    (void)sendmsg(parent_line, &message, MSG_NOSIGNAL);
}

void os_notify(const char *state)
{
    if (parent_line >= 0) {
        tell_parent(state);
        return;
    }
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un to = { .sun_family = AF_UNIX };
    size_t n = path ? strlen(path) : 0;

    if (n < 2 || n >= sizeof to.sun_path || (path[0] != '/' && path[0] != '@'))
        return;
    memcpy(to.sun_path, path, n);
    if (path[0] == '@')
        to.sun_path[0] = '\0';
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    (void)sendto(fd, state, strlen(state), MSG_NOSIGNAL, (const struct sockaddr *)&to,
                 (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n));
    (void)close(fd);
}
