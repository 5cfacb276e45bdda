/* Connections of users and databases, and how fast addresses begin them. */
#include "../unit.h"

#include "net/limits.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

struct seen {
    size_t n;
    struct limit_count last;
    char name[128];
};

static void see(void *arg, const struct limit_count *count)
{
    struct seen *seen = arg;

    seen->n++;
    seen->last = *count;
    (void)snprintf(seen->name, sizeof seen->name, "%.*s", STR_ARG(count->name));
}

static struct seen look(struct limits *limits, int64_t now_ms)
{
    struct seen seen = { 0 };

    limits_each(limits, now_ms, see, &seen);
    return seen;
}

static void names_are_counted_while_somebody_is_there(void **state)
{
    struct limits *limits = limits_new();

    (void)state;
    assert_non_null(limits);
    assert_int_equal(limits_take(limits, LIMIT_USER, STR("a"), 2), OK);
    assert_int_equal(limits_take(limits, LIMIT_USER, STR("a"), 2), OK);
    assert_int_equal(limits_take(limits, LIMIT_USER, STR("a"), 2), E_TOO_MANY);
    assert_int_equal(limits_take(limits, LIMIT_USER, STR("a"), 0), OK);
    assert_int_equal(limits_take(limits, LIMIT_DATABASE, STR("a"), 1), OK);
    assert_int_equal(look(limits, 0).n, 2);
    limits_leave(limits, LIMIT_DATABASE, STR("a"));
    struct seen seen = look(limits, 0);
    assert_int_equal(seen.n, 1);
    assert_int_equal(seen.last.used, 3);
    assert_int_equal(seen.last.refused, 1);
    for (int i = 0; i < 3; i++)
        limits_leave(limits, LIMIT_USER, STR("a"));
    seen = look(limits, 0); /* the refusal is remembered */
    assert_int_equal(seen.n, 1);
    assert_int_equal(seen.last.used, 0);
    limits_free(limits);
}

static void names_at_rest_are_bounded(void **state)
{
    struct limits *limits = limits_new();
    char name[100];

    (void)state;
    assert_non_null(limits);
    for (int i = 0; i < 3000; i++) {
        (void)snprintf(name, sizeof name, "%d", i);
        assert_int_equal(limits_take(limits, LIMIT_DATABASE, str_c(name), 1), OK);
        assert_int_equal(limits_take(limits, LIMIT_DATABASE, str_c(name), 1), E_TOO_MANY);
        limits_leave(limits, LIMIT_DATABASE, str_c(name));
    }
    assert_int_equal(look(limits, 0).n, 1000);
    memset(name, 'x', sizeof name - 1); /* longer than any name that PostgreSQL knows */
    name[sizeof name - 1] = '\0';
    assert_int_equal(limits_take(limits, LIMIT_USER, str_c(name), 1), OK);
    assert_int_equal(limits_take(limits, LIMIT_USER, str_c(name), 1), E_TOO_MANY);
    limits_leave(limits, LIMIT_USER, str_c(name));
    limits_free(limits);
}

static void addresses_that_were_refused_are_told(void **state)
{
    struct limits *limits = limits_new();
    struct sockaddr_storage v4 = { 0 }, v6 = { 0 };
    const struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(0xc0000207) };
    const struct sockaddr_in6 in6 = { .sin6_family = AF_INET6,
                                      .sin6_addr = { { { 0x20, 1, 0xd, 0xb8, 0, 1, 0, 2 } } } };

    (void)state;
    assert_non_null(limits);
    memcpy(&v4, &in, sizeof in);
    memcpy(&v6, &in6, sizeof in6);
    const struct prefix a = prefix_of_address(&v4), b = prefix_of_address(&v6);
    assert_true(limits_begin(limits, &a, 2, 1000));
    assert_true(limits_begin(limits, &a, 2, 1000));
    assert_int_equal(look(limits, 1000).n, 0);
    assert_false(limits_begin(limits, &a, 2, 1000));
    struct seen seen = look(limits, 1000);
    assert_int_equal(seen.n, 1);
    assert_string_equal(seen.name, "192.0.2.7");
    assert_int_equal(seen.last.used, 2);
    assert_int_equal(seen.last.refused, 1);
    assert_int_equal(look(limits, 3000).last.used, 0);
    assert_true(limits_begin(limits, &b, 1, 3000));
    assert_false(limits_begin(limits, &b, 1, 3000));
    assert_int_equal(look(limits, 3000).n, 2);
    assert_string_equal(look(limits, 3000).name, "2001:db8:1::/48");
    limits_free(limits);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_counted_while_somebody_is_there),
        cmocka_unit_test(names_at_rest_are_bounded),
        cmocka_unit_test(addresses_that_were_refused_are_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
