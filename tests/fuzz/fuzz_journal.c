/* The CA's journal, and a subjectAltName from the command line (the first text). */
#include "base/arena.h"
#include "base/buf.h"
#include "fuzz.h"
#include "pki/journal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes rest = bytes_of(data, size);
    struct str name = fuzz_text(&rest), text;
    AUTO(arena) struct arena arena;
    struct journal journal;
    struct san san;
    struct err e = { 0 };

    arena_init(&arena, 64 << 20, 4096);
    if (san_parse(name, &arena, &san, &e) == OK)
        (void)!san_text(&san, &arena, &text, &e);
    if (journal_parse(str_from_bytes(rest), "journal", &arena, &journal, &e) == OK)
        (void)journal_find(&journal, STR("0a"));
    return 0;
}
