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
    ADDRESSES_TCP6 = 36,
    TLV_CRC32C = 0x03,
    TLV_UNIQUE_ID = 0x05,
    CRC_SIZE = 4
};

#define CRC32C_POLYNOMIAL 0x82f63b78U /* Castagnoli's, reflected */

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

/* A header has two thousand bytes at most, so there is no table. */
static uint32_t crc32c(uint32_t crc, uint8_t byte)
{
    crc ^= byte;
    for (int bit = 0; bit < 8; bit++)
        crc = crc >> 1 ^ (crc & 1 ? CRC32C_POLYNOMIAL : 0);
    return crc;
}

/* Of the whole header, in which the sum itself counts as zero. */
static bool sum_fits(struct bytes header, struct bytes sum)
{
    uint32_t crc = UINT32_MAX;

    for (size_t i = 0; i < header.n; i++) {
        const uint8_t *p = header.p + i;
        crc = crc32c(crc, p >= sum.p && p < sum.p + sum.n ? 0 : *p);
    }
    struct rd r = rd_over(sum);
    return rd_u32(&r) == ~crc;
}

/* `tlvs` end where the header does. */
static enum code read_tlvs(struct bytes header, struct rd *tlvs, struct proxy *p, struct err *e)
{
    while (tlvs->left.n > 0) {
        uint8_t type = rd_u8(tlvs);
        size_t length = rd_u16(tlvs);
        struct bytes value = rd_bytes(tlvs, length);
        if (tlvs->bad)
            return err_set(e, E_PROTOCOL, "PROXY header with a TLV that is longer than the header");
        if (type == TLV_CRC32C && (value.n != CRC_SIZE || !sum_fits(header, value)))
            return err_set(e, E_PROTOCOL, "PROXY header with a wrong checksum (CRC-32c)");
        if (type == TLV_UNIQUE_ID && value.n <= PROXY_UNIQUE_ID_MAX)
            p->unique_id = value;
    }
    return OK;
}

/* Version 1 is a line of text. A balancer that speaks it has forgotten one word of its configuration. */
static enum code not_version_2(struct bytes in, struct err *e)
{
    static const char version_1[] = "PROXY ";
    size_t seen = in.n < sizeof version_1 - 1 ? in.n : sizeof version_1 - 1;

    if (memcmp(in.p, version_1, seen) != 0) {
        err_set(e, E_PROTOCOL, "expected a PROXY protocol version 2 header");
        err_hint(
            e, "HAProxy: write send-proxy-v2 in the server's line. Health checks on another port or address "
               "than the server's are sent without a header unless check-send-proxy is set there, too.");
        return E_PROTOCOL;
    }
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
    if (!p.local || family == 0) /* of other families LOCAL is passed over whole */
        TRY(read_tlvs(bytes_of(in.p, PROXY_HEADER + length), &r, &p, e));
    *out = p;
    *used = PROXY_HEADER + length;
    return OK;
}
