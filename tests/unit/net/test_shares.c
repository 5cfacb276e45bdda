/* Places by prefix: who yields, and who is told. */
#include "../unit.h"

#include "net/shares.h"
#include "prefix_text.h"
#include "turn.h"

#include <stdio.h>

enum { PLACES_MAX = 64 };

struct place {
    struct share *share;
    unsigned yielded; /* in which turn; 0: it has its place */
};

static struct {
    struct loop *loop;
    struct shares *shares;
    struct place places[PLACES_MAX];
    size_t n;
    unsigned turns;
} t;

static void on_yield(void *arg)
{
    struct place *place = arg;

    place->share = NULL;
    place->yielded = t.turns;
}

static struct place *take_as(struct prefix whose)
{
    struct place *place = &t.places[t.n++];
    const struct share_owner owner = { t.loop, on_yield, place };

    place->share = shares_take(t.shares, &whose, &owner);
    assert_non_null(place->share);
    return place;
}

static struct place *take(const char *text)
{
    return take_as(prefix(text));
}

/* Who was told to yield does. */
static void turn(void)
{
    t.turns++;
    for (int i = 0; i < 3; i++)
        turn_once(t.loop);
}

static void trim(size_t limit)
{
    shares_trim(t.shares, limit);
    turn();
}

static int begin(void **state)
{
    (void)state;
    memset(&t, 0, sizeof t);
    t.loop = loop_new();
    t.shares = shares_new();
    return t.loop && t.shares ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    for (size_t i = 0; i < t.n; i++)
        share_leave(t.places[i].share);
    loop_free(t.loop);
    shares_free(t.shares); /* checks that nothing is left */
    return 0;
}

static void prefixes(void **state)
{
    static const struct {
        const char *a, *b;
        bool network, site;
    } cases[] = {
        { "192.0.2.1", "192.0.2.1", true, true },
        { "192.0.2.1", "192.0.2.2", false, false },
        { "192.0.2.1", "::ffff:192.0.2.1", true, true },
        { "2001:db8:1:2::1", "2001:db8:1:2:ffff::9", true, true },
        { "2001:db8:1:2::1", "2001:db8:1:3::1", false, true },
        { "2001:db8:1:2::1", "2001:db8:2:2::1", false, false },
        { "0.0.0.0", "::", false, false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct prefix a = prefix(cases[i].a), b = prefix(cases[i].b);
        assert_int_equal(prefix_equal(&a, &b), cases[i].network);
        struct prefix site_a = prefix_site(&a), site_b = prefix_site(&b);
        assert_int_equal(prefix_equal(&site_a, &site_b), cases[i].site);
    }
    struct prefix root = prefix_of_user(0), user = prefix_of_user(1000), zero = prefix("0.0.0.0");
    assert_false(prefix_equal(&root, &user));
    assert_false(prefix_equal(&root, &zero));
}

static void while_there_is_room_everybody_may_have_it(void **state)
{
    (void)state;
    for (int i = 0; i < 10; i++)
        (void)take("192.0.2.1");
    trim(10);
    assert_int_equal(shares_count(t.shares), 10);
    for (int i = 0; i < 10; i++)
        assert_int_equal(t.places[i].yielded, 0);
}

static void the_oldest_of_the_heaviest_yields(void **state)
{
    (void)state;
    struct place *alone = take("192.0.2.9");
    struct place *heavy[] = { take("192.0.2.1"), take("192.0.2.1"), take("192.0.2.1") };
    struct place *light = take("192.0.2.2");
    trim(4);
    assert_int_equal(heavy[0]->yielded, 1);
    trim(3);
    assert_int_equal(heavy[1]->yielded, 2);
    assert_int_equal(alone->yielded + light->yielded + heavy[2]->yielded, 0);
    trim(2); /* all are equally heavy: the oldest of all */
    assert_int_equal(alone->yielded, 3);
    (void)take("192.0.2.2");
    trim(2);
    assert_int_equal(light->yielded, 4);
    assert_int_equal(heavy[2]->yielded, 0);
}

static void a_site_cannot_hide_in_its_networks(void **state)
{
    (void)state;
    struct place *other = take("2001:db8:ff::1");
    struct place *first = take("2001:db8:1:1::1");
    struct place *two[] = { take("2001:db8:1:2::1"), take("2001:db8:1:2::2") };
    struct place *another = take("2001:db8:ff::2"); /* as heavy as the heaviest network */
    trim(4); /* in the heavier site the heavier network, though an older place stands beside it */
    assert_int_equal(two[0]->yielded, 1);
    trim(3); /* the site has two networks of one, others have two of one network: who came first */
    assert_int_equal(other->yielded, 2);
    trim(2);
    assert_int_equal(first->yielded, 3);
    assert_int_equal(another->yielded + two[1]->yielded, 0);
}

static void who_leaves_is_not_told(void **state)
{
    (void)state;
    struct place *gone = take("192.0.2.1"), *told = take("192.0.2.1");
    shares_trim(t.shares, 0);
    assert_int_equal(shares_count(t.shares), 0);
    share_leave(gone->share); /* its place was taken away, and it does not know yet */
    gone->share = NULL;
    turn();
    assert_int_equal(gone->yielded, 0);
    assert_int_equal(told->yielded, 1);
    assert_false(shares_make_room(t.shares));
    struct place *last = take("192.0.2.3");
    assert_true(shares_make_room(t.shares));
    turn();
    assert_int_equal(last->yielded, 2);
}

/* Against the plain rule, with many of few prefixes that come and go. */
static struct place *expected(const struct prefix *whose)
{
    struct place *best = NULL;
    size_t best_n = 0;

    for (size_t i = 0; i < t.n; i++) {
        size_t n = 0;
        if (!t.places[i].share)
            continue;
        for (size_t j = 0; j < t.n; j++)
            n += t.places[j].share && prefix_equal(&whose[i], &whose[j]);
        if (n > best_n) { /* places stand in the order in which they were taken */
            best = &t.places[i];
            best_n = n;
        }
    }
    return best;
}

static void many_that_come_and_go(void **state)
{
    struct prefix whose[PLACES_MAX];
    uint32_t random = 1;
    char text[32];

    (void)state;
    while (t.n < PLACES_MAX) {
        random = random * 1664525u + 1013904223u;
        (void)snprintf(text, sizeof text, "192.0.2.%u", (random >> 16) % 7);
        whose[t.n] = prefix(text);
        (void)take_as(whose[t.n]);
        if (random >> 28 == 0) {
            struct place *leaves = &t.places[(random >> 8) % t.n];
            share_leave(leaves->share);
            leaves->share = NULL;
        }
        if (shares_count(t.shares) <= 12)
            continue;
        struct place *yields = expected(whose);
        trim(12);
        assert_int_equal(yields->yielded, t.turns);
        assert_int_equal(shares_count(t.shares), 12);
    }
    while (shares_count(t.shares) > 0) {
        struct place *yields = expected(whose);
        trim(shares_count(t.shares) - 1);
        assert_int_equal(yields->yielded, t.turns);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prefixes),
        cmocka_unit_test_setup_teardown(while_there_is_room_everybody_may_have_it, begin, end),
        cmocka_unit_test_setup_teardown(the_oldest_of_the_heaviest_yields, begin, end),
        cmocka_unit_test_setup_teardown(a_site_cannot_hide_in_its_networks, begin, end),
        cmocka_unit_test_setup_teardown(who_leaves_is_not_told, begin, end),
        cmocka_unit_test_setup_teardown(many_that_come_and_go, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
