/* Command lines as words: no shell is there to understand anything else. */
#include "../unit.h"

#include "base/arena.h"
#include "base/check.h"
#include "renew/conf.h"

static struct arena arena;
static struct str words[RENEW_WORDS_MAX];
static size_t n_words;

static enum code split(const char *text)
{
    struct err e;

    arena_reset(&arena);
    n_words = 0;
    return renew_words(str_c(text), &arena, words, &n_words, &e);
}

static void blanks_separate_and_quotes_keep(void **state)
{
    (void)state;
    assert_int_equal(split("  step  ca sign \"two words\" a\"b c\"d \"\" \"q\\\"\\\\\" $HOME;x 'y z' "), OK);
    const char *const expected[] = { "step", "ca",    "sign",    "two words", "ab cd",
                                     "",     "q\"\\", "$HOME;x", "'y",        "z'" };
    assert_int_equal(n_words, COUNT_OF(expected));
    for (size_t i = 0; i < n_words; i++)
        assert_str(words[i], expected[i]);
    assert_int_equal(split(" \t "), OK);
    assert_int_equal(n_words, 0);
}

static void what_is_too_much_is_refused(void **state)
{
    char text[2 * (RENEW_WORDS_MAX + 1) + 1];

    (void)state;
    assert_int_equal(split("a \"b"), E_PARAM);
    for (size_t i = 0; i <= RENEW_WORDS_MAX; i++)
        memcpy(&text[2 * i], "a ", 3);
    assert_int_equal(split(text), E_LIMIT);
    text[2 * RENEW_WORDS_MAX] = '\0';
    assert_int_equal(split(text), OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blanks_separate_and_quotes_keep),
        cmocka_unit_test(what_is_too_much_is_refused),
    };

    arena_init(&arena, 1 << 20, 4096);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    arena_fini(&arena);
    return failed;
}
