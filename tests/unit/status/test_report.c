/* The report's queries over the small gate of fixture.h, as JSON. */
#include "../unit.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/env.h"
#include "clerk/report.h"
#include "fixture.h"

#include <jansson.h>
#include <string.h>

struct run {
    struct env env;
    struct fixture fixture;
    struct report *report;
    json_t *json;
};

static int64_t wall(void *ctx)
{
    (void)ctx;
    return INT64_C(1795231830000000); /* 2026-11-21 03:30:30 UTC */
}

static void begin(struct run *r)
{
    *r = (struct run){ .env = env_system() };
    r->env.now_unix_us = wall;
    r->report = report_new(&r->env, wall(NULL));
    assert_non_null(r->report);
}

static void ask(struct run *r)
{
    AUTO(buf) struct buf out = BUF_INIT(8 << 20);
    struct row_source rows = fixture_rows(&r->fixture);
    const struct report_request request = { &rows, wall(NULL), 5000000 };
    struct err e = { 0 };

    assert_int_equal(report_run(r->report, &request, &out, &e), OK);
    json_decref(r->json);
    r->json = json_loadb((const char *)out.p, out.n, 0, NULL);
    assert_true(json_is_object(r->json));
}

static void end(struct run *r)
{
    json_decref(r->json);
    report_free(r->report);
}

static const json_t *cell(const struct run *r, const char *query, size_t row, const char *column)
{
    const json_t *found = json_object_get(json_array_get(json_object_get(r->json, query), row), column);

    assert_non_null(found);
    return found;
}

static void types_are_kept(void **state)
{
    struct run r;

    (void)state;
    begin(&r);
    ask(&r);
    assert_string_equal(json_string_value(cell(&r, "certificates", 0, "serial")),
                        "340282366920938463463374607431768211455");
    assert_string_equal(json_string_value(cell(&r, "certificates", 0, "not_before")),
                        "2026-11-18T11:06:40.000Z");
    assert_int_equal(json_integer_value(cell(&r, "certificates", 0, "days_left")), 87);
    assert_true(json_real_value(cell(&r, "certificates", 0, "life_left")) == 0.971);
    assert_true(json_is_true(cell(&r, "certificates", 0, "served")));
    assert_true(json_is_null(cell(&r, "certificates", 0, "subject")));
    assert_string_equal(json_string_value(json_array_get(cell(&r, "certificates", 0, "sans"), 0)),
                        "/^a{1,2}$");
    end(&r);
}

/* A query that fails is null and says why; the others answer. */
static void a_failure_stays_alone(void **state)
{
    struct run r;

    (void)state;
    begin(&r);
    ask(&r); /* the small gate has no setting "port" */
    assert_true(json_is_null(json_object_get(r.json, "gate")));
    assert_non_null(strstr(json_string_value(json_object_get(json_object_get(r.json, "errors"), "gate")),
                           "unrecognized configuration parameter"));
    assert_int_equal(json_array_size(json_object_get(r.json, "certificates")), 1);
    end(&r);
}

/* Memory and time are bounded however much there is to tell, and a report can be asked again. */
static void large_gates_are_cut(void **state)
{
    struct run r;

    (void)state;
    begin(&r);
    ask(&r);
    r.fixture.sessions = 10000;
    ask(&r);
    const json_t *member;
    const char *name;
    json_object_foreach(r.json, name, member) assert_true(json_array_size(member) <= REPORT_ROWS_MAX);
    end(&r);
}

static void output_is_limited(void **state)
{
    AUTO(buf) struct buf out = BUF_INIT(64);
    struct run r;
    struct err e = { 0 };

    (void)state;
    begin(&r);
    struct row_source rows = fixture_rows(&r.fixture);
    const struct report_request request = { &rows, 0, 5000000 };
    assert_int_equal(report_run(r.report, &request, &out, &e), E_LIMIT);
    end(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(types_are_kept),
        cmocka_unit_test(a_failure_stays_alone),
        cmocka_unit_test(large_gates_are_cut),
        cmocka_unit_test(output_is_limited),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
