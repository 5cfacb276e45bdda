/**
 * One list of members, written and read: a struct as bytes for another process of the same machine, and back.
 *
 * Each function writes the member it is given, or reads it; so the two ways cannot differ. The first failure sticks:
 * after it reads give zeros, and one form_end() tells.
 */
#ifndef PGSEAL_BASE_FORM_H
#define PGSEAL_BASE_FORM_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/rd.h"

struct form {
    struct buf *out; /* written to; NULL: `in` is read */
    struct rd in;
    struct arena *arena; /* receives the texts that are read */
    bool nomem;
};

/** Both borrowed. */
struct form form_to(struct buf *out);
struct form form_from(struct bytes in, struct arena *arena);
static inline bool form_reads(const struct form *f)
{
    return !f->out;
}
/** Nothing has failed so far. */
bool form_ok(const struct form *f);
/** E_NOMEM; E_PROTOCOL: what was read is not what was written, or more. */
MUST_CHECK enum code form_end(const struct form *f);
/** What was read must be so; whatever is written is. */
void form_require(struct form *f, bool condition);

void form_u8(struct form *f, uint8_t *v);
void form_u16(struct form *f, uint16_t *v);
void form_u32(struct form *f, uint32_t *v);
void form_u64(struct form *f, uint64_t *v);
void form_i32(struct form *f, int32_t *v);
void form_i64(struct form *f, int64_t *v);
void form_char(struct form *f, char *v);
void form_bool(struct form *f, bool *v);
/** An enumerator, or another number below `end`. Returns it. */
unsigned form_below(struct form *f, unsigned v, unsigned end);
/** `n` bytes at `p`, as many on both sides. */
void form_raw(struct form *f, void *p, size_t n);
/** A length and as many bytes. Returns what is read, borrowed from the input. */
struct bytes form_bytes(struct form *f, struct bytes v);
/** A text, which may be NULL; read into the arena. */
void form_str(struct form *f, struct str *v);
/** The same for one that is often the same as `other`, which has been passed already: kept once. */
void form_str_or(struct form *f, struct str *v, struct str other);

#endif
