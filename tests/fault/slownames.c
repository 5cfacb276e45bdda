/*
 * A name service that says nothing until it is told to, or fails, in front of libc's: for
 * tests/integration/test_slow_names.py.
 *
 * The file that SLOWNAMES names is a page shared with the test: which kinds of lookups hang (bits), how many of
 * each hang now, which fail, and how many of each there were. Numbers and addresses are never held up, as libc asks nobody about them. Preloaded.
 */
#include "page.h"

#include <dlfcn.h>
#include <errno.h>
#include <netdb.h>
#include <pwd.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <time.h>

enum kind { REVERSE, FORWARD, USER, KINDS };

struct page {
    atomic_int hang; /* 1 << kind */
    atomic_int hanging[KINDS];
    atomic_int fail; /* 1 << kind */
    atomic_int asked[KINDS];
};

static struct page nobody_asks;
static struct page *page = &nobody_asks;

typedef int getaddrinfo_fn(const char *, const char *, const struct addrinfo *, struct addrinfo **);
typedef int getnameinfo_fn(const struct sockaddr *, socklen_t, char *, socklen_t, char *, socklen_t, int);
typedef int getpwuid_fn(uid_t, struct passwd *, char *, size_t, struct passwd **);

static getaddrinfo_fn *real_getaddrinfo;
static getnameinfo_fn *real_getnameinfo;
static getpwuid_fn *real_getpwuid;

__attribute__((constructor)) static void begin(void)
{
    struct page *shared = fault_page("SLOWNAMES");

    *(void **)&real_getaddrinfo = dlsym(RTLD_NEXT, "getaddrinfo");
    *(void **)&real_getnameinfo = dlsym(RTLD_NEXT, "getnameinfo");
    *(void **)&real_getpwuid = dlsym(RTLD_NEXT, "getpwuid_r");
    if (shared)
        page = shared;
}

/* The test cannot wake a process that it only shares a page with: look again every millisecond. */
static bool fails(enum kind kind)
{
    const struct timespec pause = { .tv_nsec = 1000000 };

    atomic_fetch_add(&page->asked[kind], 1);
    if (!(atomic_load(&page->hang) & 1 << kind))
        return atomic_load(&page->fail) & 1 << kind;
    atomic_fetch_add(&page->hanging[kind], 1);
    while (atomic_load(&page->hang) & 1 << kind)
        (void)nanosleep(&pause, NULL);
    atomic_fetch_sub(&page->hanging[kind], 1);
    return atomic_load(&page->fail) & 1 << kind;
}

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **out)
{
    if ((!hints || !(hints->ai_flags & AI_NUMERICHOST)) && fails(FORWARD))
        return EAI_AGAIN;
    return real_getaddrinfo(node, service, hints, out);
}

int getnameinfo(const struct sockaddr *address, socklen_t n, char *host, socklen_t host_n, char *service,
                socklen_t service_n, int flags)
{
    if (flags & NI_NAMEREQD && fails(REVERSE))
        return EAI_AGAIN;
    return real_getnameinfo(address, n, host, host_n, service, service_n, flags);
}

int getpwuid_r(uid_t uid, struct passwd *entry, char *text, size_t n, struct passwd **out)
{
    if (fails(USER))
        return EIO;
    return real_getpwuid(uid, entry, text, n, out);
}
