/* Names from text: each spelling becomes the name that the certificate has. */
#include "../unit.h"

#include "base/arena.h"
#include "base/check.h"
#include "pki/name.h"
#include "pki/name_text.h"

#include <openssl/x509.h>

static void reads(const char *text, const char *rfc2253, const char *cn)
{
    __attribute__((cleanup(x509_name_auto))) X509_NAME *name = NULL;
    AUTO(arena) struct arena arena;
    enum name_spelling spelling;
    struct name_value value;
    struct err e = { 0 };
    struct str dn;

    arena_init(&arena, 1 << 20, 1024);
    assert_int_equal(name_from_text(str_c(text), &name, &spelling, &e), OK);
    assert_int_equal(name_rfc2253(name, &arena, &dn, &e), OK);
    assert_str(dn, rfc2253);
    assert_int_equal(name_cn(name, &arena, &value, &e), OK);
    assert_int_equal(value.present, cn != NULL);
    if (cn)
        assert_str(value.value, cn);
}

static void test_spellings(void **state)
{
    (void)state;
    reads("CN=app", "CN=app", "app");
    reads("/CN=app", "CN=app", "app");
    reads("/O=Example/CN=app", "CN=app,O=Example", "app");
    reads("CN=app,O=Example", "CN=app,O=Example", "app");
    reads("CN = app, O = Example", "O=Example,CN=app", "app");
    reads("subject=CN = app", "CN=app", "app");
    reads("subject=O=Example, CN=app", "CN=app,O=Example", "app");
    reads("Subject: O = \"Acme, Inc\", CN = app", "CN=app,O=Acme\\, Inc", "app");
    reads("O=Example", "O=Example", NULL);
}

static void test_values(void **state)
{
    (void)state;
    reads("CN=a\\,b", "CN=a\\,b", "a,b");
    reads("CN=a\\2Cb", "CN=a\\,b", "a,b");
    reads("OU=\\C3\\9Cnit,CN=x", "OU=\\C3\\9Cnit,CN=x", "x");
    reads("/OU=\xc3\x9cnit/CN=x", "CN=x,OU=\\C3\\9Cnit", "x");
    reads("/CN=a/b/O=c", "O=c,CN=a/b", "a/b");
    reads("/CN=https://a.example/b=1", "CN=https://a.example/b=1", "https://a.example/b=1");
    reads("CN=a ,O=b", "CN=a,O=b", "a");
    reads("CN=a\\ ,O=b", "CN=a\\ ,O=b", "a ");
    reads("CN=app+UID=x,O=b", "CN=app+UID=x,O=b", "app");
    reads("CN=second,CN=first", "CN=second,CN=first", "first");
    reads("2.5.4.3=x", "CN=x", "x");
    reads("/O=#", "O=#", NULL);
    reads(" CN=a\\ ", "CN=a\\ ", "a ");
    reads("/CN=a\\ ", "CN=a\\ ", "a ");
    reads("/CN=a \n", "CN=a", "a");
    reads("O=#,CN=x", "O=#,CN=x", "x");
    reads("CN=", "CN=", "");
}

static void test_refused(void **state)
{
    static const char *const texts[][2] = {
        { "", "an attribute such as CN=alice is expected" },
        { "app", "an attribute such as CN=alice is expected" },
        { "=app", "an attribute such as CN=alice is expected" },
        { "XX=app", "unknown attribute before \"=\"" },
        { "CN=a,", "an attribute such as CN=alice is expected" },
        { "/CN", "an attribute such as CN=alice is expected" },
        { "CN=\"a", "a double quote is not closed" },
        { "CN=\"a\"b", "a comma is expected after a value in double quotes" },
        { "CN=a\\00b", "the name holds a NUL byte" },
        { "CN=#0c0161", "a value in hexadecimal is not supported" },
    };
    X509_NAME *name = NULL;
    enum name_spelling spelling;
    struct err e;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        assert_int_equal(name_from_text(str_c(texts[i][0]), &name, &spelling, &e), E_PARAM);
        assert_string_equal(e.message, texts[i][1]);
        assert_null(name);
    }
}

static void test_mangled(void **state)
{
    static const char whole[] = "subject=CN = app + UID = \"x, y\", O = Acme\\, Inc, OU = \\C3\\9Cnit";
    char text[sizeof whole];
    enum name_spelling spelling;
    struct err e;

    (void)state;
    for (size_t i = 0; i < sizeof whole - 1; i++)
        for (unsigned bit = 0; bit < 8; bit++) {
            X509_NAME *name = NULL;
            memcpy(text, whole, sizeof whole);
            text[i] = (char)((unsigned char)text[i] ^ (1U << bit));
            (void)!name_from_text(str_of(text, sizeof whole - 1), &name, &spelling, &e);
            X509_NAME_free(name);
            name = NULL;
            (void)!name_from_text(str_of(whole, i), &name, &spelling, &e);
            X509_NAME_free(name);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_spellings),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_mangled),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
