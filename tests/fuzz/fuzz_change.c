/* What is written down of a change to configuration files: the journal, and a manifest. */
#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "harden/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { TEXT_LIMIT = 16 << 20 };

/* Of what was read, the same is written and read again. */
static void there_and_back(const struct change_manifest *manifest, struct arena *arena)
{
    AUTO(buf) struct buf text = BUF_INIT(TEXT_LIMIT), again = BUF_INIT(TEXT_LIMIT);
    struct change_manifest back;
    struct err e;

    change_manifest_write(manifest, &text);
    CHECK(change_manifest_read(buf_str(&text), "manifest", arena, &back, &e) == OK);
    CHECK(back.n == manifest->n);
    change_manifest_write(&back, &again);
    CHECK(str_equal(buf_str(&text), buf_str(&again)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = str_from_bytes(bytes_of(data, size));
    struct change_manifest manifest;
    struct change_rows rows;
    struct arena arena;
    struct err e;

    arena_init(&arena, 64 << 20, 4096);
    if (change_rows_read(text, &arena, &rows, &e) == OK)
        for (size_t i = 1; i < rows.n; i++)
            CHECK(rows.rows[i - 1].number < rows.rows[i].number);
    if (change_manifest_read(text, "manifest", &arena, &manifest, &e) == OK)
        there_and_back(&manifest, &arena);
    arena_fini(&arena);
    return 0;
}
