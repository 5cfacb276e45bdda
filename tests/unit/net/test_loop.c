/* Descriptors whose interest changes, and what they are told; timers; what both cost. */
#include "../unit.h"

#include "turn.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- what is asked of the kernel ---- */

static int controls, waits;

int __real_epoll_ctl(int epoll, int op, int fd, struct epoll_event *event);
int __wrap_epoll_ctl(int epoll, int op, int fd, struct epoll_event *event);
int __real_epoll_wait(int epoll, struct epoll_event *events, int max, int timeout);
int __wrap_epoll_wait(int epoll, struct epoll_event *events, int max, int timeout);

int __wrap_epoll_ctl(int epoll, int op, int fd, struct epoll_event *event)
{
    controls++;
    return __real_epoll_ctl(epoll, op, fd, event);
}

int __wrap_epoll_wait(int epoll, struct epoll_event *events, int max, int timeout)
{
    waits++;
    return __real_epoll_wait(epoll, events, max, timeout);
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

/* What is ready is told. */
static void turn(struct loop *loop)
{
    for (int i = 0; i < 3; i++)
        turn_once(loop);
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

static void a_peer_that_left_does_not_keep_the_loop_awake(void **state)
{
    struct loop *loop = loop_new();
    struct timer *timer = timer_new(loop, stop, loop);
    struct ear ear;

    (void)state;
    assert_non_null(timer);
    ear_open(&ear, loop);
    (void)close(ear.peer);
    ear.peer = -1;
    timer_set(timer, 100);
    waits = 0;
    loop_run(loop);
    assert_in_range(waits, 1, 10);
    assert_int_equal(ear.heard, 0);
    ear_close(&ear);
    timer_close(timer);
    loop_free(loop);
}

static void a_descriptor_is_registered_once(void **state)
{
    struct loop *loop = loop_new();
    struct ear ear;

    (void)state;
    assert_non_null(loop);
    turn(loop);
    controls = 0;
    ear_open(&ear, loop);
    for (int i = 0; i < 3; i++) { /* paused for a moment, as while the other side is written to */
        poll_set(ear.poll, POLL_READ);
        assert_int_equal(write(ear.peer, "x", 1), 1);
        turn(loop);
        assert_int_equal(ear.heard, POLL_READ);
        poll_set(ear.poll, 0);
    }
    ear_close(&ear);
    assert_int_equal(controls, 2);
    loop_free(loop);
}

static void what_cannot_be_watched_is_refused(void **state)
{
    struct loop *loop = loop_new();
    FILE *file = tmpfile();

    (void)state;
    assert_non_null(loop);
    assert_non_null(file);
    assert_null(poll_new(loop, fileno(file), on_ear, NULL));
    (void)fclose(file);
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

/* ---- timers ---- */

enum { BELLS = 500, DELAY_MAX_MS = 20 };

struct bell {
    struct belfry *belfry;
    struct timer *timer;
    int delay_ms, number;
    bool rang, silent;
};

struct belfry {
    struct loop *loop;
    struct bell bells[BELLS];
    int left;
    const struct bell *last;
};

static void ring(void *arg)
{
    struct bell *bell = arg;
    struct belfry *belfry = bell->belfry;
    const struct bell *last = belfry->last;

    assert_false(bell->rang || bell->silent);
    bell->rang = true;
    /* All were set at one moment of the loop's clock. */
    assert_true(!last || last->delay_ms < bell->delay_ms ||
                (last->delay_ms == bell->delay_ms && last->number < bell->number));
    belfry->last = bell;
    if (bell->number % 5 == 0) { /* from its own callback */
        timer_close(bell->timer);
        bell->timer = NULL;
    }
    if (--belfry->left == 0)
        loop_stop(belfry->loop);
}

static void timers_come_in_order(void **state)
{
    struct belfry *belfry = calloc(1, sizeof *belfry);
    unsigned seed = 1;

    (void)state;
    assert_non_null(belfry);
    belfry->loop = loop_new();
    assert_non_null(belfry->loop);
    for (int i = 0; i < BELLS; i++) {
        struct bell *bell = &belfry->bells[i];
        seed = seed * 1103515245 + 12345;
        *bell = (struct bell){ .belfry = belfry, .delay_ms = (int)(seed >> 16) % DELAY_MAX_MS, .number = i };
        bell->timer = timer_new(belfry->loop, ring, bell);
        assert_non_null(bell->timer);
        timer_set(bell->timer, DELAY_MAX_MS - bell->delay_ms); /* the earlier time does not count */
    }
    for (int i = 0; i < BELLS; i++)
        timer_set(belfry->bells[i].timer, belfry->bells[i].delay_ms);
    for (int i = 0; i < BELLS; i++) {
        struct bell *bell = &belfry->bells[i];
        bell->silent = i % 3 == 0;
        if (!bell->silent)
            belfry->left++;
        else if (i % 2 == 0)
            timer_stop(bell->timer);
        else {
            timer_close(bell->timer);
            bell->timer = NULL;
        }
    }
    loop_run(belfry->loop);
    for (int i = 0; i < BELLS; i++) {
        assert_int_equal(belfry->bells[i].rang, !belfry->bells[i].silent);
        timer_close(belfry->bells[i].timer);
    }
    loop_free(belfry->loop);
    free(belfry);
}

struct restless {
    struct timer *timer;
    int times;
};

static void again(void *arg)
{
    struct restless *restless = arg;

    restless->times++;
    timer_set(restless->timer, 0);
}

static void a_timer_that_is_always_due_starves_nobody(void **state)
{
    struct loop *loop = loop_new();
    struct restless restless = { 0 };

    (void)state;
    assert_non_null(loop);
    restless.timer = timer_new(loop, again, &restless);
    assert_non_null(restless.timer);
    timer_set(restless.timer, 0);
    turn(loop);
    assert_true(restless.times > 0);
    timer_close(restless.timer);
    loop_free(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_what_is_wanted_is_told),
        cmocka_unit_test(a_peer_that_leaves_is_told_when_somebody_asks),
        cmocka_unit_test(a_peer_that_left_does_not_keep_the_loop_awake),
        cmocka_unit_test(a_descriptor_is_registered_once),
        cmocka_unit_test(what_cannot_be_watched_is_refused),
        cmocka_unit_test(who_is_closed_in_a_batch_is_not_told_in_it),
        cmocka_unit_test(another_thread_is_heard),
        cmocka_unit_test(timers_come_in_order),
        cmocka_unit_test(a_timer_that_is_always_due_starves_nobody),
    };

    return cmocka_run_group_tests_name("loop", tests, NULL, NULL);
}
