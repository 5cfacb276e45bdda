/* Members of structs, both ways. */
#include "base/form.h"

struct form form_to(struct buf *out)
{
    return (struct form){ .out = out };
}

struct form form_from(struct bytes in, struct arena *arena)
{
    return (struct form){ .in = rd_over(in), .arena = arena };
}

bool form_ok(const struct form *f)
{
    return !f->nomem && (f->out ? buf_ok(f->out) : !f->in.bad);
}

enum code form_end(const struct form *f)
{
    if (f->nomem || (f->out && !buf_ok(f->out)))
        return E_NOMEM;
    return f->out ? OK : rd_end(&f->in);
}

void form_require(struct form *f, bool condition)
{
    if (!f->out && !condition)
        f->in.bad = true;
}

void form_raw(struct form *f, void *p, size_t n)
{
    if (f->out) {
        buf_append(f->out, bytes_of(p, n));
        return;
    }
    struct bytes got = rd_bytes(&f->in, n);
    if (got.n == n && n > 0)
        memcpy(p, got.p, n);
    else
        memset(p, 0, n);
}

/* Big-endian, in `n` bytes. */
static uint64_t pass(struct form *f, uint64_t v, unsigned n)
{
    uint8_t bytes[8];
    uint64_t got = 0;

    for (unsigned i = 0; i < n; i++)
        bytes[i] = (uint8_t)(v >> (8 * (n - 1 - i)));
    form_raw(f, bytes, n);
    for (unsigned i = 0; i < n; i++)
        got = got << 8 | bytes[i];
    return got;
}

void form_u8(struct form *f, uint8_t *v)
{
    *v = (uint8_t)pass(f, *v, 1);
}

void form_u16(struct form *f, uint16_t *v)
{
    *v = (uint16_t)pass(f, *v, 2);
}

void form_u32(struct form *f, uint32_t *v)
{
    *v = (uint32_t)pass(f, *v, 4);
}

void form_u64(struct form *f, uint64_t *v)
{
    *v = pass(f, *v, 8);
}

void form_i32(struct form *f, int32_t *v)
{
    *v = (int32_t)(uint32_t)pass(f, (uint32_t)*v, 4);
}

void form_i64(struct form *f, int64_t *v)
{
    *v = (int64_t)pass(f, (uint64_t)*v, 8);
}

void form_char(struct form *f, char *v)
{
    *v = (char)(uint8_t)pass(f, (uint8_t)*v, 1);
}

void form_bool(struct form *f, bool *v)
{
    *v = form_below(f, *v, 2) == 1;
}

unsigned form_below(struct form *f, unsigned v, unsigned end)
{
    unsigned got = (unsigned)pass(f, v, 4);

    form_require(f, got < end);
    return form_ok(f) || f->out ? got : 0;
}

struct bytes form_bytes(struct form *f, struct bytes v)
{
    uint32_t n = (uint32_t)v.n;

    form_u32(f, &n);
    if (!f->out)
        return rd_bytes(&f->in, n);
    buf_append(f->out, v);
    return v;
}

void form_str(struct form *f, struct str *v)
{
    bool there = v->p != NULL;

    form_bool(f, &there);
    struct bytes text = there ? form_bytes(f, str_bytes(*v)) : bytes_of(NULL, 0);
    if (f->out)
        return;
    *v = (struct str){ NULL, 0 };
    if (there && form_ok(f) && !arena_str(f->arena, str_from_bytes(text), v))
        f->nomem = true;
}

void form_str_or(struct form *f, struct str *v, struct str other)
{
    bool same = v->p && other.p && str_equal(*v, other);

    form_bool(f, &same);
    if (!same)
        form_str(f, v);
    else if (!f->out)
        *v = other;
}
