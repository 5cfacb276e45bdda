/* Counting in bounded memory: rows of one key are one, the oldest is forgotten; and the ring of reloads. */
#include "base/arena.h"
#include "base/check.h"
#include "gate/load/history.h"
#include "gate/stats/tally.h"
#include "unit.h"

#include <stdio.h>

enum { ARENA_MAX = 64 << 20 };

static struct tally_row failure(enum cause cause, const char *address, const char *user, int64_t at_us)
{
    struct tally_row row = {
        .key.cause = cause, .alert = "", .tls_version = "", .count = 1, .first_us = at_us, .last_us = at_us
    };

    (void)snprintf(row.key.address, sizeof row.key.address, "%s", address);
    (void)snprintf(row.user, sizeof row.user, "%s", user);
    return row;
}

static const enum cause unknown_ca = CAUSE_UNKNOWN_CA, other = CAUSE_OTHER;

/* Rows of other workers come in any order: an older one changes counts, not what was seen last. */
static void same_key_is_one_row(void **state)
{
    AUTO(arena) struct arena arena;
    struct tally *tally = tally_new(TALLY_FAILURES_MAX);
    struct tally_row seen[] = { failure(unknown_ca, "192.0.2.1", "late", 30),
                                failure(unknown_ca, "192.0.2.1", "early", 10),
                                failure(other, "192.0.2.1", "", 20),
                                failure(unknown_ca, "192.0.2.2", "", 5) };
    const struct tally_row *rows;
    size_t n;

    (void)state;
    arena_init(&arena, ARENA_MAX, 1024);
    for (size_t i = 0; i < sizeof seen / sizeof seen[0]; i++)
        tally_note(tally, &seen[i]);
    assert_true(tally_copy(tally, &arena, &rows, &n));
    assert_int_equal(n, 3);
    assert_string_equal(rows[0].key.address, "192.0.2.2"); /* the latest first */
    assert_int_equal(rows[1].key.cause, other);
    assert_string_equal(rows[2].user, "late");
    assert_int_equal(rows[2].count, 2);
    assert_int_equal(rows[2].first_us, 10);
    assert_int_equal(rows[2].last_us, 30);
    tally_free(tally);
}

/* Counts of two workers meet in the right spans; those older than an hour fall out. */
static void spans_move_on(void **state)
{
    struct tally_spans now = { .last = 100 };
    const struct tally_spans here = { .last = 98, .counts = { 1, 2, [TALLY_SPANS - 1] = 9 } },
                             there = { .last = 99, .counts = { 4, 8 } },
                             long_ago = { .last = 7, .counts = { 5 } }, never = { 0 };

    (void)state;
    tally_spans_add(&now, &here);
    tally_spans_add(&now, &there);
    tally_spans_add(&now, &long_ago);
    tally_spans_add(&now, &never);
    static const uint32_t expected[TALLY_SPANS] = { 0, 4, 9, 2 };
    assert_int_equal(now.last, 100);
    assert_memory_equal(now.counts, expected, sizeof expected);
    struct tally_spans early = { .last = 50, .counts = { 3 } };
    tally_spans_add(&early, &now); /* the later one leads */
    assert_int_equal(early.last, 100);
    assert_memory_equal(early.counts, expected, sizeof expected);
    assert_int_equal(tally_span_of(INT64_C(1795231830000000)), 1795231830 / TALLY_SPAN_S);
}

static void the_oldest_is_forgotten(void **state)
{
    AUTO(arena) struct arena arena;
    struct tally *tally = tally_new(TALLY_FAILURES_MAX);
    const struct tally_row *rows;
    char name[32];
    size_t n;

    (void)state;
    arena_init(&arena, ARENA_MAX, 1024);
    for (int i = 0; i < TALLY_FAILURES_MAX + 100; i++) {
        (void)snprintf(name, sizeof name, "address %d", i);
        struct tally_row row = failure(other, name, "", i + 1),
                         first = failure(other, "address 0", "", i + 1);
        tally_note(tally, &row);
        tally_note(tally, &first); /* seen all the time, so never the oldest */
    }
    assert_true(tally_copy(tally, &arena, &rows, &n));
    assert_int_equal(n, TALLY_FAILURES_MAX);
    assert_string_equal(rows[0].key.address, "address 0");
    assert_string_equal(rows[n - 1].key.address, "address 101");
    tally_free(tally);
}

/* For another process: what comes back is the same, and its texts are static ones. */
static void rows_go_over(void **state)
{
    struct tally_row row = failure(unknown_ca, "192.0.2.1", "alice", 30), back;
    struct history_row event = {
        .at_us = 5, .generation = 2, .trigger = "SIGHUP", .result = "refused", .line = 7
    };
    static struct history history;
    struct history_saved event_saved;
    struct tally_saved saved;

    (void)state;
    row.alert = "unknown_ca";
    row.tls_version = "TLSv1.3";
    tally_save(&row, &saved);
    assert_true(tally_restore(&saved, &back));
    assert_memory_equal(&back.key, &row.key, sizeof row.key);
    assert_string_equal(back.alert, "unknown_ca");
    assert_ptr_not_equal(back.alert, saved.alert);
    assert_string_equal(back.tls_version, "TLSv1.3");
    assert_string_equal(back.user, "alice");
    assert_int_equal(back.last_us, 30);
    memset(saved.cause, 'x', sizeof saved.cause);
    assert_false(tally_restore(&saved, &back));
    history_save(&event, &event_saved);
    history_restore(&history, &event_saved);
    assert_string_equal(history_at(&history, 0)->trigger, "SIGHUP");
    assert_string_equal(history_at(&history, 0)->result, "refused");
    assert_int_equal(history_at(&history, 0)->line, 7);
    memset(event_saved.trigger, 'x', sizeof event_saved.trigger);
    history_restore(&history, &event_saved);
    assert_string_equal(history_at(&history, 1)->trigger, "");
}

static void the_ring_of_reloads(void **state)
{
    static struct history history;

    (void)state;
    assert_int_equal(history_count(&history), 0);
    for (unsigned i = 1; i <= HISTORY_MAX + 3; i++)
        history_add(&history, i, i, "SIGHUP", "loaded")->line = i;
    assert_int_equal(history_count(&history), HISTORY_MAX);
    assert_int_equal(history_at(&history, 0)->generation, 4);
    assert_int_equal(history_at(&history, HISTORY_MAX - 1)->line, HISTORY_MAX + 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_key_is_one_row),     cmocka_unit_test(spans_move_on),
        cmocka_unit_test(the_oldest_is_forgotten), cmocka_unit_test(rows_go_over),
        cmocka_unit_test(the_ring_of_reloads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
