/* What strangers say of themselves, made fit to be shown. */
#include "../unit.h"

#include "base/arena.h"
#include "base/check.h"
#include "base/clean.h"
#include "base/utf8.h"

static void gives(enum clean how, const char *text, const char *expected)
{
    AUTO(arena) struct arena arena;
    struct str out;

    arena_init(&arena, 65536, 256);
    assert_true(clean_text(how, str_c(text), &arena, &out));
    assert_str(out, expected);
    if (strcmp(text, expected) == 0)
        assert_ptr_equal(out.p, text);
}

static void ascii(void **state)
{
    (void)state;
    gives(CLEAN_ASCII, "", "");
    gives(CLEAN_ASCII, "psql ~ 'x'", "psql ~ 'x'");
    gives(CLEAN_ASCII, "gr\xc3\xbc\x1f\x7f\n", "gr\\xc3\\xbc\\x1f\\x7f\\x0a");
}

static void names(void **state)
{
    (void)state;
    gives(CLEAN_NAME, "J\xc3\xbcrgen \xf0\x9f\x90\x98", "J\xc3\xbcrgen \xf0\x9f\x90\x98");
    gives(CLEAN_NAME, "\x1b[31m\x7f", "\\x1b[31m\\x7f");
    gives(CLEAN_NAME, "\xff\xc3", "\\xff\\xc3");                            /* not UTF-8 */
    gives(CLEAN_NAME, "\xed\xa0\x80\xc0\x80", "\\xed\\xa0\\x80\\xc0\\x80"); /* surrogate, overlong */
    gives(CLEAN_NAME,
          "a\xe2\x80\xae"
          "b\xc2\x9b",
          "a\\xe2\\x80\\xaeb\\xc2\\x9b"); /* turns the text around; C1 */
    gives(CLEAN_NAME, "\xe2\x80\x8b\xef\xbb\xbf", "\\xe2\\x80\\x8b\\xef\\xbb\\xbf");
}

static void cutting(void **state)
{
    (void)state;
    AUTO(arena) struct arena arena;
    struct str out;

    arena_init(&arena, 65536, 256);
    assert_str(clean_cut(STR("abc"), 3), "abc");
    assert_str(clean_cut(STR("ab\xc3\xbc"), 3), "ab");
    assert_str(clean_cut(STR("\xff\xfe\xfd"), 2), "\xff\xfe");
    /* As PostgreSQL, which cuts what it has cleaned once more: in the middle of an escape. */
    assert_true(clean_application_name(STR("abc\xc3\xbc"), 5, &arena, &out));
    assert_str(out, "abc\\x");
    assert_true(clean_application_name(STR("abcd\xc3\xbc"), 5, &arena, &out));
    assert_str(out, "abcd");
}

static void code_points(void **state)
{
    (void)state;
    assert_int_equal(utf8_code(STR("a")), 'a');
    assert_int_equal(utf8_code(STR("\xc3\xbc")), 0xFC);
    assert_int_equal(utf8_code(STR("\xe2\x80\xae")), 0x202E);
    assert_int_equal(utf8_code(STR("\xf0\x9f\x90\x98")), 0x1F418);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ascii),
        cmocka_unit_test(names),
        cmocka_unit_test(cutting),
        cmocka_unit_test(code_points),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
