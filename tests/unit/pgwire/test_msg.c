/* Framing: whole messages, and a stream followed by its headers. */
#include "../unit.h"

#include "base/buf.h"
#include "base/check.h"
#include "pgwire/backend.h"
#include "pgwire/frontend.h"
#include "pgwire/msg.h"

static void lying_lengths_are_told_at_once(void **state)
{
    (void)state;
    struct msg m;
    size_t used;
    assert_int_equal(msg_next(bytes_of("p\0\0\0\x03", 5), 1024, &m, &used), E_PROTOCOL);
    assert_int_equal(msg_next(bytes_of("p\0\0\x04\x01", 5), 1024, &m, &used), E_PROTOCOL);
    assert_int_equal(msg_next(bytes_of("p\0\0\x04\x00", 5), 1024, &m, &used), E_MORE);
    assert_int_equal(msg_next(bytes_of("X\0\0\0\x04Q", 6), 1024, &m, &used), OK);
    assert_int_equal(used, 5);
    assert_int_equal(m.type, 'X');
    assert_int_equal(m.body.n, 0);
}

static void following_in_any_slices(void **state)
{
    (void)state;
    AUTO(buf) struct buf b = BUF_INIT(4096);
    struct err e;
    backend_auth(&b, AUTH_OK, bytes_of("", 0));
    backend_parameter_status(&b, STR("a"), STR("b"));
    backend_key_data(&b, 1, bytes_of("1234", 4));
    backend_ready(&b, 'I');
    err_set(&e, E_INTERNAL, "x");
    backend_fatal(&b, &e);
    backend_ready(&b, 'T');
    assert_true(buf_ok(&b));
    for (size_t slice = 1; slice <= b.n; slice++) {
        struct msg_follow f = { 0 };
        for (size_t at = 0; at < b.n; at += slice)
            msg_follow(&f, bytes_of(b.p + at, at + slice <= b.n ? slice : b.n - at));
        assert_false(f.bad);
        assert_true(msg_between(&f));
        assert_true(f.ready);
        assert_int_equal(f.state, 'T');
        assert_int_equal(f.n_ready, 2);
    }
    struct msg_follow f = { 0 };
    msg_follow(&f, bytes_of(b.p, b.n - 1));
    assert_false(msg_between(&f));
    assert_false(f.ready);
    assert_int_equal(f.state, 'I');
    msg_follow(&f, bytes_of("IZ\0\0\0\x01", 6));
    assert_true(f.bad);
}

/* A notification, a notice or a changed parameter does not make an idle server busy; an answer does. */
static void what_comes_to_an_idle_session(void **state)
{
    (void)state;
    static const char said[] = "Z\0\0\0\x05IA\0\0\0\x04N\0\0\0\x06xyS\0\0\0\x05xT\0\0\0\x04N\0\0\0\x04";
    static const struct {
        size_t n;
        bool ready;
    } at[] = { { 6, true }, { 11, true }, { 18, true }, { 24, true }, { 29, false }, { 34, false } };

    for (size_t slice = 1; slice < sizeof said; slice++)
        for (size_t i = 0; i < sizeof at / sizeof *at; i++) {
            struct msg_follow f = { 0 };
            for (size_t from = 0; from < at[i].n; from += slice)
                msg_follow(&f, bytes_of(said + from, from + slice <= at[i].n ? slice : at[i].n - from));
            assert_true(msg_between(&f));
            assert_int_equal(f.ready, at[i].ready);
            assert_int_equal(f.n_ready, 1);
        }
}

static void what_a_client_asks_for(void **state)
{
    (void)state;
    static const char sent[] = "Q\0\0\0\x06;\0P\0\0\0\x0bxSQ;\0\0\0S\0\0\0\x04" /* Query, Parse, Sync */
                               "d\0\0\0\x06QSS\0\0\0\x04"                       /* CopyData, Sync */
                               "F\0\0\0\x05zX\0\0\0\x04";                       /* FunctionCall, Terminate */
    const struct bytes all = bytes_of(sent, sizeof sent - 1);

    for (size_t slice = 1; slice <= all.n; slice++) {
        struct msg_asked a = { 0 };
        for (size_t at = 0; at < all.n; at += slice)
            msg_ask(&a, bytes_of(all.p + at, at + slice <= all.n ? slice : all.n - at));
        assert_false(a.bad);
        assert_true(msg_asked_whole(&a));
        assert_int_equal(a.n, 4);
    }
    struct msg_asked a = { 0 };
    msg_ask(&a, bytes_of(sent, 3));
    assert_false(msg_asked_whole(&a));
    msg_ask(&a, bytes_of(sent + 3, 3));
    assert_false(msg_asked_whole(&a));
    msg_ask(&a, bytes_of(sent + 6, 1));
    assert_true(msg_asked_whole(&a) && msg_asked_closed(&a));
    assert_int_equal(a.n, 1);
    msg_ask(&a, bytes_of(sent + 7, 12));
    assert_true(msg_asked_whole(&a) && !msg_asked_closed(&a)); /* Parse, and no Sync yet */
    msg_ask(&a, bytes_of(sent + 19, 5));
    assert_true(msg_asked_closed(&a));
    assert_int_equal(a.n, 2);
    msg_ask(&a, bytes_of("Q\0\0\0\x03", 5));
    assert_true(a.bad);
}

/* PostgreSQL skips a Sync that comes with the Execute of a COPY FROM STDIN; what is sent behind the COPY it answers. */
static void syncs_of_a_copy_are_not_answered(void **state)
{
    static const char copy[] = "E\0\0\0\x09\0\0\0\0\0S\0\0\0\x04" /* Execute, Sync */
                               "d\0\0\0\x06"
                               "1\nd\0\0\0\x06"
                               "2\nc\0\0\0\x04S\0\0\0\x04"
                               "Q\0\0\0\x06;\0";
    static const char opens[] = "G\0\0\0\x07\0\0\0", ends[] = "C\0\0\0\x05\0Z\0\0\0\x05I";
    struct msg_follow f = { 0 };
    struct msg_asked a = { 0 };

    (void)state;
    for (size_t at = 0; at < sizeof copy - 1; at++)
        msg_ask(&a, bytes_of(copy + at, 1));
    assert_int_equal(a.n, 3);
    msg_follow(&f, bytes_of(opens, sizeof opens - 1));
    assert_true(f.copied);
    msg_follow(&f, bytes_of(ends, sizeof ends - 1));
    assert_true(f.copied && f.ready); /* until it is taken back */
    msg_asked_copied(&a);
    assert_int_equal(a.n, f.n_ready + 1); /* the Query */
    msg_asked_copied(&a);                 /* once only */
    assert_int_equal(a.n, f.n_ready + 1);
    f = (struct msg_follow){ 0 };
    for (size_t at = 0; at < sizeof opens - 1; at++)
        msg_follow(&f, bytes_of(opens + at, 1));
    assert_true(f.copied);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lying_lengths_are_told_at_once),   cmocka_unit_test(following_in_any_slices),
        cmocka_unit_test(what_comes_to_an_idle_session),    cmocka_unit_test(what_a_client_asks_for),
        cmocka_unit_test(syncs_of_a_copy_are_not_answered),
    };

    return cmocka_run_group_tests_name("msg", tests, NULL, NULL);
}
