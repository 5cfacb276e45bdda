/* An expression and a subject, separated by NUL. */
#include "base/arena.h"
#include "fuzz.h"
#include "policy/regex.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes rest = bytes_of(data, size < 300 ? size : 300);
    struct str pattern = fuzz_text(&rest);
    AUTO(arena) struct arena arena;
    struct regex_match match;
    struct err e;
    unsigned number;

    arena_init(&arena, 16 << 20, 4096);
    struct regex_set *set = regex_set_new(&arena);
    if (set && regex_set_add(set, pattern, true, &number, &e) == OK &&
        regex_search(set, number, str_from_bytes(rest), &match, &e) == OK && match.group_set)
        CHECK(match.group.n <= rest.n);
    regex_thread_fini();
    return 0;
}
