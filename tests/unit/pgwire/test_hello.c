/* First packets: lengths, requests in any order, versions, and where a StartupMessage must end. */
#include "../unit.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "pgwire/frontend.h"
#include "pgwire/hello.h"

static struct bytes lit(const char *p, size_t n)
{
    return bytes_of(p, n);
}
#define LIT(text) lit(text, sizeof(text) - 1)

static void requests_are_answered_once(void **state)
{
    (void)state;
    struct hello h = { 0 };
    struct hello_packet p;
    struct bytes ssl = LIT("\0\0\0\x08\x04\xd2\x16\x2f"), gss = LIT("\0\0\0\x08\x04\xd2\x16\x30");
    assert_int_equal(hello_next(&h, gss, &p), OK);
    assert_int_equal(p.kind, HELLO_GSSENC);
    assert_int_equal(hello_answer_gss(&h), 'N');
    assert_int_equal(hello_next(&h, ssl, &p), OK);
    assert_int_equal(p.kind, HELLO_SSL);
    assert_int_equal(hello_answer_ssl(&h, false), 'N');
    assert_int_equal(hello_next(&h, ssl, &p), OK);
    assert_int_equal(p.kind, HELLO_STARTUP); /* now an unsupported version 1234.5679 */
    assert_int_equal(p.code, HELLO_CODE_SSL);
    h = (struct hello){ 0 };
    assert_int_equal(hello_answer_ssl(&h, true), 'S');
    assert_int_equal(hello_next(&h, gss, &p), OK);
    assert_int_equal(p.kind, HELLO_STARTUP); /* an accepted SSLRequest settles both */
}

static void lengths_are_bounded(void **state)
{
    (void)state;
    struct hello h = { 0 };
    struct hello_packet p;
    assert_int_equal(hello_next(&h, LIT("\0\0\0\x07"), &p), E_PROTOCOL);
    assert_int_equal(hello_next(&h, LIT("\0\0\x27\x15"), &p), E_PROTOCOL);
    assert_int_equal(hello_next(&h, LIT("GET / HTTP/1.1\r\n"), &p), E_PROTOCOL);
    assert_int_equal(hello_next(&h, LIT("\0\0\x27\x14"), &p), E_MORE);
    assert_int_equal(hello_next(&h, LIT("\0\0\0"), &p), E_MORE);
    /* trailing bytes inside a request are ignored */
    assert_int_equal(hello_next(&h, LIT("\0\0\0\x0a\x04\xd2\x16\x2fxx"), &p), OK);
    assert_int_equal(p.kind, HELLO_SSL);
    assert_int_equal(p.used, 10);
}

static enum code parse(struct bytes body, struct startup *s, struct err *e)
{
    static struct arena a;
    arena_fini(&a);
    arena_init(&a, 1 << 20, 512);
    return startup_parse(PROTOCOL_3_0, body, &a, s, e);
}

static void layout_is_postgresql_s(void **state)
{
    (void)state;
    struct startup s;
    struct err e;
    static const struct {
        const char *p;
        size_t n;
        enum code want;
    } rows[] = {
#define ROW(text, want) { text, sizeof(text) - 1, want }
        ROW("user\0alice\0\0", OK),
        ROW("\0", OK),
        ROW("u", OK), /* a single byte passes as terminator */
        ROW("", E_PROTOCOL),
        ROW("user\0alice\0", E_PROTOCOL),
        ROW("user\0alice", E_PROTOCOL),
        ROW("user\0alice\0x", OK),
        ROW("user\0", E_PROTOCOL),
        ROW("user\0alice\0\0x", E_PROTOCOL),
        ROW("user\0alice\0\0\0", E_PROTOCOL),
        ROW("replication\0maybe\0", E_PARAM), /* reported before the layout */
#undef ROW
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        assert_int_equal(parse(bytes_of(rows[i].p, rows[i].n), &s, &e), rows[i].want);
    assert_int_equal(parse(LIT("u"), &s, &e), OK);
    assert_int_equal(startup_check_user(&s, &e), E_AUTH);
    assert_string_equal(e.message, "no PostgreSQL user name specified in startup packet");
}

static void parameters_are_sorted_out(void **state)
{
    (void)state;
    struct startup s;
    struct err e;
    assert_int_equal(parse(LIT("user\0a\0_pq_.x\0"
                               "1\0_PQ_.y\0"
                               "2\0user\0b\0application_name\0app\0\0"),
                           &s, &e),
                     OK);
    assert_str(s.user, "b");
    assert_str(s.database, "b");
    assert_str(s.application_name, "app");
    assert_int_equal(s.pq_option_count, 1);
    assert_str(s.pq_options[0], "_pq_.x");
    assert_int_equal(s.parameter_count, 2);
    assert_true(startup_must_negotiate(&s));
    assert_int_equal(parse(LIT("user\0a\0replication\0TRUE\0database\0d\0\0"), &s, &e), OK);
    assert_int_equal(s.replication, REPLICATION_PHYSICAL);
    assert_str(s.database, "");
    assert_int_equal(parse(LIT("user\0a\0replication\0database\0database\0d\0\0"), &s, &e), OK);
    assert_int_equal(s.replication, REPLICATION_LOGICAL);
    assert_str(s.database, "d");
    char body[200] = "user";
    memset(body + 5, 'x', 100);
    assert_int_equal(parse(bytes_of(body, 107), &s, &e), OK);
    assert_int_equal(s.user.n, PG_NAME_MAX);
}

static void versions(void **state)
{
    (void)state;
    AUTO(arena) struct arena a;
    struct startup s;
    struct err e;
    arena_init(&a, 1 << 16, 512);
    assert_int_equal(startup_parse(0x00030001, LIT("user\0a\0\0"), &a, &s, &e), OK);
    assert_false(startup_must_negotiate(&s));
    assert_int_equal(startup_parse(0x0003270f, LIT("user\0a\0\0"), &a, &s, &e), OK);
    assert_int_equal(s.version, PROTOCOL_3_2);
    assert_true(startup_must_negotiate(&s));
    assert_int_equal(startup_parse(HELLO_CODE_SSL, LIT(""), &a, &s, &e), E_UNSUPPORTED);
    assert_string_equal(e.message, "unsupported frontend protocol 1234.5679: server supports 3.0 to 3.2");
    assert_true(startup_error_is_v2(0x00020000));
    assert_true(startup_error_is_v2(1));
    assert_false(startup_error_is_v2(0));
    assert_false(startup_error_is_v2(0x00040000));
}

static void cancel_keys_are_bounded(void **state)
{
    (void)state;
    struct cancel c;
    struct err e;
    uint8_t body[4 + CANCEL_KEY_MAX + 1] = { 0, 0, 0x12, 0x67 };
    assert_int_equal(cancel_parse(bytes_of(body, 3), &c, &e), E_PROTOCOL);
    assert_string_equal(e.message, "invalid length of cancel request packet");
    assert_int_equal(cancel_parse(bytes_of(body, 4), &c, &e), E_PROTOCOL);
    assert_string_equal(e.message, "invalid length of cancel key in cancel request packet");
    assert_int_equal(cancel_parse(bytes_of(body, sizeof body), &c, &e), E_PROTOCOL);
    assert_int_equal(cancel_parse(bytes_of(body, sizeof body - 1), &c, &e), OK);
    assert_int_equal(c.pid, 0x1267);
    assert_int_equal(c.key.n, 256);
}

static void truncated_and_flipped_never_crash(void **state)
{
    (void)state;
    AUTO(buf) struct buf b = BUF_INIT(4096);
    struct parameter params[] = { { STR("user"), STR("alice") }, { STR("database"), STR("app") } };
    frontend_startup(&b, PROTOCOL_3_2, params, 2);
    assert_true(buf_ok(&b));
    struct hello h = { 0 };
    struct hello_packet p;
    struct startup s;
    struct err e;
    for (size_t cut = 0; cut < b.n; cut++)
        assert_int_equal(hello_next(&h, bytes_of(b.p, cut), &p), E_MORE);
    for (size_t bit = 0; bit < b.n * 8; bit++) {
        b.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
        if (hello_next(&h, buf_bytes(&b), &p) == OK && p.kind == HELLO_STARTUP)
            (void)!parse(p.body, &s, &e);
        b.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    assert_int_equal(hello_next(&h, buf_bytes(&b), &p), OK);
    assert_int_equal(p.used, b.n);
    assert_int_equal(parse(p.body, &s, &e), OK);
    assert_str(s.database, "app");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_are_answered_once),
        cmocka_unit_test(lengths_are_bounded),
        cmocka_unit_test(layout_is_postgresql_s),
        cmocka_unit_test(parameters_are_sorted_out),
        cmocka_unit_test(versions),
        cmocka_unit_test(cancel_keys_are_bounded),
        cmocka_unit_test(truncated_and_flipped_never_crash),
    };

    return cmocka_run_group_tests_name("hello", tests, NULL, NULL);
}
