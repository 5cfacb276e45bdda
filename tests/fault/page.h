/** The page that a fault shares with its test. */
#ifndef PGSEAL_TESTS_FAULT_PAGE_H
#define PGSEAL_TESTS_FAULT_PAGE_H

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { FAULT_PAGE = 4096 };

/**
 * The first `size` bytes of the file that the environment variable names, mapped; NULL where it names none.
 */
static inline void *fault_map(const char *variable, size_t size)
{
    const char *path = getenv(variable);
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;

    if (fd < 0)
        return NULL;
    void *page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    (void)close(fd);
    return page == MAP_FAILED ? NULL : page;
}

static inline void *fault_page(const char *variable)
{
    return fault_map(variable, FAULT_PAGE);
}

#endif
