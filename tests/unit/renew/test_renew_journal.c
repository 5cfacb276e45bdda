/* The journal of renewals, read. */
#include "../unit.h"

#include "base/arena.h"
#include "base/check.h"
#include "renew/journal.h"

static struct arena arena;

static struct renew_past past_of(const char *text)
{
    struct renew_past past;
    struct err e;

    arena_reset(&arena);
    assert_int_equal(renew_journal_read(str_c(text), STR("server"), &arena, &past, &e), OK);
    return past;
}

static void a_swap_is_open_until_done(void **state)
{
    (void)state;
    struct renew_past past = past_of("2026-11-29T23:30:00Z server begin -\n"
                                     "2026-11-29T23:30:00Z server swap NEW OLD\n"
                                     "2026-11-29T23:30:00Z http swap OTHER X\n");
    assert_str(past.open, "NEW");
    assert_str(past.before, "OLD");
    past = past_of("2026-11-29T23:30:00Z server swap NEW OLD\n2026-11-29T23:30:01Z server done NEW abc\n");
    assert_int_equal(past.open.n, 0);
    assert_int_equal(past.done_unix_s, 1764459001 + 365 * 86400);
    past = past_of("2026-11-29T23:30:00Z server swap NEW OLD\n2026-11-29T23:30:01Z server back OLD\n");
    assert_int_equal(past.open.n, 0);
}

static void failures_count_until_done(void **state)
{
    (void)state;
    struct renew_past past = past_of("2026-11-29T23:30:00Z server failed - issue: first\n"
                                     "2026-11-29T23:31:00Z server failed - check: second one\n");
    assert_int_equal(past.failures, 2);
    assert_str(past.why, "check: second one");
    assert_int_equal(past.step, RENEW_CHECK);
    assert_int_equal(past_of("2026-11-29T23:30:00Z server failed - nonsense\n").step, RENEW_BEGIN);
    past = past_of("2026-11-29T23:30:00Z server failed - issue: first\n2026-11-29T23:31:00Z server done G\n");
    assert_int_equal(past.failures, 0);
}

static void half_a_line_counts_for_nothing(void **state)
{
    (void)state;
    assert_int_equal(past_of("2026-11-29T23:30:00Z server swap NEW OLD").open.n, 0);
    assert_int_equal(past_of("2026-11-29T23:3 server swap NEW OLD\n").open.n, 0);
    assert_int_equal(past_of("\n \nserver\n2026-11-29T23:30:00Z server\n").failures, 0);
    assert_int_equal(past_of("2026-11-29T23:30:00Z server vanish NEW OLD\n").open.n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_swap_is_open_until_done),
        cmocka_unit_test(failures_count_until_done),
        cmocka_unit_test(half_a_line_counts_for_nothing),
    };

    arena_init(&arena, 1 << 20, 4096);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    arena_fini(&arena);
    return failed;
}
