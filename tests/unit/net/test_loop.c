/* Descriptors whose interest changes, and what they are told. */
#include "../unit.h"

#include "turn.h"

#include <sys/socket.h>
#include <unistd.h>

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
        cmocka_unit_test(only_what_is_wanted_is_told),
        cmocka_unit_test(a_peer_that_leaves_is_told_when_somebody_asks),
        cmocka_unit_test(who_is_closed_in_a_batch_is_not_told_in_it),
        cmocka_unit_test(another_thread_is_heard),
    };

    return cmocka_run_group_tests_name("loop", tests, NULL, NULL);
}
