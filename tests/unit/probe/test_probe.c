/* Endpoints as people write them, and errors in short. */
#include "../unit.h"

#include "../one_arena.h"
#include "probe/probe.h"
#include "probe/problems.h"
#include "probe/target.h"

static void good(const char *text, const char *host, const char *port)
{
    struct probe_target t;
    struct err e;

    assert_int_equal(probe_target_parse(str_c(text), &arena, &t, &e), OK);
    assert_str(t.text, text);
    assert_str(t.options.v[CONN_HOST], host);
    assert_str(t.options.v[CONN_PORT], port[0] ? port : "5432");
}

static void bad(const char *text)
{
    struct probe_target t;
    struct err e = { 0 };

    assert_int_equal(probe_target_parse(str_c(text), &arena, &t, &e), E_PARAM);
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

static void conninfo(const char *text, const char *shown)
{
    struct probe_target t;
    struct err e;

    assert_int_equal(probe_target_parse(str_c(text), &arena, &t, &e), OK);
    assert_str(t.text, shown);
}

static void test_conninfos(void **state)
{
    struct probe_target t;
    struct err e;

    (void)state;
    conninfo("postgresql://u:secret@db:7/x?sslmode=require", "db:7"); /* the secret is not shown */
    conninfo("host=db password=secret", "db");
    conninfo("hostaddr=10.0.0.1", "10.0.0.1");
    conninfo("service=prod", "service=prod");
    conninfo("user=u", "default");
    assert_int_equal(probe_target_parse(STR("host=a,b"), &arena, &t, &e), E_PARAM);
    assert_int_equal(probe_target_parse(STR("postgresql://a,b/"), &arena, &t, &e), E_PARAM);
    assert_int_equal(probe_target_parse(STR("nope=1"), &arena, &t, &e), E_PARAM);
    assert_string_equal(e.message, "invalid connection option \"nope\"");
}

static void test_hostile_targets(void **state)
{
    static const char text[] = "[fe80::1%eth0]:5433";
    struct probe_target t;
    struct err e;

    (void)state;
    for (size_t cut = 0; cut < sizeof text; cut++) {
        enum code code = probe_target_parse(str_of(text, cut), &arena, &t, &e);
        assert_true(code == OK || code == E_PARAM);
    }
    assert_int_equal(probe_target_parse(str_of("a\0b", 3), &arena, &t, &e), E_PARAM);
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
        cmocka_unit_test_setup_teardown(test_targets, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_conninfos, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_hostile_targets, set_up, tear_down),
        cmocka_unit_test(test_short_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
