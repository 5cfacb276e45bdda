/*
 * An allocator in front of libc's that fails when told to: for tests/integration/test_faults.py.
 *
 * The file that FAILMALLOC names is a page shared with the test. Its first number counts down at each
 * allocation; when it comes to nothing, as many allocations fail as the second number says.
 */
#include "page.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

struct orders {
    _Atomic long until; /* allocations before the first that fails, and that one; 0: none is to fail */
    _Atomic long failures;
};

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *p, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);

static struct orders none;
static struct orders *_Atomic orders = &none;

__attribute__((constructor)) static void begin(void)
{
    void *page = fault_page("FAILMALLOC");

    if (page)
        atomic_store(&orders, page);
}

static bool fails(void)
{
    struct orders *now = atomic_load_explicit(&orders, memory_order_relaxed);
    long left = atomic_load(&now->until);

    if (left == 0)
        return false;
    if (left > 1 && atomic_fetch_sub(&now->until, 1) > 1)
        return false;
    if (atomic_fetch_sub(&now->failures, 1) <= 0) {
        atomic_store(&now->failures, 0);
        atomic_store(&now->until, 0);
        return false;
    }
    atomic_store(&now->until, 1);
    errno = ENOMEM;
    return true;
}

void *malloc(size_t size)
{
    return fails() ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    return fails() ? NULL : __libc_calloc(count, size);
}

void *realloc(void *p, size_t size)
{
    return fails() ? NULL : __libc_realloc(p, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
    return fails() ? NULL : __libc_memalign(alignment, size);
}
