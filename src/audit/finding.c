#include "audit/finding.h"

#include "audit/audit.h"

static bool grow(struct audit *a)
{
    size_t size = a->size ? 2 * a->size : 64;
    struct finding *items = arena_array(a->arena, size, sizeof *items);

    if (!items)
        return false;
    if (a->n > 0)
        memcpy(items, a->items, a->n * sizeof *items);
    a->items = items;
    a->size = size;
    return true;
}

struct finding *audit_add(struct audit *a, enum check check, struct str where, const char *what, ...)
{
    struct finding finding = { .check = check, .where = where };
    va_list args;

    va_start(args, what);
    bool made = arena_vprintf(a->arena, &finding.what, what, args);
    va_end(args);
    if (!made || (a->n == a->size && !grow(a))) {
        a->nomem = true;
        return NULL;
    }
    a->items[a->n] = finding;
    return &a->items[a->n++];
}

struct str audit_place(struct audit *a, struct str file, unsigned line)
{
    struct str place = file;

    if (line > 0 && !arena_printf(a->arena, &place, "%.*s:%u", STR_ARG(file), line))
        a->nomem = true;
    return place;
}
