/* PROXY protocol version 2: families, LOCAL, limits, truncation, bit flips. */
#include "../unit.h"

#include "base/check.h"
#include "pgwire/proxy.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#define SIGNATURE_TEXT "\r\n\r\n\0\r\nQUIT\n"
#define BYTES(text) bytes_of("" text, sizeof(text) - 1)

static const char tcp4[] = SIGNATURE_TEXT "\x21\x11\x00\x0c"
                                          "\xc0\x00\x02\x07\x0a\x00\x00\x01\x9c\x40\x15\x38";

static void ipv4(void **state)
{
    (void)state;
    struct proxy p;
    size_t used;
    struct err e;
    char text[64];
    assert_int_equal(proxy_parse(bytes_of(tcp4, sizeof tcp4 - 1), &p, &used, &e), OK);
    assert_int_equal(used, 28);
    assert_false(p.local);
    const struct sockaddr_in *in = (const struct sockaddr_in *)&p.peer;
    assert_string_equal(inet_ntop(AF_INET, &in->sin_addr, text, sizeof text), "192.0.2.7");
    assert_int_equal(ntohs(in->sin_port), 40000);
    for (size_t cut = 0; cut < sizeof tcp4 - 1; cut++)
        assert_int_equal(proxy_parse(bytes_of(tcp4, cut), &p, &used, &e), E_MORE);
}

static void ipv6_and_tlvs(void **state)
{
    (void)state;
    struct proxy p;
    size_t used;
    struct err e;
    char text[64];
    static const char raw[] = SIGNATURE_TEXT "\x21\x21\x00\x28"
                                             "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01"
                                             "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01"
                                             "\x00\x50\x15\x38"
                                             "\x20\x00\x01\x07"
                                             "next";
    assert_int_equal(proxy_parse(bytes_of(raw, sizeof raw - 1), &p, &used, &e), OK);
    assert_int_equal(used, sizeof raw - 1 - 4);
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&p.peer;
    assert_string_equal(inet_ntop(AF_INET6, &in6->sin6_addr, text, sizeof text), "2001:db8::1");
    assert_int_equal(ntohs(in6->sin6_port), 80);
}

static void mapped_is_ipv4(void **state)
{
    (void)state;
    struct proxy p;
    size_t used;
    struct err e;
    char text[64];
    static const char raw[] = SIGNATURE_TEXT "\x21\x21\x00\x24"
                                             "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\x00\x02\x07"
                                             "\0\0\0\0\0\0\0\0\0\0\xff\xff\x0a\x00\x00\x01"
                                             "\x9c\x40\x15\x38";
    assert_int_equal(proxy_parse(bytes_of(raw, sizeof raw - 1), &p, &used, &e), OK);
    const struct sockaddr_in *in = (const struct sockaddr_in *)&p.peer;
    assert_int_equal(p.peer.ss_family, AF_INET);
    assert_int_equal(p.peer_n, sizeof *in);
    assert_string_equal(inet_ntop(AF_INET, &in->sin_addr, text, sizeof text), "192.0.2.7");
    assert_int_equal(ntohs(in->sin_port), 40000);
}

static void version_1(void **state)
{
    (void)state;
    struct proxy p;
    size_t used;
    struct err e;
    for (size_t cut = 0; cut < 6; cut++)
        assert_int_equal(proxy_parse(bytes_of("PROXY TCP4", cut), &p, &used, &e), E_MORE);
    assert_int_equal(proxy_parse(BYTES("PROXY "), &p, &used, &e), E_PROTOCOL);
    assert_non_null(strstr(e.hint, "send-proxy-v2"));
    assert_int_equal(proxy_parse(BYTES("PROXX"), &p, &used, &e), E_PROTOCOL);
}

/* The check value of CRC-32c over a header of TCP over IPv4: made with another implementation (test_proxy_protocol.py). */
static void checksum_and_unique_id(void **state)
{
    (void)state;
    static const char raw[] = SIGNATURE_TEXT "\x21\x11\x00\x1a"
                                             "\xc0\x00\x02\x07\x0a\x00\x00\x01\x9c\x40\x15\x38"
                                             "\x05\x00\x04"
                                             "id-1"
                                             "\x03\x00\x04"
                                             "\xd6\x43\x9d\xc3";
    struct proxy p;
    size_t used;
    struct err e;
    char flipped[sizeof raw - 1];
    assert_int_equal(proxy_parse(bytes_of(raw, sizeof raw - 1), &p, &used, &e), OK);
    assert_int_equal(used, sizeof raw - 1);
    assert_int_equal(p.unique_id.n, 4);
    assert_memory_equal(p.unique_id.p, "id-1", 4);
    for (size_t bit = PROXY_HEADER * 8; bit < sizeof flipped * 8; bit++) {
        memcpy(flipped, raw, sizeof flipped);
        flipped[bit / 8] = (char)(flipped[bit / 8] ^ 1 << bit % 8);
        bool type_of_sum = bit / 8 == PROXY_HEADER + 12 + 7; /* then there is none */
        assert_int_equal(proxy_parse(bytes_of(flipped, sizeof flipped), &p, &used, &e),
                         type_of_sum ? OK : E_PROTOCOL);
    }
    /* A TLV that goes on behind the header. */
    assert_int_equal(proxy_parse(BYTES(SIGNATURE_TEXT "\x21\x11\x00\x0f"
                                                      "\xc0\x00\x02\x07\x0a\x00\x00\x01\x9c\x40\x15\x38"
                                                      "\x20\x00\x01"),
                                 &p, &used, &e),
                     E_PROTOCOL);
    /* LOCAL with a family that is none has TLVs at once; others are passed over. */
    assert_int_equal(proxy_parse(BYTES(SIGNATURE_TEXT "\x20\x00\x00\x07"
                                                      "\x03\x00\x04"
                                                      "crc?"),
                                 &p, &used, &e),
                     E_PROTOCOL);
    assert_int_equal(proxy_parse(BYTES(SIGNATURE_TEXT "\x20\x11\x00\x07"
                                                      "\x03\x00\x04"
                                                      "crc?"),
                                 &p, &used, &e),
                     OK);
}

static void what_is_refused(void **state)
{
    (void)state;
    struct proxy p;
    size_t used;
    struct err e;
    assert_int_equal(proxy_parse(BYTES(SIGNATURE_TEXT "\x20\x00\x00\x00"), &p, &used, &e), OK);
    assert_true(p.local);
    assert_int_equal(proxy_parse(BYTES("PROXY TCP4 1.2.3.4"), &p, &used, &e), E_PROTOCOL);
    assert_int_equal(proxy_parse(BYTES("\0\0\0\x08\x04\xd2\x16\x2f"), &p, &used, &e), E_PROTOCOL);
    assert_int_equal(proxy_parse(BYTES(SIGNATURE_TEXT "\x21\x00\x00\x00"), &p, &used, &e), E_PROTOCOL);
    assert_int_equal(proxy_parse(BYTES(SIGNATURE_TEXT "\x11\x11\x00\x0c"), &p, &used, &e), E_PROTOCOL);
    assert_int_equal(proxy_parse(BYTES(SIGNATURE_TEXT "\x21\x11\x00\x04"
                                                      "abcd"),
                                 &p, &used, &e),
                     E_PROTOCOL);
    assert_int_equal(proxy_parse(BYTES(SIGNATURE_TEXT "\x21\x11\xff\xff"), &p, &used, &e), E_PROTOCOL);
}

static void flips_never_crash(void **state)
{
    (void)state;
    struct proxy p;
    size_t used;
    struct err e;
    char raw[sizeof tcp4 - 1];
    for (size_t bit = 0; bit < sizeof raw * 8; bit++) {
        memcpy(raw, tcp4, sizeof raw);
        raw[bit / 8] = (char)(raw[bit / 8] ^ 1 << bit % 8);
        (void)!proxy_parse(bytes_of(raw, sizeof raw), &p, &used, &e);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ipv4),
        cmocka_unit_test(ipv6_and_tlvs),
        cmocka_unit_test(mapped_is_ipv4),
        cmocka_unit_test(checksum_and_unique_id),
        cmocka_unit_test(version_1),
        cmocka_unit_test(what_is_refused),
        cmocka_unit_test(flips_never_crash),
    };

    return cmocka_run_group_tests_name("proxy", tests, NULL, NULL);
}
