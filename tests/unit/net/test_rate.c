/* How often a prefix may. */
#include "../unit.h"

#include "net/rate.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

static struct prefix ipv6(const char *text)
{
    struct sockaddr_storage address = { 0 };
    struct sockaddr_in6 in = { .sin6_family = AF_INET6 };

    assert_int_equal(inet_pton(AF_INET6, text, &in.sin6_addr), 1);
    memcpy(&address, &in, sizeof in);
    return prefix_of_address(&address);
}

static void a_burst_and_then_so_many_a_second(void **state)
{
    struct rate *rate = rate_new(3, 2);
    const struct prefix a = ipv6("2001:db8:1:1::1"), of_the_site = ipv6("2001:db8:1:2::1"),
                        other = ipv6("2001:db8:2::1");

    (void)state;
    assert_non_null(rate);
    for (int i = 0; i < 3; i++)
        assert_true(rate_take(rate, i % 2 ? &of_the_site : &a, 1000));
    assert_false(rate_take(rate, &a, 1000));
    assert_false(rate_take(rate, &of_the_site, 1000));
    assert_true(rate_take(rate, &other, 1000));
    assert_false(rate_take(rate, &a, 1499));
    assert_true(rate_take(rate, &a, 1500));
    assert_false(rate_take(rate, &a, 1999));
    assert_true(rate_take(rate, &a, 2000));
    for (int i = 0; i < 3; i++) /* who was silent for long has no more than a burst */
        assert_true(rate_take(rate, &a, 1000000));
    assert_false(rate_take(rate, &a, 1000000));
    rate_free(rate);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(a_burst_and_then_so_many_a_second) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
