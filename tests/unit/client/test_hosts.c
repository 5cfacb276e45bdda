/* The sequence of attempts: methods, addresses, hosts, passes, hosts that are down. */
#include "../unit.h"

#include "../one_arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/env.h"
#include "client/conninfo.h"
#include "client/hosts.h"
#include "world.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>

static int64_t clock_us;

static int64_t fake_clock(void *ctx)
{
    (void)ctx;
    return clock_us;
}

static struct env env_of_tests(void)
{
    struct env env = env_system();

    env.mono_us = fake_clock;
    return env;
}

static struct address ipv4(const char *text)
{
    struct address addr = { .n = sizeof(struct sockaddr_in) };
    struct sockaddr_in *in = (struct sockaddr_in *)(void *)&addr.ss;

    in->sin_family = AF_INET;
    assert_int_equal(inet_pton(AF_INET, text, &in->sin_addr), 1);
    return addr;
}

/*
 * Plays a script and writes down what the machine does. In the script: r resolve to two addresses, R to one,
 * 0 to none; c connect failed, t timeout, n TLS refused, b bad reply, T TLS failed, e server error, 5 57P03,
 * l local error, x closed, L late error, a attributes; before one of these P, S: the server tells that it is
 * a primary, a standby. In the record: h0? look up, C connect, = same connection; then the address and p/s/d
 * for the method; F fail.
 */
static void play(const char *conninfo, struct host_cache *cache, const char *script, const char *expected)
{
    static const char letters[] = "ctnbTe5lxLa";
    struct fake fake = { 0 };
    struct conn_world world = fake_world(&fake);
    struct conninfo info;
    struct attempts a;
    struct err e;
    struct env env = env_of_tests();
    AUTO(buf) struct buf record = BUF_INIT(4096);

    assert_int_equal(conninfo_parse(str_c(conninfo), &world, CONN_LIBPQ, &arena, &info, &e), OK);
    assert_int_equal(attempts_init(&a, &info, cache, &env, &arena), OK);
    for (;; script++) {
        char text[128] = "";
        if (a.step.action == ATTEMPT_CONNECT || a.step.action == ATTEMPT_CONTINUE)
            conn_addr_text(&a.step.addr, text);
        if (a.step.action == ATTEMPT_RESOLVE)
            (void)buf_printf(&record, "h%zu? ", a.step.host);
        else if (a.step.action == ATTEMPT_FAIL)
            (void)buf_printf(&record, "F");
        else
            (void)buf_printf(&record, "%c%s%c ", a.step.action == ATTEMPT_CONNECT ? 'C' : '=', text,
                             "psd"[a.step.method]);
        if (*script == '\0')
            break;
        const struct address two[] = { ipv4(a.step.host == 0 ? "10.0.0.1" : "10.0.1.1"),
                                       ipv4(a.step.host == 0 ? "10.0.0.2" : "10.0.1.2") };
        for (; *script == 'P' || *script == 'S'; script++)
            attempts_role(&a, *script == 'P' ? HOST_ROLE_PRIMARY : HOST_ROLE_STANDBY);
        if (*script == '\0')
            break;
        if (strchr("rR0", *script))
            assert_int_equal(attempts_resolved(&a, two, *script == 'r' ? 2 : *script == 'R'), OK);
        else
            attempts_event(&a, (enum attempt_event)(strchr(letters, *script) - letters));
    }
    assert_string_equal(buf_c(&record), expected);
}

static void test_methods(void **state)
{
    (void)state;
    /* [src: PostgreSQL 18, "SSL Support", sslmode] */
    play("hostaddr=1.2.3.4 sslmode=disable", NULL, "e", "C1.2.3.4p F");
    play("hostaddr=1.2.3.4 sslmode=allow", NULL, "e", "C1.2.3.4p C1.2.3.4s ");
    play("hostaddr=1.2.3.4 sslmode=allow", NULL, "en", "C1.2.3.4p C1.2.3.4s F");
    play("hostaddr=1.2.3.4 sslmode=allow", NULL, "eT", "C1.2.3.4p C1.2.3.4s F");
    play("hostaddr=1.2.3.4 sslmode=allow", NULL, "l", "C1.2.3.4p F");
    play("hostaddr=1.2.3.4 sslmode=prefer", NULL, "n", "C1.2.3.4s =1.2.3.4p ");
    play("hostaddr=1.2.3.4 sslmode=prefer", NULL, "ne", "C1.2.3.4s =1.2.3.4p F");
    play("hostaddr=1.2.3.4 sslmode=prefer", NULL, "T", "C1.2.3.4s C1.2.3.4p ");
    play("hostaddr=1.2.3.4 sslmode=prefer", NULL, "ee", "C1.2.3.4s C1.2.3.4p F");
    play("hostaddr=1.2.3.4 sslmode=prefer", NULL, "b", "C1.2.3.4s F");
    play("hostaddr=1.2.3.4 sslmode=prefer", NULL, "x", "C1.2.3.4s F");
    play("hostaddr=1.2.3.4 sslmode=prefer", NULL, "L", "C1.2.3.4s F");
    play("hostaddr=1.2.3.4 sslmode=prefer", NULL, "5", "C1.2.3.4s F");
    play("hostaddr=1.2.3.4 sslmode=require", NULL, "n", "C1.2.3.4s F");
    play("hostaddr=1.2.3.4 sslmode=require", NULL, "T", "C1.2.3.4s F");
    play("hostaddr=1.2.3.4 sslmode=require sslnegotiation=direct", NULL, "T", "C1.2.3.4d F");
    play("host=/run sslmode=verify-full", NULL, "e", "C/run/.s.PGSQL.5432p F");
    play("host=@x/y port=7 sslmode=require", NULL, "c", "C@x/y/.s.PGSQL.7p F");
}

static void test_hosts(void **state)
{
    (void)state;
    play("host=a,b sslmode=require", NULL, "rccRc", "h0? C10.0.0.1s C10.0.0.2s h1? C10.0.1.1s F");
    play("host=a,b sslmode=require", NULL, "0R", "h0? h1? C10.0.1.1s ");
    play("host=a,b sslmode=require", NULL, "rt", "h0? C10.0.0.1s C10.0.0.2s ");
    play("host=a,b sslmode=require", NULL, "r5", "h0? C10.0.0.1s h1? ");
    play("host=a,b sslmode=require", NULL, "re", "h0? C10.0.0.1s F");
    play("host=a,b sslmode=require target_session_attrs=primary", NULL, "raRa",
         "h0? C10.0.0.1s h1? C10.0.1.1s F");
    play("host=a,b sslmode=prefer target_session_attrs=prefer-standby", NULL, "RaRaTa",
         "h0? C10.0.0.1s h1? C10.0.1.1s C10.0.0.1s C10.0.0.1p C10.0.1.1s ");
    play("host=a,b port=0,1 sslmode=require", NULL, "R", "h1? C10.0.1.1s ");
    play("hostaddr=nonsense,1.2.3.4 sslmode=disable", NULL, "c", "C1.2.3.4p F");
    play("hostaddr=::1 sslmode=disable", NULL, "c", "C::1p F");
}

static void test_down(void **state)
{
    static struct host_cache cache;

    (void)state;
    clock_us = 1000000;
    play("host=a,b sslmode=require", &cache, "Rt", "h0? C10.0.0.1s h1? ");
    play("host=a,b sslmode=require", &cache, "RR", "h0? h1? C10.0.1.1s "); /* a is passed over */
    play("host=a,b sslmode=require", &cache, "RRcc", "h0? h1? C10.0.1.1s C10.0.0.1s F"); /* then tried last */
    play("host=a sslmode=require", &cache, "R", "h0? C10.0.0.1s ");
    play("host=a,b sslmode=require target_session_attrs=prefer-standby", &cache, "RRcc",
         "h0? h1? C10.0.0.1s C10.0.1.1s F");
    clock_us += (int64_t)HOST_DOWN_S * 1000000 + 1;
    play("host=a,b sslmode=require", &cache, "R", "h0? C10.0.0.1s ");
}

static void test_cache(void **state)
{
    static struct host_cache cache;
    struct address addr = ipv4("10.0.0.0");
    struct sockaddr_in *in = (struct sockaddr_in *)(void *)&addr.ss;

    (void)state;
    for (uint32_t i = 0; i < 1000; i++) {
        in->sin_addr.s_addr = htonl(i);
        host_cache_down(&cache, &addr, i);
        assert_true(host_cache_is_down(&cache, &addr, i));
    }
    host_cache_up(&cache, &addr);
    assert_false(host_cache_is_down(&cache, &addr, 1000));
}

static void test_balance(void **state)
{
    struct fake fake = { 0 };
    struct conn_world world = fake_world(&fake);
    struct conninfo info;
    struct attempts a;
    struct err e;
    struct env env = env_of_tests();
    unsigned first[3] = { 0 };

    (void)state;
    assert_int_equal(
        conninfo_parse(STR("host=a,b,c load_balance_hosts=random"), &world, CONN_LIBPQ, &arena, &info, &e),
        OK);
    for (int i = 0; i < 300; i++) {
        assert_int_equal(attempts_init(&a, &info, NULL, &env, &arena), OK);
        first[a.step.host]++;
    }
    for (int i = 0; i < 3; i++)
        assert_in_range(first[i], 40, 180);
}

static void check_prefix(const char *conninfo, const char *expected)
{
    struct fake fake = { 0 };
    struct conn_world world = fake_world(&fake);
    struct conninfo info;
    struct attempts a;
    struct err e;
    struct env env = env_of_tests();
    struct address addr = ipv4("10.0.0.1");
    AUTO(buf) struct buf text = BUF_INIT(1024);

    assert_int_equal(conninfo_parse(str_c(conninfo), &world, CONN_LIBPQ, &arena, &info, &e), OK);
    assert_int_equal(attempts_init(&a, &info, NULL, &env, &arena), OK);
    if (a.step.action == ATTEMPT_RESOLVE)
        assert_int_equal(attempts_resolved(&a, &addr, 1), OK);
    attempts_prefix(&a, &text);
    assert_string_equal(buf_c(&text), expected);
}

static void test_prefix(void **state)
{
    (void)state;
    check_prefix("host=db port=7", "connection to server at \"db\" (10.0.0.1), port 7 failed: ");
    check_prefix("host=10.0.0.1", "connection to server at \"10.0.0.1\", port 5432 failed: ");
    check_prefix("host=db hostaddr=1.2.3.4", "connection to server at \"1.2.3.4\", port 5432 failed: ");
    check_prefix("host=/run port=6", "connection to server on socket \"/run/.s.PGSQL.6\" failed: ");
}

static void test_passed_over(void **state)
{
    struct fake fake = { 0 };
    struct conn_world world = fake_world(&fake);
    struct conninfo info;
    struct attempts a;
    struct err e;
    struct env env = env_of_tests();

    (void)state;
    assert_int_equal(
        conninfo_parse(STR("host=/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
                           "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
                       &world, CONN_LIBPQ, &arena, &info, &e),
        OK);
    assert_int_equal(attempts_init(&a, &info, NULL, &env, &arena), OK);
    assert_int_equal(a.step.action, ATTEMPT_FAIL);
    assert_non_null(strstr(a.passed.message, "is too long (maximum 107 bytes)"));
    assert_int_equal(conninfo_parse(STR("port=0"), &world, CONN_LIBPQ, &arena, &info, &e), OK);
    assert_int_equal(attempts_init(&a, &info, NULL, &env, &arena), OK);
    assert_string_equal(a.passed.message, "invalid port number: \"0\"");
}

/* What was of the wrong role when last asked comes last, whoever asked, and is still asked. */
static void test_roles(void **state)
{
    static struct host_roles roles;
    struct host_cache one = { .roles = &roles }, other = { .roles = &roles };
    const char *pair = "hostaddr=1.1.1.1,2.2.2.2 sslmode=disable target_session_attrs=";
    char any[128], read_write[128], primary[128], read_only[128], standby[128], prefer[128];

    (void)state;
    (void)snprintf(any, sizeof any, "%sany", pair);
    (void)snprintf(read_write, sizeof any, "%sread-write", pair);
    (void)snprintf(primary, sizeof any, "%sprimary", pair);
    (void)snprintf(read_only, sizeof any, "%sread-only", pair);
    (void)snprintf(standby, sizeof any, "%sstandby", pair);
    (void)snprintf(prefer, sizeof any, "%sprefer-standby", pair);
    clock_us = 1000000;
    play(read_write, &one, "SaP", "C1.1.1.1p C2.2.2.2p ");
    play(read_write, &one, "", "C2.2.2.2p ");
    play(primary, &other, "cSa", "C2.2.2.2p C1.1.1.1p F");
    play(any, &one, "a", "C1.1.1.1p C2.2.2.2p ");
    play(read_only, &one, "", "C1.1.1.1p ");
    play(standby, &one, "c", "C1.1.1.1p C2.2.2.2p ");
    one = other = (struct host_cache){ .roles = &roles };
    /* They have changed places: found out by asking, and right the next time. */
    play(read_write, &one, "SaPa", "C2.2.2.2p C1.1.1.1p F");
    play(read_write, &other, "", "C1.1.1.1p ");
    /* prefer-standby asks a former primary too before it takes any. */
    play(prefer, &one, "aaa", "C2.2.2.2p C1.1.1.1p C1.1.1.1p C2.2.2.2p ");
    /* Nothing is remembered without a place for it. */
    play(read_write, NULL, "Sa", "C1.1.1.1p C2.2.2.2p ");
}

static void test_role_slots(void **state)
{
    static struct host_roles roles;
    struct address a = ipv4("10.1.2.3"), b = ipv4("10.1.2.4");

    (void)state;
    assert_int_equal(host_roles_get(&roles, &a), HOST_ROLE_UNKNOWN);
    host_roles_note(&roles, &a, HOST_ROLE_STANDBY);
    host_roles_note(&roles, &b, HOST_ROLE_PRIMARY);
    assert_int_equal(host_roles_get(&roles, &a), HOST_ROLE_STANDBY);
    assert_int_equal(host_roles_get(&roles, &b), HOST_ROLE_PRIMARY);
    host_roles_note(&roles, &a, HOST_ROLE_PRIMARY);
    assert_int_equal(host_roles_get(&roles, &a), HOST_ROLE_PRIMARY);
    for (unsigned i = 0; i < 4096; i++) { /* a crowd: entries give way, but nothing is taken for another's */
        char text[32];
        (void)snprintf(text, sizeof text, "10.2.%u.%u", i / 256, i % 256);
        struct address addr = ipv4(text);
        host_roles_note(&roles, &addr, i % 2 ? HOST_ROLE_STANDBY : HOST_ROLE_PRIMARY);
        assert_int_equal(host_roles_get(&roles, &addr), i % 2 ? HOST_ROLE_STANDBY : HOST_ROLE_PRIMARY);
    }
}

/* Somebody else says who is the primary: it comes first, even if it did not answer lately. */
static void test_hints(void **state)
{
    static struct host_roles roles;
    struct host_cache cache = { .roles = &roles };
    const char *pair = "hostaddr=1.1.1.1,2.2.2.2 port=5432 sslmode=disable target_session_attrs=read-write";
    const struct conn_host first = { .hostaddr = STR("1.1.1.1"), .port_text = STR("5432") },
                           second = { .hostaddr = STR("2.2.2.2"), .port_text = STR("5432") },
                           other_port = { .hostaddr = STR("2.2.2.2"), .port_text = STR("5433") };

    (void)state;
    clock_us = 1000000;
    host_roles_hint(&roles, &first, HOST_ROLE_STANDBY);
    play(pair, &cache, "cc", "C2.2.2.2p C1.1.1.1p F"); /* both are down now */
    host_roles_hint(&roles, &second, HOST_ROLE_PRIMARY);
    play(pair, &cache, "", "C2.2.2.2p ");
    play(pair, &cache, "Sa", "C2.2.2.2p C1.1.1.1p "); /* what it says itself counts for this session */
    host_roles_hint(&roles, &first, HOST_ROLE_SILENT);
    play(pair, &cache, "", "C2.2.2.2p ");
    host_roles_hint(&roles, &first, HOST_ROLE_UNKNOWN);
    clock_us += (HOST_DOWN_S + 1) * 1000000;
    play(pair, &cache, "", "C1.1.1.1p ");
    assert_int_equal(host_roles_hinted(&roles, &other_port), HOST_ROLE_UNKNOWN);
    assert_true(conn_host_equal(&second, &second));
    assert_false(conn_host_equal(&second, &other_port));
}

static void test_recovery(void **state)
{
    (void)state;
    for (enum attempt_event event = EVENT_CONNECT_FAILED; event <= EVENT_ATTRS_MISMATCH; event++) {
        bool passes = event == EVENT_CONNECT_FAILED || event == EVENT_TIMEOUT || event == EVENT_SERVER_BUSY ||
                      event == EVENT_CLOSED || event == EVENT_ATTRS_MISMATCH;
        bool said = event == EVENT_SERVER_ERROR || event == EVENT_LATE_ERROR;
        assert_int_equal(attempt_may_recover(event, ""), passes);
        assert_int_equal(attempt_may_recover(event, "28P01"), passes);
        assert_int_equal(attempt_may_recover(event, "57P01"), passes || said);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_methods, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_hosts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_down, set_up, tear_down),
        cmocka_unit_test(test_cache),
        cmocka_unit_test_setup_teardown(test_roles, set_up, tear_down),
        cmocka_unit_test(test_role_slots),
        cmocka_unit_test_setup_teardown(test_hints, set_up, tear_down),
        cmocka_unit_test(test_recovery),
        cmocka_unit_test_setup_teardown(test_balance, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_prefix, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_passed_over, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
