/* Connection strings: every text, through syntax and checks, in both dialects, and as it is shown. */
#include "base/arena.h"
#include "client/conninfo.h"
#include "client/pasted.h"
#include "lex/conninfo_hide.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum code no_file(void *ctx, const char *path, struct buf *out, struct err *e)
{
    (void)ctx;
    (void)path;
    (void)out;
    return err_set(e, E_NO_FILE, "no file");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct conn_world world = { .read_file = no_file, .home = STR("/h"), .os_user = STR("u") };
    struct str text = str_of((const char *)data, size);
    struct arena arena;
    struct conninfo info;
    struct err e;

    arena_init(&arena, 1 << 22, 4096);
    if (conninfo_parse(text, &world, CONN_LIBPQ, &arena, &info, &e) == OK)
        conninfo_wipe(&info);
    if (conninfo_parse(text, &world, CONN_GATE, &arena, &info, &e) == OK)
        conninfo_wipe(&info);
    struct pasted pasted;
    (void)pasted_recognized(text);
    (void)!pasted_parse(text, &arena, &pasted, &e);
    (void)conninfo_hidden(&arena, text);
    (void)conninfo_hidden_word(&arena, text);
    arena_fini(&arena);
    return 0;
}
