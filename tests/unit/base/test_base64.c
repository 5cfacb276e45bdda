/* Base64. */
#include "../unit.h"

#include "base/base64.h"
#include "base/check.h"

static void rfc4648_vectors(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {
        { "", "" },
        { "f", "Zg==" },
        { "fo", "Zm8=" },
        { "foo", "Zm9v" },
        { "foob", "Zm9vYg==" },
        { "fooba", "Zm9vYmE=" },
        { "foobar", "Zm9vYmFy" },
    };

    for (size_t i = 0; i < COUNT_OF(pairs); i++) {
        AUTO(buf) struct buf text = BUF_INIT(64);
        uint8_t raw[16];
        size_t n = 99;
        assert_true(base64_encode(str_bytes(str_c(pairs[i][0])), &text));
        assert_str(buf_str(&text), pairs[i][1]);
        assert_true(base64_decode(str_c(pairs[i][1]), raw, sizeof raw, &n));
        assert_str(str_of((const char *)raw, n), pairs[i][0]);
    }
}

static void every_byte_survives(void **state)
{
    (void)state;
    AUTO(buf) struct buf text = BUF_INIT(1024);
    uint8_t all[256], back[BASE64_DECODED_MAX(BASE64_ENCODED(256))];
    size_t n;

    for (size_t i = 0; i < sizeof all; i++)
        all[i] = (uint8_t)i;
    assert_true(base64_encode(bytes_of(all, sizeof all), &text));
    assert_int_equal(text.n, BASE64_ENCODED(sizeof all));
    assert_true(base64_decode(buf_str(&text), back, sizeof back, &n));
    assert_int_equal(n, sizeof all);
    assert_memory_equal(all, back, n);
    assert_true(base64_decode(buf_str(&text), back, sizeof all, &n));
    assert_false(base64_decode(buf_str(&text), back, sizeof all - 1, &n));
}

static void postgresql_reading(void **state)
{
    (void)state;
    static const char *const good[][2] = {
        { "Zh==", "f" },      /* bits behind the last byte do not matter */
        { "Zg==Zm9v", "ff" }, /* a pad cuts the later quads as well */
    };
    static const char *const bad[] = { "Z", "Zm 9v", "Zm9v\n", "Zg",    "Zg=",        "Zm9",
                                       "=", "Z===",  "Zm9v=",  "Zm9v!", "Zm9v\x80Zm9" };
    uint8_t raw[16];

    for (size_t i = 0; i < COUNT_OF(good); i++) {
        size_t n = 99;
        assert_true(base64_decode(str_c(good[i][0]), raw, sizeof raw, &n));
        assert_str(str_of((const char *)raw, n), good[i][1]);
    }
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        size_t n = 99;
        assert_false(base64_decode(str_c(bad[i]), raw, sizeof raw, &n));
        assert_int_equal(n, 99);
    }
    size_t n;
    assert_false(base64_decode(str_of("Zm9\0", 4), raw, sizeof raw, &n));
    assert_true(base64_decode(str_of(NULL, 0), raw, 0, &n));
    assert_int_equal(n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rfc4648_vectors),
        cmocka_unit_test(every_byte_survives),
        cmocka_unit_test(postgresql_reading),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
