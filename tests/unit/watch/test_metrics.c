/* Counting, merging, and the text that Prometheus reads. */
#include "base/buf.h"
#include "base/check.h"
#include "base/count.h"
#include "unit.h"
#include "watch/metrics.h"

#include <pthread.h>
#include <stdio.h>

static struct counters *sets[2];

static int setup(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(sets); i++) {
        sets[i] = counters_new(8);
        assert_non_null(sets[i]);
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(sets); i++)
        counters_free(sets[i]);
    return 0;
}

static struct count_cell *failure(struct counters *counters, struct str cause)
{
    return count_cell(counters, METRIC_FAILURES, &cause);
}

static void assert_text(const struct counters *counters, const char *expected)
{
    AUTO(buf) struct buf out = BUF_INIT(1 << 20);

    metrics_print(counters, &out);
    assert_true(buf_ok(&out));
    assert_string_equal(buf_c(&out), expected);
}

#define FAILURES_HEAD                                                                                        \
    "# HELP pgseal_failures_total Failed connections by cause, in the words of the log and of "              \
    "pgseal_failures.\n# TYPE pgseal_failures_total counter\n"

static void test_nothing_is_said_of_nothing(void **state)
{
    (void)state;
    assert_text(sets[0], "");
}

static void test_one_label_set_is_one_cell(void **state)
{
    (void)state;
    struct count_cell *cell = failure(sets[0], STR("a"));

    count_add(cell, 2);
    assert_ptr_equal(failure(sets[0], STR("a")), cell);
    assert_ptr_not_equal(failure(sets[0], STR("b")), cell);
    assert_int_equal(count_value(cell), 2);
    count_add(NULL, 1);
    count_set(NULL, 1);
    count_time(NULL, 1);
}

/* Neighbouring labels do not run into each other. */
static void test_labels_are_kept_apart(void **state)
{
    (void)state;
    const struct str one[] = { STR("ab"), STR("") }, other[] = { STR("a"), STR("b") };

    assert_ptr_not_equal(count_cell(sets[0], METRIC_AUTHENTICATIONS, one),
                         count_cell(sets[0], METRIC_AUTHENTICATIONS, other));
}

static void test_labels_are_escaped(void **state)
{
    (void)state;
    count_add(failure(sets[0], STR("quote \" backslash \\ line\nend")), 1);
    count_add(failure(sets[0], STR("gr\xc3\xbc\xc3\x9f"
                                   "e")),
              1);
    count_add(failure(sets[0], STR("not \xff utf-8 \xc3")), 1);
    count_add(failure(sets[0], STR("}{=,")), 1);
    assert_text(sets[0],
                FAILURES_HEAD "pgseal_failures_total{cause=\"quote \\\" backslash \\\\ line\\nend\"} 1\n"
                              "pgseal_failures_total{cause=\"gr\xc3\xbc\xc3\x9f"
                              "e\"} 1\n"
                              "pgseal_failures_total{cause=\"not \\\\xff utf-8 \\\\xc3\"} 1\n"
                              "pgseal_failures_total{cause=\"}{=,\"} 1\n");
}

static void test_long_labels_are_cut(void **state)
{
    (void)state;
    char text[COUNT_LABEL_SIZE + 10];

    memset(text, 'x', sizeof text);
    struct count_cell *cell = failure(sets[0], str_of(text, sizeof text));
    assert_int_equal(count_label(cell, 0).n, COUNT_LABEL_SIZE);
    assert_ptr_equal(failure(sets[0], str_of(text, sizeof text - 1)), cell);
}

static void test_too_many_label_sets_are_other(void **state)
{
    (void)state;
    char text[16];

    for (int i = 0; i < 20; i++) {
        (void)snprintf(text, sizeof text, "%d", i);
        count_add(failure(sets[0], str_c(text)), 1);
    }
    assert_int_equal(count_value(failure(sets[0], STR("7"))), 1);
    assert_int_equal(count_value(failure(sets[0], STR("other"))), 12);
    count_add(count_cell(sets[0], METRIC_RECEIVED, NULL), 1); /* without labels there is always room */
    assert_int_equal(count_value(count_first(sets[0], METRIC_RECEIVED)), 1);
}

static void test_sets_are_merged_as_the_table_says(void **state)
{
    (void)state;
    const struct str upstream = STR("default");

    count_add(failure(sets[0], STR("a")), 1);
    count_add(failure(sets[1], STR("a")), 2);
    count_add(failure(sets[1], STR("b")), 4);
    count_set(count_cell(sets[0], METRIC_UPSTREAM_OK_TIME, &upstream), 7);
    count_set(count_cell(sets[1], METRIC_UPSTREAM_OK_TIME, &upstream), 5);
    counters_merge(sets[0], sets[1]);
    assert_int_equal(count_value(failure(sets[0], STR("a"))), 3);
    assert_int_equal(count_value(failure(sets[0], STR("b"))), 4);
    assert_int_equal(count_value(count_cell(sets[0], METRIC_UPSTREAM_OK_TIME, &upstream)), 7);
}

static void test_times_fall_into_buckets(void **state)
{
    (void)state;
    AUTO(buf) struct buf out = BUF_INIT(1 << 16);
    const struct str version = STR("TLSv1.3");

    count_time(count_cell(sets[0], METRIC_HANDSHAKE_SECONDS, &version), 500);
    count_time(count_cell(sets[0], METRIC_HANDSHAKE_SECONDS, &version), 501);
    count_time(count_cell(sets[1], METRIC_HANDSHAKE_SECONDS, &version), 99000000);
    counters_merge(sets[0], sets[1]);
    metrics_print(sets[0], &out);
    const char *text = buf_c(&out);
    assert_non_null(
        strstr(text, "pgseal_handshake_seconds_bucket{tls_version=\"TLSv1.3\",le=\"0.0005\"} 1\n"));
    assert_non_null(
        strstr(text, "pgseal_handshake_seconds_bucket{tls_version=\"TLSv1.3\",le=\"0.001\"} 2\n"));
    assert_non_null(strstr(text, "pgseal_handshake_seconds_bucket{tls_version=\"TLSv1.3\",le=\"10\"} 2\n"));
    assert_non_null(strstr(text, "pgseal_handshake_seconds_bucket{tls_version=\"TLSv1.3\",le=\"+Inf\"} 3\n"));
    assert_non_null(strstr(text, "pgseal_handshake_seconds_sum{tls_version=\"TLSv1.3\"} 99.001001\n"));
    assert_non_null(strstr(text, "pgseal_handshake_seconds_count{tls_version=\"TLSv1.3\"} 3\n"));
}

static void test_millionths_are_printed_whole(void **state)
{
    (void)state;
    count_set(count_cell(sets[0], METRIC_START_TIME, NULL), 1700000000000001);
    count_set(count_cell(sets[0], METRIC_WORKERS, NULL), -3);
    assert_text(sets[0],
                "# HELP pgseal_start_time_seconds When the gate was started, in seconds since 1970.\n"
                "# TYPE pgseal_start_time_seconds gauge\npgseal_start_time_seconds 1700000000.000001\n"
                "# HELP pgseal_workers Event-loop threads.\n# TYPE pgseal_workers gauge\n"
                "pgseal_workers -3\n");
}

enum { WRITES = 20000 };

static void *write_all(void *arg)
{
    char text[16];

    (void)arg;
    for (int i = 0; i < WRITES; i++) {
        (void)snprintf(text, sizeof text, "%d", i % 10);
        count_add(failure(sets[1], str_c(text)), 1);
    }
    return NULL;
}

/* Readers see whole cells while somebody writes. */
static void test_reading_while_another_thread_writes(void **state)
{
    (void)state;
    pthread_t writer;
    int64_t sum = 0;

    assert_int_equal(pthread_create(&writer, NULL, write_all, NULL), 0);
    while (sum < 1) {
        sum = 0;
        for (const struct count_cell *c = count_first(sets[1], METRIC_FAILURES); c; c = count_next(c)) {
            assert_true(count_label(c, 0).n > 0);
            sum += count_value(c);
        }
    }
    assert_int_equal(pthread_join(writer, NULL), 0);
    counters_merge(sets[0], sets[1]);
    sum = 0;
    for (const struct count_cell *c = count_first(sets[0], METRIC_FAILURES); c; c = count_next(c))
        sum += count_value(c);
    assert_int_equal(sum, WRITES);
}

static void test_the_table_is_sound(void **state)
{
    (void)state;
    for (size_t i = 0; i < METRIC_COUNT; i++) {
        const struct metric_def def = metric_def((enum metric)i);
        assert_true(str_starts(str_c(def.name), STR("pgseal_")));
        assert_int_equal(str_ends(str_c(def.name), STR("_total")), def.type == METRIC_COUNTER);
        assert_true(str_ends(str_c(def.help), STR(".")));
        assert_null(strpbrk(def.help, "\\\n"));
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(metric_def((enum metric)j).name, def.name);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_nothing_is_said_of_nothing),
        TEST(test_one_label_set_is_one_cell),
        TEST(test_labels_are_kept_apart),
        TEST(test_labels_are_escaped),
        TEST(test_long_labels_are_cut),
        TEST(test_too_many_label_sets_are_other),
        TEST(test_sets_are_merged_as_the_table_says),
        TEST(test_times_fall_into_buckets),
        TEST(test_millionths_are_printed_whole),
        TEST(test_reading_while_another_thread_writes),
        TEST(test_the_table_is_sound),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
