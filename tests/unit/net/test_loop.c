/* The loop's own parts: timers, and descriptors whose interest changes. */
#include "../unit.h"

#include "base/check.h"
#include "net/loop.h"
#include "net/timers.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- timers ---- */

enum { MANY = 500, STEPS = 20000, SPAN_MS = 50 };

struct probe {
    struct timer *timer;
    int64_t due_ms; /* -1: does not run */
    int fired;
};

static struct probe probes[MANY];
static int64_t clock_ms;

static void on_probe(void *arg)
{
    struct probe *p = arg;

    assert_true(p->due_ms >= 0 && p->due_ms <= clock_ms);
    for (size_t i = 0; i < MANY; i++) /* nobody was due before */
        assert_false(probes[i].due_ms >= 0 && probes[i].due_ms < p->due_ms);
    p->due_ms = -1;
    p->fired++;
}

static int64_t first_due(void)
{
    int64_t first = -1;

    for (size_t i = 0; i < MANY; i++)
        if (probes[i].due_ms >= 0 && (first < 0 || probes[i].due_ms < first))
            first = probes[i].due_ms;
    return first;
}

static void timers_fire_in_order_whatever_is_done_to_them(void **state)
{
    struct timers timers = { 0 };
    unsigned seed = 1;

    (void)state;
    clock_ms = 0;
    for (size_t i = 0; i < MANY; i++) {
        probes[i] = (struct probe){ .due_ms = -1 };
        probes[i].timer = timers_add(&timers, NULL, on_probe, &probes[i]);
        assert_non_null(probes[i].timer);
    }
    for (int step = 0; step < STEPS; step++) {
        struct probe *p = &probes[(unsigned)rand_r(&seed) % MANY];
        switch (rand_r(&seed) % 4) {
        case 0:
            timers_stop(&timers, p->timer);
            p->due_ms = -1;
            break;
        case 1:
            clock_ms++;
            timers_run(&timers, clock_ms);
            assert_true(first_due() < 0 || first_due() > clock_ms);
            break;
        default:
            p->due_ms = clock_ms + rand_r(&seed) % SPAN_MS;
            timers_start(&timers, p->timer, p->due_ms);
            break;
        }
        int64_t first = first_due();
        int64_t left = first < 0 ? -1 : first > clock_ms ? first - clock_ms : 0;
        assert_int_equal(timers_wait_ms(&timers, clock_ms), left);
    }
    for (size_t i = 0; i < MANY; i++) {
        assert_true(probes[i].fired > 0);
        timers_remove(&timers, probes[i].timer);
    }
    assert_int_equal(timers.n, 0);
    assert_int_equal(timers.known, 0);
    timers_fini(&timers);
}

static struct timers small;
static struct timer *one, *two;
static int rounds;

static void remove_both(void *arg)
{
    (void)arg;
    timers_remove(&small, two);
    timers_remove(&small, one);
    one = two = NULL;
}

static void set_again(void *arg)
{
    (void)arg;
    rounds++;
    timers_start(&small, one, 5);
}

static void a_timer_may_remove_itself_and_others(void **state)
{
    (void)state;
    one = timers_add(&small, NULL, remove_both, NULL);
    two = timers_add(&small, NULL, on_probe, NULL);
    timers_start(&small, one, 1);
    timers_start(&small, two, 1);
    timers_run(&small, 1);
    assert_null(one);
    assert_int_equal(small.n, 0);
    timers_fini(&small);
}

static void a_timer_set_again_waits_for_the_next_round(void **state)
{
    (void)state;
    rounds = 0;
    one = timers_add(&small, NULL, set_again, NULL);
    timers_start(&small, one, 5);
    timers_run(&small, 5);
    assert_int_equal(rounds, 1);
    timers_run(&small, 5);
    assert_int_equal(rounds, 2);
    timers_remove(&small, one);
    timers_fini(&small);
}

/* ---- descriptors ---- */

struct ear {
    struct loop *loop;
    struct poll *poll;
    int fd, peer;
    unsigned heard;
    int calls;
    struct ear *deafens; /* whom it closes when it is told */
};

static void on_ear(void *arg, unsigned events)
{
    struct ear *ear = arg;

    ear->heard |= events;
    ear->calls++;
    if (ear->deafens && ear->deafens->poll) {
        poll_close(ear->deafens->poll);
        ear->deafens->poll = NULL;
    }
}

static void ear_open(struct ear *ear, struct loop *loop)
{
    int pair[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
    *ear = (struct ear){ .loop = loop, .fd = pair[0], .peer = pair[1] };
    ear->poll = poll_new(loop, ear->fd, on_ear, ear);
    assert_non_null(ear->poll);
}

static void ear_close(struct ear *ear)
{
    poll_close(ear->poll);
    (void)close(ear->fd);
    if (ear->peer >= 0)
        (void)close(ear->peer);
}

static void stop(void *arg)
{
    loop_stop(arg);
}

/* What is ready is told, then the loop stops. */
static void turn(struct loop *loop)
{
    struct timer *timer = timer_new(loop, stop, loop);

    assert_non_null(timer);
    for (int i = 0; i < 3; i++) {
        timer_set(timer, 0);
        loop_run(loop);
    }
    timer_close(timer);
}

static void only_what_is_wanted_is_told(void **state)
{
    struct loop *loop = loop_new();
    struct ear ear;

    (void)state;
    assert_non_null(loop);
    ear_open(&ear, loop);
    assert_int_equal(write(ear.peer, "x", 1), 1);
    turn(loop);
    assert_int_equal(ear.heard, 0); /* nothing was asked for */
    poll_set(ear.poll, POLL_READ);
    turn(loop);
    assert_int_equal(ear.heard, POLL_READ);
    ear.heard = 0;
    poll_set(ear.poll, POLL_WRITE);
    turn(loop);
    assert_int_equal(ear.heard, POLL_WRITE);
    ear.heard = 0;
    poll_set(ear.poll, 0);
    turn(loop);
    assert_int_equal(ear.heard, 0);
    ear_close(&ear);
    loop_free(loop);
}

static void a_peer_that_leaves_is_told_when_somebody_asks(void **state)
{
    struct loop *loop = loop_new();
    struct ear ear;

    (void)state;
    assert_non_null(loop);
    ear_open(&ear, loop);
    (void)close(ear.peer);
    ear.peer = -1;
    turn(loop);
    assert_int_equal(ear.heard, 0);
    poll_set(ear.poll, POLL_READ);
    turn(loop);
    assert_int_equal(ear.heard, POLL_READ);
    ear_close(&ear);
    loop_free(loop);
}

static void who_is_closed_in_a_batch_is_not_told_in_it(void **state)
{
    struct loop *loop = loop_new();
    struct ear ears[2];

    (void)state;
    assert_non_null(loop);
    for (int i = 0; i < 2; i++) {
        ear_open(&ears[i], loop);
        poll_set(ears[i].poll, POLL_READ);
        assert_int_equal(write(ears[i].peer, "x", 1), 1);
    }
    ears[0].deafens = &ears[1];
    ears[1].deafens = &ears[0];
    turn(loop);
    /* Each would have closed the other: whoever came first is the one that is left. */
    assert_true((ears[0].calls > 0) != (ears[1].calls > 0));
    for (int i = 0; i < 2; i++)
        ear_close(&ears[i]);
    loop_free(loop);
}

static void another_thread_is_heard(void **state)
{
    struct loop *loop = loop_new();

    (void)state;
    assert_non_null(loop);
    assert_true(loop_post(loop, stop, loop));
    loop_run(loop);
    loop_free(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(timers_fire_in_order_whatever_is_done_to_them),
        cmocka_unit_test(a_timer_may_remove_itself_and_others),
        cmocka_unit_test(a_timer_set_again_waits_for_the_next_round),
        cmocka_unit_test(only_what_is_wanted_is_told),
        cmocka_unit_test(a_peer_that_leaves_is_told_when_somebody_asks),
        cmocka_unit_test(who_is_closed_in_a_batch_is_not_told_in_it),
        cmocka_unit_test(another_thread_is_heard),
    };

    return cmocka_run_group_tests_name("loop", tests, NULL, NULL);
}
