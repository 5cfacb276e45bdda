/* Records behind the handshake: published traces, every message that may come, every one that may not. */
#include "../unit.h"

#include "records.h"

#include <openssl/ssl.h>

/* ---- RFC 8448, section 3: a TLS 1.3 session of AES-128-GCM ---- */

static const char client_secret[] = "9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f792ebb7c17504a5";
static const char server_secret[] = "a11af9f05531f856ad47116b45a950328204b4f44bfb6b3a4b4f1f3fcb631643";
static const char ticket_record[] =
    "17030300de3a6b8f90414a97d6959c3487680de5134a2b240e6cffac116e95d41d6af8f6b580dcf3d11d63c758db289a"
    "015940252f55713e061dc13e078891a38efbcf5753ad8ef170ad3c7353d16d9da773b9ca7f2b9fa1b6c0d4a3d03f75e0"
    "9c30ba1e62972ac46f75f7b981be63439b2999ce13064615139891d5e4c5b406f16e3fc181a77ca475840025db2f0a77"
    "f81b5ab05b94c01346755f69232c86519d86cbeeac87aac347d143f9605d64f650db4d023e70e952ca49fe5137121c74"
    "bc2697687e248746d6df353005f3bce18696129c8153556b3b6c6779b37bf15985684f";
static const char client_data[] =
    "1703030043a23f7054b62c94d0affafe8228ba55cbefacea42f914aa66bcab3f2b9819a8a5b4"
    "6b395bd54a9a20441e2b62974e1f5a6292a2977014bd1e3deae63aeebb21694915e4";
static const char server_data[] =
    "17030300432e937e11ef4ac740e538ad36005fc4a46932fc3225d05f82aa1b36e30efaf97d90"
    "e6dffc602dcb501a59a8fcc49c4bf2e5f0a21c0047c2abf332540dd032e167c2955d";
static const char client_close[] = "1703030013c9872760655666b74d7ff1153efd6db6d0b0e3";
static const char server_close[] = "1703030013b58fd67166ebf599d24720cfbe7efa7a8864a9";
static const char payload[] = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
                              "202122232425262728292a2b2c2d2e2f3031";

static void begin_trace(struct records *p, bool server)
{
    uint8_t ours[RECORDS_HEX_MAX], theirs[RECORDS_HEX_MAX];

    records_begin(p, RECORD_AES_128_GCM, server);
    record_fini(&p->ours, p->tools);
    const struct record_params params = {
        .cipher = RECORD_AES_128_GCM,
        .server = server,
        .send_max = RECORD_PLAIN_MAX,
        .receive_max = RECORD_PLAIN_MAX,
        .open_secret = records_hex(server ? client_secret : server_secret, theirs),
        .seal_secret = records_hex(server ? server_secret : client_secret, ours),
    };
    assert_true(record_init(&p->ours, p->tools, &params));
}

static void assert_hex(struct bytes actual, const char *hex)
{
    uint8_t room[RECORDS_HEX_MAX];
    struct bytes expected = records_hex(hex, room);

    assert_int_equal(actual.n, expected.n);
    assert_memory_equal(actual.p, expected.p, expected.n);
}

/* One side sends as the trace has it. `number`: of its first record there. */
static void trace_sends(bool server, uint64_t number, const char *data, const char *closing)
{
    struct records p;
    uint8_t room[RECORDS_HEX_MAX];
    size_t n;

    begin_trace(&p, server);
    p.ours.seal.sequence = number;
    struct bytes text = records_hex(payload, room);
    assert_int_equal(record_write(&p.ours, p.tools, &p.io, text, &n), TLS_DONE);
    assert_int_equal(n, text.n);
    assert_hex(bytes_of(p.sent, p.io.out_n), data);
    p.io.out_n = 0;
    record_close(&p.ours, p.tools, &p.io);
    assert_hex(bytes_of(p.sent, p.io.out_n), closing);
    records_end(&p);
}

/* Feed all of `wire`, `piece` bytes at a time. */
static enum tls_status feed_pieces(struct records *p, struct bytes wire, size_t piece)
{
    enum tls_status status = TLS_WANT_INPUT;

    while (wire.n > 0 && status == TLS_WANT_INPUT) {
        size_t n = wire.n < piece ? wire.n : piece;
        memcpy(p->wire, wire.p, n);
        p->wire_n = n;
        status = records_read(p);
        wire = bytes_from(wire, n);
    }
    assert_int_equal(wire.n, 0);
    return status;
}

static void trace_arrives(bool server, const char *const *parts, size_t n_parts)
{
    uint8_t room[RECORDS_HEX_MAX];
    uint8_t wire[4 * RECORDS_HEX_MAX];
    size_t n = 0;

    for (size_t i = 0; i < n_parts; i++) {
        struct bytes part = records_hex(parts[i], room);
        memcpy(wire + n, part.p, part.n);
        n += part.n;
    }
    for (size_t piece = 1; piece <= n; piece++) {
        struct records p;
        begin_trace(&p, server);
        assert_int_equal(feed_pieces(&p, bytes_of(wire, n), piece), TLS_CLOSED);
        assert_hex(bytes_of(p.plain, p.plain_n), payload);
        assert_int_equal(p.io.out_n, 0);
        assert_null(p.ours.body);
        records_end(&p);
    }
}

static void traces_of_rfc_8448(void **state)
{
    static const char *const from_server[] = { ticket_record, server_data, server_close };
    static const char *const from_client[] = { client_data, client_close };
    struct records p;

    (void)state;
    begin_trace(&p, true);
    assert_hex(bytes_of(p.ours.open.key, 16), "17422dda596ed5d9acd890e3c63f5051");
    assert_hex(bytes_of(p.ours.open.iv, RECORD_IV), "5b78923dee08579033e523d9");
    assert_hex(bytes_of(p.ours.seal.key, 16), "9f02283b6c9c07efc26bb9f2ac92e356");
    assert_hex(bytes_of(p.ours.seal.iv, RECORD_IV), "cf782b88dd83549aadf1e984");
    records_end(&p);
    trace_sends(false, 0, client_data, client_close);
    trace_sends(true, 1, server_data, server_close); /* its ticket was number 0 */
    trace_arrives(false, from_server, COUNT_OF(from_server));
    trace_arrives(true, from_client, COUNT_OF(from_client));
}

/* ---- what may not come ---- */

static const struct {
    const char *what;
    uint8_t type;
    const char *content;
    uint8_t alert;
} refused[] = {
    { "change_cipher_spec", CHANGE_CIPHER_SPEC, "01", SSL_AD_UNEXPECTED_MESSAGE },
    { "a type that there is not", 24, "00", SSL_AD_UNEXPECTED_MESSAGE },
    { "handshake without content", HANDSHAKE, "", SSL_AD_UNEXPECTED_MESSAGE },
    { "alert without content", ALERT, "", SSL_AD_UNEXPECTED_MESSAGE },
    { "half an alert", ALERT, "02", SSL_AD_DECODE_ERROR },
    { "two alerts", ALERT, "015a 015a", SSL_AD_DECODE_ERROR },
    { "an alert and a byte", ALERT, "0100 00", SSL_AD_DECODE_ERROR },
    { "KeyUpdate of nothing", HANDSHAKE, "18000000", SSL_AD_DECODE_ERROR },
    { "KeyUpdate of two bytes", HANDSHAKE, "18000002 0000", SSL_AD_DECODE_ERROR },
    { "KeyUpdate of much", HANDSHAKE, "18ffffff", SSL_AD_DECODE_ERROR },
    { "KeyUpdate that asks for 2", HANDSHAKE, "18000001 02", SSL_AD_ILLEGAL_PARAMETER },
    { "KeyUpdate that asks for 255", HANDSHAKE, "18000001 ff", SSL_AD_ILLEGAL_PARAMETER },
    { "KeyUpdate not at its record's end", HANDSHAKE, "18000001 00 18", SSL_AD_UNEXPECTED_MESSAGE },
    { "two KeyUpdates in a record", HANDSHAKE, "18000001 00 18000001 00", SSL_AD_UNEXPECTED_MESSAGE },
    { "CertificateRequest", HANDSHAKE, "0d000003 00 0000", SSL_AD_UNEXPECTED_MESSAGE },
    { "Certificate", HANDSHAKE, "0b000004 00 000000", SSL_AD_UNEXPECTED_MESSAGE },
    { "Finished", HANDSHAKE, "14000020", SSL_AD_UNEXPECTED_MESSAGE },
    { "ClientHello", HANDSHAKE, "01000020", SSL_AD_UNEXPECTED_MESSAGE },
    { "HelloRequest", HANDSHAKE, "00000000", SSL_AD_UNEXPECTED_MESSAGE },
    { "EndOfEarlyData", HANDSHAKE, "05000000", SSL_AD_UNEXPECTED_MESSAGE },
};

static void assert_refused(struct records *p, uint8_t alert, const char *what)
{
    size_t n;

    if (records_read(p) != TLS_FAILED || p->ours.alert != alert || p->ours.alert_heard ||
        !records_hear_alert(p, alert))
        fail_msg("%s: not refused with alert %u (but %u)", what, alert, p->ours.alert);
    /* It is over: neither way any more. */
    records_say(p, DATA, bytes_of("x", 1), 0);
    assert_int_equal(records_read(p), TLS_FAILED);
    assert_int_equal(record_write(&p->ours, p->tools, &p->io, bytes_of("x", 1), &n), TLS_FAILED);
    record_close(&p->ours, p->tools, &p->io);
    assert_int_equal(p->io.out_n, 0);
}

static void what_may_not_come(void **state)
{
    uint8_t room[RECORDS_HEX_MAX];

    (void)state;
    for (size_t i = 0; i < 2 * COUNT_OF(refused); i++) {
        struct records p;
        size_t row = i / 2;
        records_begin(&p, RECORD_AES_128_GCM, i % 2);
        records_say(&p, DATA, bytes_of("before", 6), 0);
        records_say(&p, refused[row].type, records_hex(refused[row].content, room), i % 2 ? 0 : 7);
        assert_refused(&p, refused[row].alert, refused[row].what);
        assert_int_equal(p.plain_n, 6);
        records_end(&p);
    }
}

static void tickets(void **state)
{
    uint8_t ticket[4 + 20] = { 4, 0, 0, 20 };
    struct records p;

    (void)state;
    records_begin(&p, RECORD_AES_256_GCM, false); /* a client takes them whole, split and joined */
    records_say(&p, HANDSHAKE, bytes_of(ticket, sizeof ticket), 0);
    for (size_t i = 0; i < sizeof ticket; i++)
        records_say(&p, HANDSHAKE, bytes_of(ticket + i, 1), 0);
    records_say(&p, DATA, bytes_of("x", 1), 0);
    assert_int_equal(records_read(&p), TLS_WANT_INPUT);
    assert_int_equal(p.plain_n, 1);
    for (size_t cut = 1; cut < sizeof ticket; cut++) {
        records_say(&p, HANDSHAKE, bytes_of(ticket, cut), cut);
        records_say(&p, HANDSHAKE, bytes_of(ticket + cut, sizeof ticket - cut), 0);
        records_say(&p, DATA, bytes_of("x", 1), 0);
    }
    assert_int_equal(records_read(&p), TLS_WANT_INPUT);
    assert_int_equal(p.plain_n, sizeof ticket);
    assert_int_equal(p.io.out_n, 0);
    records_end(&p);

    records_begin(&p, RECORD_AES_256_GCM, true); /* a client that sends one is no client */
    records_say(&p, HANDSHAKE, bytes_of(ticket, sizeof ticket), 0);
    assert_refused(&p, SSL_AD_UNEXPECTED_MESSAGE, "a client's ticket");
    records_end(&p);

    ticket[3] = 13;
    records_begin(&p, RECORD_AES_256_GCM, false);
    records_say(&p, HANDSHAKE, bytes_of(ticket, 4 + 13), 0);
    assert_refused(&p, SSL_AD_DECODE_ERROR, "a ticket too short");
    records_end(&p);
    ticket[1] = 3;
    records_begin(&p, RECORD_AES_256_GCM, false);
    records_say(&p, HANDSHAKE, bytes_of(ticket, 4), 0);
    assert_refused(&p, SSL_AD_DECODE_ERROR, "a ticket too long");
    records_end(&p);
}

static void between_fragments(void **state)
{
    static const struct {
        uint8_t type;
        const char *content;
    } others[] = {
        { DATA, "41" }, { DATA, "" }, { ALERT, "0100" }, { ALERT, "0228" }, { CHANGE_CIPHER_SPEC, "01" }
    };
    static const uint8_t update[] = { 24, 0, 0, 1, 0 };
    uint8_t room[RECORDS_HEX_MAX];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(others); i++)
        for (size_t cut = 1; cut < sizeof update; cut++) {
            struct records p;
            records_begin(&p, RECORD_CHACHA20_POLY1305, true);
            records_say(&p, HANDSHAKE, bytes_of(update, cut), 0);
            records_say(&p, others[i].type, records_hex(others[i].content, room), 0);
            assert_refused(&p, SSL_AD_UNEXPECTED_MESSAGE, "between fragments");
            records_end(&p);
        }
}

/* What does not even look like a record of this stage. */
static void headers(void **state)
{
    static const struct {
        const char *header;
        uint8_t alert;
    } rows[] = {
        { "14 0303 0001 01", SSL_AD_UNEXPECTED_MESSAGE },   /* change_cipher_spec was for the handshake */
        { "15 0303 0002 0100", SSL_AD_UNEXPECTED_MESSAGE }, /* not even an alert comes in plaintext */
        { "16 0303 0005 1800000100", SSL_AD_UNEXPECTED_MESSAGE },
        { "00 0000 0000", SSL_AD_UNEXPECTED_MESSAGE },
        { "80 2e01 0301", SSL_AD_UNEXPECTED_MESSAGE },
        { "17 0303 4101", SSL_AD_RECORD_OVERFLOW },
        { "17 0303 ffff", SSL_AD_RECORD_OVERFLOW },
        { "17 0303 0000", SSL_AD_BAD_RECORD_MAC },
        { "17 0303 000f 000000000000000000000000000000", SSL_AD_BAD_RECORD_MAC },
        { "17 0303 0010 00000000000000000000000000000000", SSL_AD_BAD_RECORD_MAC },
    };
    uint8_t room[RECORDS_HEX_MAX];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct records p;
        records_begin(&p, RECORD_AES_128_GCM, true);
        struct bytes wire = records_hex(rows[i].header, room);
        memcpy(p.wire, wire.p, wire.n);
        p.wire_n = wire.n;
        assert_refused(&p, rows[i].alert, rows[i].header);
        records_end(&p);
    }
}

/* ---- sizes ---- */

static void sizes(void **state)
{
    static uint8_t content[RECORD_PLAIN_MAX + 256];
    static const struct {
        size_t content, padding;
        uint8_t alert; /* 0: it is taken */
    } rows[] = {
        { RECORD_PLAIN_MAX, 0, 0 },
        { RECORD_PLAIN_MAX - 1, 1, 0 },
        { 1, RECORD_PLAIN_MAX - 1, 0 },
        { RECORD_PLAIN_MAX + 1, 0, SSL_AD_RECORD_OVERFLOW },
        { RECORD_PLAIN_MAX, 1, SSL_AD_RECORD_OVERFLOW },
        { 0, RECORD_PLAIN_MAX + 1, SSL_AD_RECORD_OVERFLOW },
        { RECORD_PLAIN_MAX + 239, 0, SSL_AD_RECORD_OVERFLOW },
        { RECORD_PLAIN_MAX + 240, 0, SSL_AD_RECORD_OVERFLOW }, /* by its header */
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct records p;
        records_begin(&p, RECORD_AES_128_GCM, true);
        memset(content, 'c', sizeof content);
        records_say(&p, DATA, bytes_of(content, rows[i].content), rows[i].padding);
        if (rows[i].alert) {
            assert_refused(&p, rows[i].alert, "too long");
        } else {
            assert_int_equal(records_read(&p), TLS_WANT_INPUT);
            assert_int_equal(p.plain_n, rows[i].content);
            assert_memory_equal(p.plain, content, p.plain_n);
        }
        records_end(&p);
    }
}

static void nothing_but_padding(void **state)
{
    (void)state;
    for (size_t n = 0; n < 40; n++) {
        struct records p;
        records_begin(&p, RECORD_AES_256_GCM, true);
        records_say(&p, 0, bytes_of(NULL, 0), n);
        assert_refused(&p, SSL_AD_UNEXPECTED_MESSAGE, "zeros");
        records_end(&p);
    }
}

static void sends_records_of_its_size(void **state)
{
    static uint8_t text[3 * 8192 + 5];
    struct records p;
    struct bytes heard;
    size_t n;

    (void)state;
    for (int server = 0; server < 2; server++) {
        size_t most = server ? 8192 : RECORD_PLAIN_MAX, total = 0;
        records_begin(&p, RECORD_AES_256_GCM, server);
        for (size_t i = 0; i < sizeof text; i++)
            text[i] = (uint8_t)(i * 7);
        assert_int_equal(record_write(&p.ours, p.tools, &p.io, bytes_of(text, sizeof text), &n), TLS_DONE);
        while (records_hear(&p, &heard) == DATA) {
            assert_true(heard.n == most || total + heard.n == sizeof text);
            assert_memory_equal(heard.p, text + total, heard.n);
            total += heard.n;
        }
        assert_int_equal(total, sizeof text);
        records_end(&p);
    }
}

/* A record goes whole or not at all. */
static void writes_into_little_room(void **state)
{
    struct records p;
    struct bytes heard;
    size_t n;

    (void)state;
    records_begin(&p, RECORD_AES_256_GCM, true);
    for (size_t room = 0; room < 60; room++) {
        p.io.out_size = room;
        enum tls_status status = record_write(&p.ours, p.tools, &p.io, bytes_of("0123456789", 10), &n);
        assert_int_equal(status, room >= 32 ? TLS_DONE : TLS_WANT_ROOM);
        assert_int_equal(n, room >= 32 ? 10 : 0);
        assert_int_equal(records_hear(&p, &heard), room >= 32 ? DATA : 0);
    }
    records_end(&p);
}

/* ---- closing ---- */

static void closing(void **state)
{
    struct records p;
    struct bytes heard;
    size_t n;

    (void)state;
    records_begin(&p, RECORD_AES_128_GCM, true);
    records_say(&p, DATA, bytes_of("last", 4), 0);
    records_say(&p, ALERT, bytes_of("\2\0", 2), 0); /* the level is nobody's concern */
    records_say(&p, DATA, bytes_of("ignored", 7), 0);
    assert_int_equal(records_read(&p), TLS_CLOSED);
    assert_int_equal(p.plain_n, 4);
    assert_int_equal(p.io.in.n, 0);
    p.io.eof = true;
    assert_int_equal(records_read(&p), TLS_CLOSED);
    /* Half closed: we may go on. */
    assert_int_equal(record_write(&p.ours, p.tools, &p.io, bytes_of("answer", 6), &n), TLS_DONE);
    assert_int_equal(records_hear(&p, &heard), DATA);
    record_close(&p.ours, p.tools, &p.io);
    record_close(&p.ours, p.tools, &p.io);
    assert_int_equal(records_hear(&p, &heard), ALERT);
    assert_memory_equal(heard.p, "\1\0", 2);
    assert_int_equal(p.io.out_n, 0);
    records_end(&p);

    records_begin(&p, RECORD_AES_128_GCM, false); /* we close first, and hear the rest */
    record_close(&p.ours, p.tools, &p.io);
    assert_int_equal(records_hear(&p, &heard), ALERT);
    records_say(&p, HANDSHAKE, bytes_of("\x18\0\0\1\1", 5), 0); /* asks for what we do not say any more */
    assert_true(record_keys_update(p.peer_tools, p.cipher, &p.seal));
    records_say(&p, DATA, bytes_of("rest", 4), 0);
    assert_int_equal(records_read(&p), TLS_WANT_INPUT);
    assert_int_equal(p.plain_n, 4);
    assert_int_equal(record_write(&p.ours, p.tools, &p.io, bytes_of("x", 1), &n), TLS_CLOSED);
    records_say(&p, ALERT, bytes_of("\2", 1), 0);
    assert_int_equal(records_read(&p), TLS_FAILED); /* and no alert behind our close_notify */
    assert_int_equal(p.io.out_n, 0);
    records_end(&p);
}

static void alerts_end_the_session(void **state)
{
    size_t n;

    (void)state;
    for (unsigned alert = 1; alert < 256; alert++)
        for (unsigned level = 0; level < 4; level++) {
            struct records p;
            const uint8_t text[] = { (uint8_t)level, (uint8_t)alert };
            if (alert == SSL_AD_USER_CANCELLED)
                continue;
            records_begin(&p, RECORD_AES_128_GCM, true);
            records_say(&p, ALERT, bytes_of(text, 2), 0);
            assert_int_equal(records_read(&p), TLS_FAILED);
            assert_true(p.ours.alert_heard && p.ours.alert == alert && p.ours.reason == 1000 + alert);
            assert_int_equal(record_write(&p.ours, p.tools, &p.io, bytes_of("x", 1), &n), TLS_FAILED);
            assert_int_equal(p.io.out_n, 0); /* nobody answers an alert */
            records_end(&p);
        }
}

static void an_end_without_words(void **state)
{
    (void)state;
    for (size_t cut = 0; cut < 30; cut++) {
        struct records p;
        records_begin(&p, RECORD_AES_128_GCM, true);
        records_say(&p, DATA, bytes_of("12345678", 8), 0);
        p.wire_n = cut;
        p.io.eof = true;
        assert_refused(&p, SSL_AD_DECODE_ERROR, "cut off");
        assert_int_equal(p.ours.reason, SSL_R_UNEXPECTED_EOF_WHILE_READING);
        assert_int_equal(p.plain_n, 0);
        records_end(&p);
    }
}

/* ---- tampering ---- */

static void every_byte_is_sealed(void **state)
{
    enum { SIZE = RECORD_HEADER + 9 + 1 + RECORD_TAG };

    (void)state;
    for (size_t i = 0; i < (size_t)3 * SIZE * 8; i++) {
        enum record_cipher cipher = (enum record_cipher)(i % 3);
        size_t bit = i / 3, at = bit / 8;
        struct records p;
        records_begin(&p, cipher, true);
        memset(p.plain, 'p', 64);
        records_say(&p, DATA, bytes_of("123456789", 9), 0);
        p.wire[at] ^= (uint8_t)(1U << bit % 8);
        size_t size = (size_t)p.wire[3] << 8 | p.wire[4];
        if (p.wire_n < RECORD_HEADER + size && size <= RECORD_BODY_MAX) { /* more is announced: here it is */
            memset(p.wire + p.wire_n, 0, size);
            p.wire_n = RECORD_HEADER + size;
        }
        uint8_t alert = at == 0                  ? SSL_AD_UNEXPECTED_MESSAGE
                        : size > RECORD_BODY_MAX ? SSL_AD_RECORD_OVERFLOW
                                                 : SSL_AD_BAD_RECORD_MAC;
        assert_refused(&p, alert, "tampered with");
        assert_int_equal(p.plain_n, 0);
        assert_null(memmem(p.plain, 64, "1234", 4)); /* nothing of it is left to be seen */
        records_end(&p);
    }
}

static void order_is_sealed(void **state)
{
    struct records p;

    (void)state;
    records_begin(&p, RECORD_AES_128_GCM, true); /* the same record twice */
    records_say(&p, DATA, bytes_of("1", 1), 0);
    memcpy(p.wire + p.wire_n, p.wire, p.wire_n);
    p.wire_n *= 2;
    assert_refused(&p, SSL_AD_BAD_RECORD_MAC, "a replay");
    assert_int_equal(p.plain_n, 1);
    records_end(&p);
    records_begin(&p, RECORD_AES_128_GCM, true); /* the first is missing */
    records_say(&p, DATA, bytes_of("1", 1), 0);
    p.wire_n = 0;
    records_say(&p, DATA, bytes_of("2", 1), 0);
    assert_refused(&p, SSL_AD_BAD_RECORD_MAC, "a gap");
    records_end(&p);
}

/* ---- records without data ---- */

static void fruitless_records_are_bounded(void **state)
{
    static const struct {
        uint8_t type;
        const char *content;
        bool updates;
    } rows[] = { { DATA, "", false },
                 { ALERT, "015a", false },
                 { HANDSHAKE, "1800000100", true },
                 { HANDSHAKE, "1800000101", true } };
    uint8_t room[RECORDS_HEX_MAX];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        for (int data = 0; data < 3; data++) {
            struct records p;
            struct bytes heard;
            size_t n;
            records_begin(&p, RECORD_AES_128_GCM, true);
            for (int k = 0; k < 2 * RECORD_FRUITLESS_MAX; k++) {
                records_say(&p, rows[i].type, records_hex(rows[i].content, room), 0);
                if (rows[i].updates)
                    assert_true(record_keys_update(p.peer_tools, p.cipher, &p.seal));
                if (k == RECORD_FRUITLESS_MAX && data == 0) {
                    assert_refused(&p, SSL_AD_UNEXPECTED_MESSAGE, "too many");
                    break;
                }
                if (data == 1) /* the peer says something now and then */
                    records_say(&p, DATA, bytes_of("x", 1), 0);
                assert_int_equal(records_read(&p), TLS_WANT_INPUT);
                if (data == 2) { /* or we do */
                    assert_int_equal(record_write(&p.ours, p.tools, &p.io, bytes_of("y", 1), &n), TLS_DONE);
                    while (p.io.out_n > 0)
                        if (records_hear(&p, &heard) == HANDSHAKE)
                            assert_true(record_keys_update(p.peer_tools, p.cipher, &p.open));
                }
            }
            records_end(&p);
        }
}

/* ---- KeyUpdate ---- */

/* Our next record is a KeyUpdate; the peer goes along. */
static void hear_update(struct records *p, bool requested)
{
    struct bytes text;

    assert_int_equal(records_hear(p, &text), HANDSHAKE);
    assert_int_equal(text.n, 5);
    assert_memory_equal(text.p, requested ? "\x18\0\0\1\1" : "\x18\0\0\1\0", 5);
    assert_true(record_keys_update(p->peer_tools, p->cipher, &p->open));
}

static void say_update(struct records *p, bool request)
{
    records_say(p, HANDSHAKE, bytes_of(request ? "\x18\0\0\1\1" : "\x18\0\0\1\0", 5), 3);
    assert_true(record_keys_update(p->peer_tools, p->cipher, &p->seal));
}

static void write_x(struct records *p)
{
    size_t n;

    assert_int_equal(record_write(&p->ours, p->tools, &p->io, bytes_of("x", 1), &n), TLS_DONE);
}

static void hear_x(struct records *p)
{
    struct bytes text;

    assert_int_equal(records_hear(p, &text), DATA);
    assert_true(text.n == 1 && text.p[0] == 'x');
}

static void key_updates(void **state)
{
    struct records p;

    (void)state;
    for (int i = 0; i < 3; i++) {
        records_begin(&p, (enum record_cipher)i, true);
        say_update(&p, false);
        records_say(&p, DATA, bytes_of("a", 1), 0);
        assert_int_equal(records_read(&p), TLS_WANT_INPUT);
        write_x(&p); /* nobody asked for ours */
        hear_x(&p);
        say_update(&p, true);
        say_update(&p, true);
        records_say(&p, DATA, bytes_of("b", 1), 0);
        assert_int_equal(records_read(&p), TLS_WANT_INPUT);
        assert_int_equal(p.io.out_n, 0); /* a peer that only asks fills no buffers */
        write_x(&p);
        write_x(&p);
        hear_update(&p, false); /* one answer, before the next data */
        hear_x(&p);
        hear_x(&p);
        assert_memory_equal(p.plain, "ab", 2);
        assert_int_equal(p.ours.open.sequence, 1);
        records_end(&p);
    }
}

/* A storm between data, in one read: each costs its keys and nothing else. */
static void storms_of_key_updates(void **state)
{
    struct records p;

    (void)state;
    records_begin(&p, RECORD_AES_128_GCM, true);
    for (int i = 0; i < 2000; i++) {
        say_update(&p, true);
        if (i % RECORD_FRUITLESS_MAX == RECORD_FRUITLESS_MAX - 1)
            records_say(&p, DATA, bytes_of("x", 1), 0);
    }
    assert_int_equal(records_read(&p), TLS_WANT_INPUT);
    assert_int_equal(p.io.out_n, 0);
    write_x(&p);
    hear_update(&p, false);
    hear_x(&p);
    records_end(&p);
}

/* Room for a KeyUpdate and a byte, and not one less. */
static void a_key_update_waits_for_room(void **state)
{
    struct records p;
    size_t n;

    (void)state;
    records_begin(&p, RECORD_AES_128_GCM, true);
    say_update(&p, true);
    assert_int_equal(records_read(&p), TLS_WANT_INPUT);
    p.io.out_size = RECORD_HEADER + 5 + 1 + RECORD_TAG - 1;
    assert_int_equal(record_write(&p.ours, p.tools, &p.io, bytes_of("x", 1), &n), TLS_WANT_ROOM);
    assert_int_equal(p.io.out_n, 0);
    p.io.out_size++;
    assert_int_equal(record_write(&p.ours, p.tools, &p.io, bytes_of("x", 1), &n), TLS_WANT_ROOM);
    hear_update(&p, false);
    assert_int_equal(record_write(&p.ours, p.tools, &p.io, bytes_of("x", 1), &n), TLS_DONE);
    hear_x(&p);
    records_end(&p);
}

/* ---- limits ---- */

static void our_keys_change_before_their_limit(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        struct records p;
        records_begin(&p, (enum record_cipher)i, i % 2);
        uint64_t limit = record_limit((enum record_cipher)i);
        assert_true(limit >= 1U << 24 && (i == RECORD_CHACHA20_POLY1305 || limit <= 23726566));
        p.ours.seal.sequence = p.open.sequence = limit - 1;
        write_x(&p);
        write_x(&p);
        write_x(&p);
        hear_x(&p);
        hear_update(&p, false);
        hear_x(&p);
        hear_x(&p);
        assert_int_equal(p.ours.seal.sequence, 2);
        records_end(&p);
    }
}

/* Who uses its keys for too long is asked, once, for others: also where we only listen. */
static void the_peers_keys_too(void **state)
{
    struct records p;

    (void)state;
    records_begin(&p, RECORD_AES_256_GCM, true);
    p.ours.open.sequence = p.seal.sequence = record_limit(RECORD_AES_256_GCM) - 2;
    for (int i = 0; i < 6; i++) {
        records_say(&p, DATA, bytes_of("x", 1), 0);
        assert_int_equal(records_read(&p), TLS_WANT_INPUT);
        if (i == 1)
            hear_update(&p, true);
        assert_int_equal(p.io.out_n, 0);
    }
    write_x(&p);
    hear_x(&p);
    say_update(&p, false); /* it has heard, and may be asked again when that too is worn out */
    assert_int_equal(records_read(&p), TLS_WANT_INPUT);
    assert_int_equal(p.ours.open.sequence, 0);
    p.ours.open.sequence = p.seal.sequence = record_limit(RECORD_AES_256_GCM);
    write_x(&p);
    hear_update(&p, true);
    hear_x(&p);
    records_end(&p);
}

static void the_counters_never_wrap(void **state)
{
    struct records p;
    size_t n;

    (void)state;
    records_begin(&p, RECORD_CHACHA20_POLY1305, true);
    p.ours.seal.sequence = UINT64_MAX;
    assert_int_equal(record_write(&p.ours, p.tools, &p.io, bytes_of("x", 1), &n), TLS_FAILED);
    assert_int_equal(p.io.out_n, 0);
    assert_int_equal(p.ours.seal.sequence, UINT64_MAX);
    records_end(&p);

    records_begin(&p, RECORD_CHACHA20_POLY1305, true);
    p.ours.open.sequence = p.seal.sequence = UINT64_MAX - 1;
    records_say(&p, DATA, bytes_of("x", 1), 0);
    p.ours.asked = true;
    assert_int_equal(records_read(&p), TLS_WANT_INPUT); /* the last of them */
    assert_int_equal(p.ours.open.sequence, UINT64_MAX);
    memcpy(p.wire, "\x17\3\3\0\x12", 5);
    memset(p.wire + 5, 0, 0x12);
    p.wire_n = 5 + 0x12;
    p.seal.sequence = 0;
    assert_refused(&p, SSL_AD_INTERNAL_ERROR, "no number left");
    records_end(&p);
}

/* ---- secrets ---- */

static void nothing_stays_behind(void **state)
{
    static const struct record nothing;
    struct records p;
    uint8_t key[16];

    (void)state;
    records_begin(&p, RECORD_AES_128_GCM, true);
    memcpy(key, p.ours.seal.key, sizeof key);
    assert_int_not_equal(key[0] | key[1] | key[2] | key[3], 0);
    records_say(&p, DATA, bytes_of("x", 1), 0);
    p.wire_n -= 3; /* something is under way */
    assert_int_equal(records_read(&p), TLS_WANT_INPUT);
    assert_non_null(p.ours.body);
    record_fini(&p.ours, p.tools);
    assert_memory_equal(&p.ours, &nothing, sizeof nothing);
    records_end(&p);
}

static void small_enough(void **state)
{
    (void)state;
    assert_true(sizeof(struct record_keys) * 2 <= 208);
    assert_true(sizeof(struct record) <= 264);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(traces_of_rfc_8448),
        cmocka_unit_test(what_may_not_come),
        cmocka_unit_test(tickets),
        cmocka_unit_test(between_fragments),
        cmocka_unit_test(headers),
        cmocka_unit_test(sizes),
        cmocka_unit_test(nothing_but_padding),
        cmocka_unit_test(sends_records_of_its_size),
        cmocka_unit_test(writes_into_little_room),
        cmocka_unit_test(closing),
        cmocka_unit_test(alerts_end_the_session),
        cmocka_unit_test(an_end_without_words),
        cmocka_unit_test(every_byte_is_sealed),
        cmocka_unit_test(order_is_sealed),
        cmocka_unit_test(fruitless_records_are_bounded),
        cmocka_unit_test(key_updates),
        cmocka_unit_test(storms_of_key_updates),
        cmocka_unit_test(a_key_update_waits_for_room),
        cmocka_unit_test(our_keys_change_before_their_limit),
        cmocka_unit_test(the_peers_keys_too),
        cmocka_unit_test(the_counters_never_wrap),
        cmocka_unit_test(nothing_stays_behind),
        cmocka_unit_test(small_enough),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
