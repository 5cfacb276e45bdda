/* Endpoints as people write them, and errors in short. */
#include "../unit.h"

#include "probe/probe.h"

static void good(const char *text, const char *host, const char *port)
{
    struct probe_target t;
    struct err e;

    assert_int_equal(probe_target_parse(str_c(text), &t, &e), OK);
    assert_str(t.text, text);
    assert_str(t.host, host);
    assert_str(t.port, port);
}

static void bad(const char *text)
{
    struct probe_target t;
    struct err e = { 0 };

    assert_int_equal(probe_target_parse(str_c(text), &t, &e), E_PARAM);
    assert_non_null(strstr(e.message, text));
}

static void test_targets(void **state)
{
    (void)state;
    good("db", "db", "");
    good("db:5433", "db", "5433");
    good("10.0.0.1:1", "10.0.0.1", "1");
    good("::1", "::1", "");
    good("[::1]", "::1", "");
    good("[fe80::1%eth0]:5433", "fe80::1%eth0", "5433");
    good("/var/run/postgresql", "/var/run/postgresql", "");
    good("/tmp:6432", "/tmp", "6432");
    good("@abstract", "@abstract", "");
    bad("");
    bad(":5432");
    bad("db:");
    bad("db:0");
    bad("db:65536");
    bad("db:x");
    bad("a,b");
    bad("[::1");
    bad("[::1]5432");
    bad("[::1]:");
    bad("[]:1");
}

static void test_hostile_targets(void **state)
{
    static const char text[] = "[fe80::1%eth0]:5433";
    struct probe_target t;
    struct err e;

    (void)state;
    for (size_t cut = 0; cut < sizeof text; cut++) {
        enum code code = probe_target_parse(str_of(text, cut), &t, &e);
        assert_true(code == OK || code == E_PARAM);
    }
    assert_int_equal(probe_target_parse(str_of("a\0b", 3), &t, &e), E_PARAM);
}

static void test_short_error(void **state)
{
    (void)state;
    assert_str(probe_short_error(
                   STR("connection to server at \"h\" (1.2.3.4), port 5 failed: FATAL:  no\nDETAIL:  x")),
               "FATAL:  no");
    assert_str(probe_short_error(STR("could not translate host name \"h\" to address: failed: x")),
               "could not translate host name \"h\" to address: failed: x");
    assert_str(probe_short_error(STR("connection to server")), "connection to server");
    assert_str(probe_short_error(STR("")), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_targets),
        cmocka_unit_test(test_hostile_targets),
        cmocka_unit_test(test_short_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
