/* PROXY protocol version 2. */
#include "pgwire/proxy.h"

#include "base/ip.h"
#include "base/rd.h"

#include <netinet/in.h>

enum {
    SIGNATURE = 12,
    COMMAND_LOCAL = 0x20, /* version 2 in the upper half */
    COMMAND_PROXY = 0x21,
    FAMILY_TCP4 = 0x11,
    FAMILY_TCP6 = 0x21,
    ADDRESSES_TCP4 = 12,
    ADDRESSES_TCP6 = 36
};

static const uint8_t signature[SIGNATURE] = "\r\n\r\n\0\r\nQUIT\n";

/* Source address, destination address, source port, destination port. */
static enum code read_addresses(uint8_t family, struct rd *r, struct proxy *p, struct err *e)
{
    if (family == FAMILY_TCP4) {
        struct sockaddr_in in = { .sin_family = AF_INET };
        struct bytes addresses = rd_bytes(r, ADDRESSES_TCP4);
        if (r->bad)
            return err_set(e, E_PROTOCOL, "PROXY header is too short for its addresses");
        memcpy(&in.sin_addr, addresses.p, 4);
        memcpy(&in.sin_port, addresses.p + 8, 2);
        memcpy(&p->peer, &in, sizeof in);
        p->peer_n = sizeof in;
        return OK;
    }
    if (family == FAMILY_TCP6) {
        struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };
        struct bytes addresses = rd_bytes(r, ADDRESSES_TCP6);
        if (r->bad)
            return err_set(e, E_PROTOCOL, "PROXY header is too short for its addresses");
        memcpy(&in6.sin6_addr, addresses.p, 16);
        memcpy(&in6.sin6_port, addresses.p + 32, 2);
        memcpy(&p->peer, &in6, sizeof in6);
        p->peer_n = sizeof in6;
        ip_unmap(&p->peer, &p->peer_n);
        return OK;
    }
    return err_set(e, E_PROTOCOL, "PROXY header with address family 0x%02x: expected TCP over IPv4 or IPv6",
                   family);
}

/* Version 1 is a line of text. A balancer that speaks it has forgotten one word of its configuration. */
static enum code not_version_2(struct bytes in, struct err *e)
{
    static const char version_1[] = "PROXY ";
    size_t seen = in.n < sizeof version_1 - 1 ? in.n : sizeof version_1 - 1;

    if (memcmp(in.p, version_1, seen) != 0)
        return err_set(e, E_PROTOCOL, "expected a PROXY protocol version 2 header");
    if (seen < sizeof version_1 - 1)
        return E_MORE;
    err_set(e, E_PROTOCOL, "expected a PROXY protocol version 2 header, received one of version 1");
    err_hint(e, "HAProxy: write send-proxy-v2 instead of send-proxy in the server's line.");
    return E_PROTOCOL;
}

enum code proxy_parse(struct bytes in, struct proxy *out, size_t *used, struct err *e)
{
    size_t seen = in.n < SIGNATURE ? in.n : SIGNATURE;
    struct proxy p = { 0 };
    struct rd r = rd_over(in);

    if (seen > 0 && memcmp(in.p, signature, seen) != 0)
        return not_version_2(in, e);
    if (in.n < PROXY_HEADER)
        return E_MORE;
    (void)rd_bytes(&r, SIGNATURE);
    uint8_t command = rd_u8(&r), family = rd_u8(&r);
    size_t length = rd_u16(&r);
    if (command != COMMAND_LOCAL && command != COMMAND_PROXY)
        return err_set(e, E_PROTOCOL, "PROXY header with version and command 0x%02x", command);
    if (length > PROXY_LENGTH_MAX)
        return err_set(e, E_PROTOCOL, "PROXY header is too long");
    if (r.left.n < length)
        return E_MORE;
    p.local = command == COMMAND_LOCAL;
    r.left.n = length;
    if (!p.local)
        TRY(read_addresses(family, &r, &p, e));
    *out = p;
    *used = PROXY_HEADER + length;
    return OK;
}
