#include "os/signal_mask.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { STATUS_MAX = 4096, LABEL_MAX = 32 };

int os_signal_mask_open(pid_t pid)
{
    char path[64];

    (void)snprintf(path, sizeof path, "/proc/%ld/status", (long)pid);
    return open(path, O_RDONLY | O_CLOEXEC);
}

bool os_signal_mask_has(int fd, const char *mask, int signum)
{
    char text[STATUS_MAX], label[LABEL_MAX];
    ssize_t n = fd >= 0 ? pread(fd, text, sizeof text - 1, 0) : -1;

    text[n > 0 ? n : 0] = '\0';
    int length = snprintf(label, sizeof label, "\n%s:", mask);
    const char *at = strstr(text, label);
    return at && strtoull(at + length, NULL, 16) >> (signum - 1) & 1;
}
