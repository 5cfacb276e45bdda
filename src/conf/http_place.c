/* http_listen: off, an address, or a path. */
#include "conf/http_place.h"

#include <arpa/inet.h>

static bool is_loopback(struct str host)
{
    struct in6_addr v6;
    struct in_addr v4;
    char text[64];

    if (str_equal_nocase(host, STR("localhost")))
        return true;
    if (!str_to_c(host, text, sizeof text))
        return false;
    if (inet_pton(AF_INET, text, &v4) == 1)
        return ntohl(v4.s_addr) >> 24 == 127;
    return inet_pton(AF_INET6, text, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

static bool parse_address(struct str text, struct http_place *out)
{
    struct str host = text;
    uint32_t port;

    while (host.n > 0 && host.p[host.n - 1] != ':')
        host.n--;
    if (host.n == 0 || !str_to_u32(str_from(text, host.n), 1, 65535, &port))
        return false;
    host.n--;
    bool bracketed = host.n >= 2 && host.p[0] == '[' && host.p[host.n - 1] == ']';
    if (bracketed)
        host = str_of(host.p + 1, host.n - 2);
    /* Without brackets an IPv6 address and its port cannot be told apart. */
    if (host.n == 0 || str_has_nul(host) || str_find(host, '[') < host.n ||
        (!bracketed && str_find(host, ':') < host.n))
        return false;
    *out = (struct http_place){ .kind = HTTP_TCP, .host = host, .port = port, .loopback = is_loopback(host) };
    return true;
}

bool http_place_parse(struct str text, struct http_place *out)
{
    if (text.n == 0 || str_equal_nocase(text, STR("off"))) {
        *out = (struct http_place){ .kind = HTTP_OFF };
        return true;
    }
    if (str_find(text, '/') < text.n) {
        *out = (struct http_place){ .kind = HTTP_UNIX, .path = text };
        return !str_has_nul(text);
    }
    return parse_address(text, out);
}
