/* Turns: how many at once, whose is next, who is told, what a refusal does; and nothing is left behind. */
#include "../unit.h"

#include "base/check.h"
#include "net/turns.h"
#include "prefix_text.h"
#include "turn.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

enum { PEOPLE_MAX = 64 };

struct person {
    struct turn *turn;
    unsigned order; /* in which it was told; 0: not */
};

static struct {
    struct loop *loop;
    struct turns *turns;
    struct person people[PEOPLE_MAX];
    size_t n;
    unsigned told;
    size_t limit;
} t;

static void on_go(void *arg)
{
    struct person *person = arg;

    person->order = ++t.told;
}

static struct person *wish(const char *resource, const char *whose, bool again)
{
    struct person *person = &t.people[t.n++];
    const struct turn_wish wanted = { .resource = str_bytes(str_c(resource)),
                                      .prefix = prefix(whose),
                                      .limit = t.limit,
                                      .again = again,
                                      .loop = t.loop,
                                      .go = on_go,
                                      .arg = person };

    assert_true(t.n <= PEOPLE_MAX);
    person->turn = turn_take(t.turns, &wanted);
    assert_non_null(person->turn);
    return person;
}

static struct person *come(const char *whose)
{
    return wish("server", whose, false);
}

static bool waits(const struct person *person)
{
    return turn_waits(person->turn);
}

static void leave(struct person *person)
{
    turn_leave(person->turn);
    person->turn = NULL;
}

static void look(void)
{
    turn_once(t.loop);
}

static void add_counts(void *arg, struct bytes resource, const struct turn_count *count)
{
    struct turn_count *sum = arg;

    (void)resource;
    sum->held += count->held;
    sum->waiting += count->waiting;
}

static void assert_counts(size_t held, size_t waiting)
{
    struct turn_count sum = { 0 };

    turns_count(t.turns, add_counts, &sum);
    assert_int_equal(sum.held, held);
    assert_int_equal(sum.waiting, waiting);
}

static int begin(void **state)
{
    (void)state;
    memset(&t, 0, sizeof t);
    t.limit = 8;
    t.loop = loop_new();
    t.turns = turns_new();
    return t.loop && t.turns ? 0 : -1;
}

/* turns_free() aborts if a resource is left, the address sanitizer if a turn or a message is. */
static int end(void **state)
{
    (void)state;
    for (size_t i = 0; i < t.n; i++)
        turn_leave(t.people[i].turn);
    loop_free(t.loop);
    turns_free(t.turns);
    return 0;
}

static void test_as_many_as_the_limit(void **state)
{
    static const char *const whose[] = { "10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5" };
    struct person *held[8];
    (void)state;

    for (size_t i = 0; i < 8; i++) {
        held[i] = come(whose[i / 2]);
        assert_false(waits(held[i]));
    }
    struct person *late = come(whose[4]);
    assert_true(waits(late));
    assert_counts(8, 1);
    look();
    assert_int_equal(late->order, 0);
    leave(held[3]);
    assert_counts(8, 0); /* given away at once, although nobody has heard of it */
    look();
    assert_int_equal(late->order, 1);
    assert_false(waits(late));
}

static void test_a_site_holds_a_quarter(void **state)
{
    (void)state;
    struct person *first = come("10.0.0.1"), *second = come("10.0.0.1"), *third = come("10.0.0.1");
    assert_false(waits(first) || waits(second));
    assert_true(waits(third));
    struct person *other = come("10.0.0.2");
    assert_false(waits(other)); /* it is not behind them */
    leave(other);
    look();
    assert_true(waits(third));
    leave(second);
    look();
    assert_false(waits(third));
}

static void test_a_site_of_ipv6_is_48_bits(void **state)
{
    (void)state;
    (void)come("2001:db8:1:1::1");
    (void)come("2001:db8:1:2::1");
    assert_true(waits(come("2001:db8:1:3::1")));
    assert_false(waits(come("2001:db8:2:3::1")));
}

static void test_a_limit_below_four_gives_one(void **state)
{
    (void)state;
    t.limit = 1;
    struct person *one = come("10.0.0.1"), *next = come("10.0.0.1");
    assert_false(waits(one));
    assert_true(waits(next));
    leave(one);
    look();
    assert_false(waits(next));
}

static void test_resources_do_not_know_each_other(void **state)
{
    (void)state;
    t.limit = 1;
    (void)come("10.0.0.1");
    assert_true(waits(come("10.0.0.2")));
    assert_false(waits(wish("another server", "10.0.0.2", false)));
}

/* One client with many waiting, others with one each: they do not wait behind it. */
static void test_sites_are_served_in_rotation(void **state)
{
    (void)state;
    t.limit = 1;
    struct person *now = come("10.0.0.9");
    struct person *many[4];
    for (size_t i = 0; i < 4; i++)
        many[i] = come("10.0.0.1");
    struct person *b = come("10.0.0.2"), *c = come("10.0.0.3");
    struct person *const expected[] = { many[0], b, c, many[1], many[2], many[3] };
    for (size_t i = 0; i < COUNT_OF(expected); i++) {
        leave(now);
        look();
        now = expected[i];
        assert_int_equal(now->order, i + 1);
        assert_int_equal(t.told, i + 1); /* and nobody else */
    }
}

/* Before all others, and its site keeps its place in the rotation. */
static void test_who_goes_on_comes_first(void **state)
{
    (void)state;
    t.limit = 1;
    struct person *now = come("10.0.0.9");
    struct person *a = come("10.0.0.1"), *b = come("10.0.0.2"), *c = come("10.0.0.2");
    struct person *on = wish("server", "10.0.0.2", true), *on_too = wish("server", "10.0.0.3", true);
    struct person *const expected[] = { on, on_too, a, b, c };
    for (size_t i = 0; i < COUNT_OF(expected); i++) {
        leave(now);
        look();
        now = expected[i];
        assert_int_equal(now->order, i + 1);
    }
}

static void test_who_leaves_is_not_told(void **state)
{
    (void)state;
    t.limit = 1;
    struct person *now = come("10.0.0.1"), *gone = come("10.0.0.2"), *given = come("10.0.0.3"),
                  *last = come("10.0.0.4");
    leave(gone); /* while it waits */
    assert_counts(1, 2);
    leave(now);
    leave(given); /* after it was given a turn, before it has heard */
    look();
    look();
    assert_int_equal(gone->order, 0);
    assert_int_equal(given->order, 0);
    assert_int_equal(last->order, 1);
    leave(last);
    assert_counts(0, 0);
}

static void test_a_higher_limit_counts_at_once(void **state)
{
    (void)state;
    t.limit = 1;
    (void)come("10.0.0.1");
    struct person *waiting = come("10.0.0.2");
    t.limit = 4;
    struct person *newcomer = come("10.0.0.3");
    look();
    assert_false(waits(waiting) || waits(newcomer));
}

static void test_a_refusal_lets_one_try(void **state)
{
    static const char *const whose[] = { "10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4" };
    struct person *held[4];
    (void)state;

    for (size_t i = 0; i < 4; i++)
        held[i] = come(whose[i]);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(turn_refused(held[i]->turn), -1);
        assert_true(waits(held[i]));
    }
    /* The last one keeps its turn, and waits longer each time. */
    int64_t pause_ms = turn_refused(held[3]->turn), before = pause_ms;
    assert_true(pause_ms > 0);
    for (size_t i = 0; i < 10; i++) {
        pause_ms = turn_refused(held[3]->turn);
        assert_in_range(pause_ms, before, 1000);
        before = pause_ms;
    }
    assert_true(waits(come("10.0.0.5")));
    look();
    assert_int_equal(t.told, 0);
    /* It worked: two may try, then four. They are the ones that were refused, before the newcomer. */
    turn_worked(held[3]->turn);
    look();
    assert_int_equal(t.told, 1);
    leave(held[3]);
    look();
    assert_int_equal(t.told, 2);
    assert_counts(2, 2);
    struct person *tries = held[0]->order ? held[0] : held[1];
    turn_worked(tries->turn);
    look();
    assert_int_equal(t.told, 4);
    assert_counts(4, 0);
}

/* Who was to try again leaves: the next one tries. */
static void test_a_try_that_is_given_up_passes_on(void **state)
{
    (void)state;
    t.limit = 4;
    struct person *a = come("10.0.0.1"), *b = come("10.0.0.2");
    assert_int_equal(turn_refused(a->turn), -1);
    assert_true(turn_refused(b->turn) > 0);
    leave(b);
    look();
    assert_int_equal(a->order, 1);
    assert_true(turn_refused(a->turn) > 0);
}

/* ---- several loops ---- */

enum { THREADS = 4, ROUNDS = 2000 };

static _Atomic int at_once, most_at_once;

struct racer {
    struct loop *loop;
    struct turn *turn;
    char whose[16];
    int left;
};

static void race(struct racer *racer);

static void finish_round(struct racer *racer)
{
    int now = atomic_fetch_add(&at_once, 1) + 1, most = atomic_load(&most_at_once);

    while (now > most && !atomic_compare_exchange_weak(&most_at_once, &most, now))
        ;
    atomic_fetch_sub(&at_once, 1);
    turn_leave(racer->turn);
    racer->turn = NULL;
    racer->left--;
}

static void on_race(void *arg)
{
    struct racer *racer = arg;

    finish_round(racer);
    race(racer);
}

static void race(struct racer *racer)
{
    const struct turn_wish wanted = { .resource = str_bytes(STR("server")),
                                      .prefix = prefix(racer->whose),
                                      .limit = 2,
                                      .again = racer->left % 3 == 0,
                                      .loop = racer->loop,
                                      .go = on_race,
                                      .arg = racer };

    while (racer->left > 0) {
        racer->turn = turn_take(t.turns, &wanted);
        assert_non_null(racer->turn);
        if (turn_waits(racer->turn)) {
            if (racer->left % 7 == 0) { /* loses patience */
                turn_leave(racer->turn);
                racer->left--;
                continue;
            }
            return;
        }
        finish_round(racer);
    }
    loop_stop(racer->loop);
}

static void begin_race(void *arg)
{
    race(arg);
}

static void *run_race(void *arg)
{
    struct racer *racer = arg;

    assert_true(loop_post(racer->loop, begin_race, racer));
    loop_run(racer->loop);
    return NULL;
}

static void test_many_threads(void **state)
{
    struct racer racers[THREADS] = { 0 };
    pthread_t threads[THREADS];
    (void)state;

    atomic_store(&most_at_once, 0);
    for (int i = 0; i < THREADS; i++) {
        racers[i].loop = loop_new();
        racers[i].left = ROUNDS;
        (void)snprintf(racers[i].whose, sizeof racers[i].whose, "10.0.0.%d", i / 2);
        assert_non_null(racers[i].loop);
        assert_int_equal(pthread_create(&threads[i], NULL, run_race, &racers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(racers[i].left, 0);
        loop_free(racers[i].loop);
    }
    assert_in_range(atomic_load(&most_at_once), 1, 2);
    assert_counts(0, 0);
}

#define TURNS(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TURNS(test_as_many_as_the_limit),
        TURNS(test_a_site_holds_a_quarter),
        TURNS(test_a_site_of_ipv6_is_48_bits),
        TURNS(test_a_limit_below_four_gives_one),
        TURNS(test_resources_do_not_know_each_other),
        TURNS(test_sites_are_served_in_rotation),
        TURNS(test_who_goes_on_comes_first),
        TURNS(test_who_leaves_is_not_told),
        TURNS(test_a_higher_limit_counts_at_once),
        TURNS(test_a_refusal_lets_one_try),
        TURNS(test_a_try_that_is_given_up_passes_on),
        TURNS(test_many_threads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
