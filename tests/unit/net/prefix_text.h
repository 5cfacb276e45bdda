/**
 * Client prefixes for tests, written as addresses.
 */
#ifndef PGSEAL_TESTS_NET_PREFIX_TEXT_H
#define PGSEAL_TESTS_NET_PREFIX_TEXT_H

#include "../unit.h"

#include "net/prefix.h"

#include <arpa/inet.h>
#include <string.h>

static struct prefix prefix(const char *text)
{
    struct sockaddr_storage address = { 0 };
    struct sockaddr_in ipv4 = { .sin_family = AF_INET };
    struct sockaddr_in6 ipv6 = { .sin6_family = AF_INET6 };

    if (inet_pton(AF_INET, text, &ipv4.sin_addr) == 1) {
        memcpy(&address, &ipv4, sizeof ipv4);
    } else {
        assert_int_equal(inet_pton(AF_INET6, text, &ipv6.sin6_addr), 1);
        memcpy(&address, &ipv6, sizeof ipv6);
    }
    return prefix_of_address(&address);
}

#endif
