/* Bump allocator: blocks in a list, the newest first. */
#include "base/arena.h"

#include "base/check.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

enum { ARENA_BLOCK_MAX = 64 * 1024, ARENA_ALIGN = _Alignof(max_align_t), ARENA_LIST_FIRST = 16 };

struct arena_block {
    struct arena_block *next;
    size_t size;
    size_t used;
    max_align_t data[];
};

void arena_init(struct arena *arena, size_t cap, size_t first_size)
{
    *arena = (struct arena){ .cap = cap, .block_size = first_size };
}

void arena_reset(struct arena *arena)
{
    struct arena_block *block = arena->blocks;

    while (block) {
        struct arena_block *next = block->next;
        free(block);
        block = next;
    }
    arena->blocks = NULL;
    arena->used = 0;
}

void arena_fini(struct arena *arena)
{
    if (arena)
        arena_reset(arena);
}

void arena_auto(struct arena *arena)
{
    arena_fini(arena);
}

static struct arena_block *add_block(struct arena *arena, size_t need)
{
    size_t size = need > arena->block_size ? need : arena->block_size;
    size_t total;

    if (!size_add(size, sizeof(struct arena_block), &total))
        return NULL;
    struct arena_block *block = calloc(1, total);
    if (!block)
        return NULL;
    block->size = size;
    block->next = arena->blocks;
    arena->blocks = block;
    if (arena->block_size < ARENA_BLOCK_MAX)
        arena->block_size *= 2;
    return block;
}

void *arena_alloc(struct arena *arena, size_t n)
{
    size_t need, used;

    if (!size_add(n, ARENA_ALIGN - 1, &need))
        return NULL;
    need &= ~(size_t)(ARENA_ALIGN - 1);
    if (need == 0)
        need = ARENA_ALIGN;
    if (!size_add(arena->used, need, &used) || used > arena->cap)
        return NULL;
    struct arena_block *block = arena->blocks;
    if (!block || block->size - block->used < need)
        block = add_block(arena, need);
    if (!block)
        return NULL;
    void *p = (uint8_t *)block->data + block->used;
    block->used += need;
    arena->used = used;
    return p;
}

void *arena_array(struct arena *arena, size_t count, size_t size)
{
    size_t total;

    return size_mul(count, size, &total) ? arena_alloc(arena, total) : NULL;
}

void *arena_grow(struct arena *arena, void *items, size_t n, size_t *room, size_t size)
{
    if (n < *room)
        return items;
    size_t more = *room ? 2 * *room : ARENA_LIST_FIRST;
    void *grown = arena_array(arena, more, size);
    if (!grown)
        return NULL;
    if (n > 0)
        memcpy(grown, items, n * size);
    *room = more;
    return grown;
}

bool arena_str(struct arena *arena, struct str s, struct str *out)
{
    size_t total;
    char *p = size_add(s.n, 1, &total) ? arena_alloc(arena, total) : NULL;

    if (!p)
        return false;
    if (s.n > 0)
        memcpy(p, s.p, s.n);
    *out = str_of(p, s.n);
    return true;
}

char *arena_c(struct arena *arena, struct str s)
{
    struct str copy;

    if (str_has_nul(s) || !arena_str(arena, s, &copy))
        return NULL;
    return (char *)(uintptr_t)copy.p; /* memory of this arena, writable */
}

bool arena_bytes(struct arena *arena, struct bytes b, struct bytes *out)
{
    struct str copy;

    if (!arena_str(arena, str_from_bytes(b), &copy))
        return false;
    *out = str_bytes(copy);
    return true;
}

bool arena_vprintf(struct arena *arena, struct str *out, const char *fmt, va_list args)
{
    va_list again;

    va_copy(again, args);
    int n = vsnprintf(NULL, 0, fmt, again);
    va_end(again);
    if (n < 0)
        return false;
    char *p = arena_alloc(arena, (size_t)n + 1);
    if (!p)
        return false;
    (void)vsnprintf(p, (size_t)n + 1, fmt, args);
    *out = str_of(p, (size_t)n);
    return true;
}

bool arena_printf(struct arena *arena, struct str *out, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    bool ok = arena_vprintf(arena, out, fmt, args);
    va_end(args);
    return ok;
}
