/* An expression and a subject, separated by NUL: over bytes, and over characters from each place on. */
#include "base/arena.h"
#include "fuzz.h"
#include "regex/regex.h"

static void over_characters(struct str pattern, struct str text, struct arena *arena)
{
    struct regex_set *set = regex_set_new_in(arena, REGEX_UTF8);
    struct regex_subject *subject = regex_subject_new(text);
    struct regex_found found;
    unsigned number;
    struct err e;

    if (set && subject && regex_set_add(set, pattern, true, &number, &e) == OK)
        for (size_t from = 0; from <= regex_subject_length(subject) && from < 8; from++)
            if (regex_find(set, number, subject, from, &found, &e) == OK && found.matched)
                CHECK(found.groups[0].start >= from &&
                      regex_subject_byte(subject, found.groups[0].end) <= text.n);
    regex_subject_free(subject);
}

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
    over_characters(pattern, str_from_bytes(rest), &arena);
    regex_thread_fini();
    return 0;
}
