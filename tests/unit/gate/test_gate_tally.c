/* Counting in bounded memory: rows of one key are one, the oldest is forgotten; and the ring of reloads. */
#include "base/arena.h"
#include "base/check.h"
#include "gate/history.h"
#include "gate/tally.h"
#include "unit.h"

#include <stdio.h>

enum { ARENA_MAX = 64 << 20 };

static struct tally_row client(const char *user, const char *version, int64_t at_us)
{
    struct tally_row row = {
        .kind = TALLY_CLIENT,
        .cause = "",
        .hint = "",
        .alert = "",
        .tls_version = version,
        .sslmode = "",
        .binding = "",
        .count = 1,
        .first_us = at_us,
        .last_us = at_us,
    };

    (void)snprintf(row.user, sizeof row.user, "%s", user);
    return row;
}

static void same_key_is_one_row(void **state)
{
    AUTO(arena) struct arena arena;
    struct tally *tally = tally_new();
    struct tally_row seen[] = { client("alice", "TLSv1.3", 10), client("alice", "TLSv1.2", 20),
                                client("alice", "TLSv1.3", 30), client("bob", "", 5) };
    const struct tally_row *rows;
    size_t n;

    (void)state;
    arena_init(&arena, ARENA_MAX, 1024);
    for (size_t i = 0; i < sizeof seen / sizeof seen[0]; i++)
        tally_note(tally, &seen[i], true);
    assert_true(tally_copy(tally, &arena, &rows, &n));
    assert_int_equal(n, 2);
    assert_string_equal(rows[0].user, "bob"); /* the latest first */
    assert_int_equal(rows[1].count, 3);
    assert_int_equal(rows[1].first_us, 10);
    assert_int_equal(rows[1].last_us, 30);
    assert_string_equal(rows[1].tls_version, "TLSv1.2"); /* the weakest */
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

/* Rows of other workers come in any order: an older one changes counts, not what was seen last. */
static void older_rows_do_not_overwrite(void **state)
{
    AUTO(arena) struct arena arena;
    struct tally *tally = tally_new();
    struct tally_row late = client("alice", "TLSv1.3", 30), early = client("alice", "", 10);
    const struct tally_row *rows;
    size_t n;

    (void)state;
    arena_init(&arena, ARENA_MAX, 1024);
    (void)snprintf(late.sni, sizeof late.sni, "new.example");
    (void)snprintf(early.sni, sizeof early.sni, "old.example");
    tally_note(tally, &late, false);
    tally_note(tally, &early, false);
    assert_true(tally_copy(tally, &arena, &rows, &n));
    assert_int_equal(n, 1);
    assert_string_equal(rows[0].sni, "new.example");
    assert_string_equal(rows[0].tls_version, "TLSv1.3");
    assert_int_equal(rows[0].first_us, 10);
    assert_int_equal(rows[0].count, 2);
    tally_free(tally);
}

static void the_oldest_is_forgotten(void **state)
{
    AUTO(arena) struct arena arena;
    struct tally *tally = tally_new();
    const struct tally_row *rows;
    char name[32];
    size_t n;

    (void)state;
    arena_init(&arena, ARENA_MAX, 1024);
    for (int i = 0; i < TALLY_CLIENTS_MAX + 100; i++) {
        (void)snprintf(name, sizeof name, "user %d", i);
        struct tally_row row = client(name, "", i + 1), first = client("user 0", "", i + 1);
        tally_note(tally, &row, true);
        tally_note(tally, &first, true); /* seen all the time, so never the oldest */
    }
    assert_true(tally_copy(tally, &arena, &rows, &n));
    assert_int_equal(n, TALLY_CLIENTS_MAX);
    assert_string_equal(rows[0].user, "user 0");
    assert_string_equal(rows[n - 1].user, "user 101");
    tally_free(tally);
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
        cmocka_unit_test(same_key_is_one_row),         cmocka_unit_test(spans_move_on),
        cmocka_unit_test(older_rows_do_not_overwrite), cmocka_unit_test(the_oldest_is_forgotten),
        cmocka_unit_test(the_ring_of_reloads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
