/* Prefixes of addresses. */
#include "net/prefix.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

enum { KIND_OTHER, KIND_IPV4, KIND_IPV6, KIND_USER };

enum { IPV4_BYTES = 4, SITE_BYTES = 6, NETWORK_BYTES = 8, MAPPED_AT = 12 };

_Static_assert(sizeof(struct prefix) == 1 + NETWORK_BYTES, "a prefix has no padding");

static struct prefix of_bytes(uint8_t kind, const void *bytes, size_t n)
{
    struct prefix prefix = { .kind = kind };

    memcpy(prefix.bytes, bytes, n);
    return prefix;
}

struct prefix prefix_of_address(const struct sockaddr_storage *address)
{
    struct sockaddr_in ipv4;
    struct sockaddr_in6 ipv6;

    switch (address->ss_family) {
    case AF_INET:
        memcpy(&ipv4, address, sizeof ipv4);
        return of_bytes(KIND_IPV4, &ipv4.sin_addr, IPV4_BYTES);
    case AF_INET6:
        memcpy(&ipv6, address, sizeof ipv6);
        if (IN6_IS_ADDR_V4MAPPED(&ipv6.sin6_addr))
            return of_bytes(KIND_IPV4, ipv6.sin6_addr.s6_addr + MAPPED_AT, IPV4_BYTES);
        return of_bytes(KIND_IPV6, &ipv6.sin6_addr, NETWORK_BYTES);
    default:
        return (struct prefix){ .kind = KIND_OTHER };
    }
}

struct prefix prefix_of_user(uid_t uid)
{
    return of_bytes(KIND_USER, &uid, sizeof uid);
}

struct prefix prefix_site(const struct prefix *prefix)
{
    return prefix->kind == KIND_IPV6 ? of_bytes(KIND_IPV6, prefix->bytes, SITE_BYTES) : *prefix;
}

bool prefix_equal(const struct prefix *a, const struct prefix *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

/* A site has no bytes of a network behind it. */
static unsigned bits_of(const struct prefix *prefix)
{
    for (size_t i = SITE_BYTES; i < NETWORK_BYTES; i++)
        if (prefix->bytes[i] != 0)
            return NETWORK_BYTES * 8;
    return SITE_BYTES * 8;
}

void prefix_text(const struct prefix *prefix, char out[PREFIX_TEXT_MAX])
{
    char text[INET6_ADDRSTRLEN];
    struct in6_addr ipv6 = { 0 };

    out[0] = '\0';
    if (prefix->kind == KIND_IPV4 && inet_ntop(AF_INET, prefix->bytes, text, sizeof text))
        (void)snprintf(out, PREFIX_TEXT_MAX, "%s", text);
    if (prefix->kind != KIND_IPV6)
        return;
    memcpy(&ipv6, prefix->bytes, NETWORK_BYTES);
    if (inet_ntop(AF_INET6, &ipv6, text, sizeof text))
        (void)snprintf(out, PREFIX_TEXT_MAX, "%s/%u", text, bits_of(prefix));
}
