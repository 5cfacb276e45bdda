/* When a renewal is due, and how long it waits after failures. */
#include "../unit.h"

#include "renew/due.h"

enum { DAY = 86400, HOUR = 3600 };

static struct due at(int64_t days_of_life, int64_t now_s)
{
    const struct due_facts facts = { .not_after_unix_s = days_of_life * DAY, .now_unix_s = now_s };

    return due_judge(&facts);
}

static void a_third_is_left(void **state)
{
    (void)state;
    assert_int_equal(at(90, 0).renew_unix_s, 60 * DAY);
    assert_false(at(90, 60 * DAY - 1).due);
    assert_true(at(90, 60 * DAY).due);
    assert_true(at(90, 91 * DAY).due);
}

static void half_of_a_short_life(void **state)
{
    (void)state;
    assert_int_equal(at(6, 0).renew_unix_s, 3 * DAY);
    assert_false(at(6, 3 * DAY - 1).due);
    assert_true(at(6, 3 * DAY).due);
}

static void the_file_may_say_the_share(void **state)
{
    struct due_facts facts = { .not_after_unix_s = 100 * DAY, .share = 20 };

    (void)state;
    assert_int_equal(due_judge(&facts).renew_unix_s, 80 * DAY);
    facts.at_once = true;
    assert_true(due_judge(&facts).due);
}

static void the_ca_may_name_a_window(void **state)
{
    struct due_facts facts = { .not_after_unix_s = 90 * DAY,
                               .window_start_unix_s = 10 * DAY,
                               .window_end_unix_s = 12 * DAY,
                               .at = 0.5,
                               .now_unix_s = 11 * DAY };

    (void)state;
    assert_true(due_judge(&facts).due && due_judge(&facts).by_window);
    facts.now_unix_s = 11 * DAY - 1;
    assert_false(due_judge(&facts).due);
    facts.window_start_unix_s = 85 * DAY; /* no room is left behind it */
    facts.window_end_unix_s = 89 * DAY;
    assert_int_equal(due_judge(&facts).renew_unix_s, 60 * DAY);
    facts.window_end_unix_s = 1; /* ends before it begins */
    assert_false(due_judge(&facts).by_window);
}

static void failures_wait_longer_and_longer(void **state)
{
    struct due_facts facts = { .not_after_unix_s = 90 * DAY, .failures = 1, .failed_unix_s = 60 * DAY };

    (void)state;
    facts.now_unix_s = facts.failed_unix_s + 15 * 60 - 1;
    assert_true(due_judge(&facts).waits);
    facts.now_unix_s++;
    assert_false(due_judge(&facts).waits);
    facts.failures = 3;
    assert_int_equal(due_judge(&facts).next_attempt_unix_s, facts.failed_unix_s + HOUR);
    facts.failures = 4000000000U;
    assert_int_equal(due_judge(&facts).next_attempt_unix_s, facts.failed_unix_s + DAY);
    facts.now_unix_s = facts.failed_unix_s - 1; /* the clock went back */
    assert_false(due_judge(&facts).waits);
}

static void there_is_room_for_many_attempts(void **state)
{
    struct due_facts facts = { .not_after_unix_s = 6 * DAY,
                               .failures = 20,
                               .failed_unix_s = 6 * DAY - 16 * HOUR };

    (void)state;
    assert_int_equal(due_judge(&facts).next_attempt_unix_s, facts.failed_unix_s + HOUR);
    facts.failed_unix_s = 7 * DAY; /* it is over: try every minute */
    facts.now_unix_s = facts.failed_unix_s + 60;
    assert_false(due_judge(&facts).waits);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_third_is_left),
        cmocka_unit_test(half_of_a_short_life),
        cmocka_unit_test(the_file_may_say_the_share),
        cmocka_unit_test(the_ca_may_name_a_window),
        cmocka_unit_test(failures_wait_longer_and_longer),
        cmocka_unit_test(there_is_room_for_many_attempts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
