/* Characters that look like others are named with their column. */
#include "../unit.h"

#include "base/check.h"
#include "base/unseen.h"

static void says(const char *text, enum unseen_place place, const char *expected)
{
    char out[UNSEEN_TEXT_MAX];

    assert_int_equal(unseen_describe(str_c(text), place, out), expected[0] != '\0');
    assert_string_equal(out, expected);
}

static void test_sentences(void **state)
{
    (void)state;
    says("hostssl all all all", UNSEEN_LINE, "");
    says("gr\xc3\xbc\xc3\x9f", UNSEEN_LINE, "");
    says("hostssl\xc2\xa0"
         "all",
         UNSEEN_LINE, "Column 8 is a no-break space (U+00A0): write a plain space.");
    says("\xc3\xbc\xe2\x80\x93", UNSEEN_LINE, "Column 2 is an en dash (U+2013): write a plain hyphen (-).");
    says("\xe2\x80\x9c", UNSEEN_VALUE,
         "Character 1 of the value is a typographic quote (U+201C): write a plain double quote (\").");
    says("ssl\xc2\xa0", UNSEEN_NAME,
         "Character 4 of the name is a no-break space (U+00A0): write a plain space.");
    says("\xef\xbb\xbf#", UNSEEN_FIRST_LINE,
         "The file begins with a byte order mark (U+FEFF): save it without one.");
    says("\xef\xbb\xbf#", UNSEEN_LINE, "Column 1 is a byte order mark (U+FEFF): remove it.");
    says("\xff\xfeh", UNSEEN_FIRST_LINE, "The file is in UTF-16: save it in UTF-8.");
    says("a\xa0", UNSEEN_LINE, "Column 2 is a no-break space (byte 0xA0): write a plain space.");
    says("\x93"
         "a",
         UNSEEN_LINE, "Column 1 is a typographic quote (byte 0x93): write a plain double quote (\").");
}

/* Cut or damaged UTF-8 is passed over, and never read beyond its end. */
static void test_cut(void **state)
{
    static const char text[] = "a\xf0\x9f\x98\x80\xe2\x80\x8b\xc2\xa0";
    char out[UNSEEN_TEXT_MAX], copy[sizeof text];

    (void)state;
    for (size_t n = 0; n < sizeof text; n++) {
        memcpy(copy, text, n);
        (void)unseen_describe(str_of(copy, n), UNSEEN_LINE, out);
    }
    assert_true(unseen_describe(str_c(text), UNSEEN_LINE, out));
    assert_string_equal(out, "Column 3 is an invisible character (U+200B): remove it.");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sentences),
        cmocka_unit_test(test_cut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
