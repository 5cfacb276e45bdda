/*
 * An allocator in front of libc's that fails when told to: for tests/integration/test_faults.py.
 *
 * The file that FAILMALLOC names is shared with the test. Its first number counts down at each allocation of
 * the kind that is asked for; when it comes to nothing, as many of them fail as the second number says.
 *
 * A place is the part of the call stack that lies in the program: all that a library allocates below one call
 * of the program's is one place. (Below the same call stack in the libraries too, where STACKS is asked for.)
 */
#include "page.h"

#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>
#include <unwind.h>

enum kind {
    KIND_ALL,
    KIND_OWN,   /* the program itself allocates, not a library */
    KIND_PLACE, /* at the place that is named */
    KIND_NOTE   /* none fails: the places are written down */
};

enum { PLACES = 1 << 16, STACK_MAX = 64 };

struct orders {
    _Atomic long until; /* allocations before the first that fails, and that one; 0: none is to fail */
    _Atomic long failures;
    _Atomic long kind;
    _Atomic long stacks; /* not 0: a place is a whole stack */
    _Atomic uint64_t place;
    _Atomic long live;               /* so many blocks are allocated and not freed */
    _Atomic uint64_t places[PLACES]; /* what was written down, hashed; 0: free */
};

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *p, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);
extern void __libc_free(void *p);

static struct orders none;
static struct orders *_Atomic orders = &none;
static uintptr_t program_begin, program_end;
static _Thread_local bool looking; /* the unwinder's own allocations do not count */

/* The program is the first object that the loader tells of. */
static int see_object(struct dl_phdr_info *object, size_t size, void *unused)
{
    (void)size;
    (void)unused;
    program_begin = UINTPTR_MAX;
    for (size_t i = 0; i < object->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &object->dlpi_phdr[i];
        uintptr_t begin = object->dlpi_addr + part->p_vaddr;
        if (part->p_type != PT_LOAD)
            continue;
        program_begin = begin < program_begin ? begin : program_begin;
        program_end = begin + part->p_memsz > program_end ? begin + part->p_memsz : program_end;
    }
    return 1;
}

__attribute__((constructor)) static void begin(void)
{
    void *page = fault_map("FAILMALLOC", sizeof(struct orders));

    (void)dl_iterate_phdr(see_object, NULL);
    if (page)
        atomic_store(&orders, page);
}

static bool in_program(uintptr_t address)
{
    return address >= program_begin && address < program_end;
}

/* ---- places ---- */

struct walk {
    uint64_t hash;
    unsigned depth;
    bool stacks;
};

static _Unwind_Reason_Code see_frame(struct _Unwind_Context *frame, void *arg)
{
    struct walk *walk = arg;
    uintptr_t address = _Unwind_GetIP(frame);

    if (walk->stacks || in_program(address))
        walk->hash = (walk->hash ^ address) * 1099511628211U; /* FNV-1a, a word at a time */
    return ++walk->depth < STACK_MAX ? _URC_NO_REASON : _URC_END_OF_STACK;
}

static uint64_t place_now(bool stacks)
{
    struct walk walk = { .hash = 14695981039346656037U, .stacks = stacks };

    looking = true;
    (void)_Unwind_Backtrace(see_frame, &walk);
    looking = false;
    return walk.hash ? walk.hash : 1;
}

static void note(struct orders *now, uint64_t place)
{
    for (size_t i = 0; i < PLACES; i++) {
        uint64_t found = 0;
        if (atomic_compare_exchange_strong(&now->places[(place + i) % PLACES], &found, place) ||
            found == place)
            return;
    }
}

/* Is this allocation one of those that the orders are about? */
static bool counts(struct orders *now, const void *caller)
{
    uint64_t place;

    switch ((enum kind)atomic_load(&now->kind)) {
    case KIND_ALL:
        return true;
    case KIND_OWN:
        return in_program((uintptr_t)caller);
    case KIND_PLACE:
    case KIND_NOTE:
        place = place_now(atomic_load(&now->stacks) != 0);
        if (atomic_load(&now->kind) == KIND_PLACE)
            return place == atomic_load(&now->place);
        note(now, place);
        return false;
    }
    return false;
}

/* ---- allocations ---- */

static bool fails(const void *caller)
{
    struct orders *now = atomic_load_explicit(&orders, memory_order_relaxed);

    if (atomic_load(&now->until) == 0 || looking || !counts(now, caller))
        return false;
    long left = atomic_load(&now->until);
    if (left == 0 || (left > 1 && atomic_fetch_sub(&now->until, 1) > 1))
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

static void *counted(void *p)
{
    if (p)
        atomic_fetch_add_explicit(&atomic_load(&orders)->live, 1, memory_order_relaxed);
    return p;
}

void *malloc(size_t size)
{
    return fails(__builtin_return_address(0)) ? NULL : counted(__libc_malloc(size));
}

void *calloc(size_t count, size_t size)
{
    return fails(__builtin_return_address(0)) ? NULL : counted(__libc_calloc(count, size));
}

void *realloc(void *p, size_t size)
{
    if (fails(__builtin_return_address(0)))
        return NULL;
    return p ? __libc_realloc(p, size) : counted(__libc_realloc(p, size));
}

void *aligned_alloc(size_t alignment, size_t size)
{
    return fails(__builtin_return_address(0)) ? NULL : counted(__libc_memalign(alignment, size));
}

int posix_memalign(void **out, size_t alignment, size_t size)
{
    void *p = fails(__builtin_return_address(0)) ? NULL : counted(__libc_memalign(alignment, size));

    if (!p)
        return ENOMEM;
    *out = p;
    return 0;
}

void free(void *p)
{
    if (p)
        atomic_fetch_sub_explicit(&atomic_load(&orders)->live, 1, memory_order_relaxed);
    __libc_free(p);
}
