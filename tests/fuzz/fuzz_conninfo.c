/* A conninfo string or URI; the first byte chooses the dialect. */
#include "base/arena.h"
#include "client/conninfo.h"
#include "client/hosts.h"
#include "fuzz.h"

#include <errno.h>

static const char *no_variable(void *ctx, const char *name)
{
    (void)ctx;
    (void)name;
    return NULL;
}

/* A service file made of the same bytes. */
static enum code read_same(void *ctx, const char *path, struct buf *out, struct err *e)
{
    const struct bytes *all = ctx;

    (void)path;
    return buf_append(out, *all) ? OK : err_set(e, E_LIMIT, "too large");
}

static struct conn_file stat_nothing(void *ctx, const char *path)
{
    (void)ctx;
    (void)path;
    return (struct conn_file){ .error = ENOENT };
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes rest = bytes_of(data, size);
    enum conn_dialect dialect = fuzz_byte(&rest) & 1 ? CONN_GATE : CONN_LIBPQ;
    const struct conn_world world = { no_variable, read_same, stat_nothing, STR("/home/u"),
                                      STR("u"),    STR(""),   &rest };
    AUTO(arena) struct arena arena;
    struct conninfo info;
    struct err e = { 0 };

    arena_init(&arena, 16 << 20, 4096);
    if (conninfo_parse(str_from_bytes(rest), &world, dialect, &arena, &info, &e) == OK)
        conninfo_wipe(&info);
    else
        CHECK(e.code != OK && e.message[0] != '\0');
    return 0;
}
