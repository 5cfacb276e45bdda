/**
 * Bump allocator with a cap: one per session, one per policy.
 *
 * Nothing is freed alone; everything dies with the arena. Memory comes back zeroed.
 */
#ifndef PGSEAL_BASE_ARENA_H
#define PGSEAL_BASE_ARENA_H

#include "base/slice.h"

#include <stdarg.h>

struct arena_block;

struct arena {
    struct arena_block *blocks;
    size_t used;       /* bytes handed out, all blocks */
    size_t cap;        /* limit for `used` */
    size_t block_size; /* size of the next block */
};

/**
 * cap         most bytes that may ever be handed out.
 * first_size  size of the first block in bytes; later ones double up to 64 KiB. Nothing is allocated yet.
 */
void arena_init(struct arena *arena, size_t cap, size_t first_size);
void arena_fini(struct arena *arena);
/** Free everything, keep the limits. */
void arena_reset(struct arena *arena);
/** Zeroed and aligned for any type; NULL when the cap is reached or memory ran out. n may be 0. */
void *arena_alloc(struct arena *arena, size_t n);
/** `count` zeroed elements; NULL also when the product wraps. */
void *arena_array(struct arena *arena, size_t count, size_t size);
/**
 * Room for one more element of a list that doubles when it is full. The old array stays in the arena.
 *
 * items  `n` elements of `size` bytes; NULL while there is none.
 * room   elements for which there is room; updated. 0 at first.
 *
 * The list, which the caller keeps in the place of `items` at once; NULL when the cap is reached or memory ran out: then
 * nothing has changed.
 */
void *arena_grow(struct arena *arena, void *items, size_t n, size_t *room, size_t size);
#define ARENA_NEW(arena, type) ((type *)arena_alloc((arena), sizeof(type)))
/** Copies; a NUL is put after them for the sake of C interfaces. False when memory ran out. */
bool arena_str(struct arena *arena, struct str s, struct str *out);
/** The same as a C string; NULL when memory ran out or `s` holds a NUL. */
char *arena_c(struct arena *arena, struct str s);
bool arena_bytes(struct arena *arena, struct bytes b, struct bytes *out);
/** Formatted text; empty `out` is never ambiguous: false means memory ran out. */
bool arena_printf(struct arena *arena, struct str *out, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
bool arena_vprintf(struct arena *arena, struct str *out, const char *fmt, va_list args)
    __attribute__((format(printf, 3, 0)));

void arena_auto(struct arena *arena);

#endif
