/* The value of http_listen. */
#include "base/check.h"
#include "conf/http_place.h"
#include "unit.h"

static void test_addresses(void **state)
{
    static const struct {
        const char *text, *host;
        unsigned port;
        bool loopback;
    } rows[] = {
        { "localhost:9187", "localhost", 9187, true },
        { "LocalHost:1", "LocalHost", 1, true },
        { "127.0.0.1:65535", "127.0.0.1", 65535, true },
        { "127.9.9.9:80", "127.9.9.9", 80, true },
        { "[::1]:80", "::1", 80, true },
        { "0.0.0.0:80", "0.0.0.0", 80, false },
        { "*:80", "*", 80, false },
        { "[::]:80", "::", 80, false },
        { "[::ffff:127.0.0.1]:80", "::ffff:127.0.0.1", 80, false }, /* nobody needs it: the careful answer */
        { "128.0.0.1:80", "128.0.0.1", 80, false },
        { "127.0.0.1.example:80", "127.0.0.1.example", 80, false },
        { "localhost.example:80", "localhost.example", 80, false },
        { "127.1:80", "127.1", 80, false },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct http_place place = { 0 };
        assert_true(http_place_parse(str_c(rows[i].text), &place));
        assert_int_equal(place.kind, HTTP_TCP);
        assert_str(place.host, rows[i].host);
        assert_int_equal(place.port, rows[i].port);
        assert_int_equal(place.loopback, rows[i].loopback);
    }
}

static void test_off_and_paths(void **state)
{
    struct http_place place;

    (void)state;
    assert_true(http_place_parse(STR(""), &place));
    assert_int_equal(place.kind, HTTP_OFF);
    assert_true(http_place_parse(STR("OFF"), &place));
    assert_int_equal(place.kind, HTTP_OFF);
    assert_true(http_place_parse(STR("/run/pgseal/http.sock"), &place));
    assert_int_equal(place.kind, HTTP_UNIX);
    assert_str(place.path, "/run/pgseal/http.sock");
    assert_true(http_place_parse(STR("./a:80"), &place));
    assert_int_equal(place.kind, HTTP_UNIX);
}

static void test_what_is_neither(void **state)
{
    static const char *const rows[] = {
        "x",         ":80",   "localhost", "localhost:", "localhost:0", "localhost:65536", "localhost:80x",
        "::1:80",    "[]:80", "[::1]",     "[::1:80",    "on",          "localhost:-1",    "localhost: 80",
        "[::1]x:80", "[x:80", "a[b]:80",
    };
    struct http_place place;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        if (http_place_parse(str_c(rows[i]), &place))
            fail_msg("\"%s\" was understood", rows[i]);
    assert_false(http_place_parse(STR("a\0b:80"), &place));
    assert_false(http_place_parse(STR("/a\0b"), &place));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_off_and_paths),
        cmocka_unit_test(test_what_is_neither),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
