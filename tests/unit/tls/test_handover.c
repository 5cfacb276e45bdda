/* The same sessions through OpenSSL's records and ours: bytes, updates, closures, failures and facts. */
#include "../unit.h"

#include "engines.h"
#include "pki/cert.h"

#include <openssl/err.h>

static const char *const suites[] = { "TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384",
                                      "TLS_CHACHA20_POLY1305_SHA256" };

/* ours and theirs: the server's side is ours when `i` is even */
static struct engines_how mixed(size_t i)
{
    return (struct engines_how){ .server = i % 2 ? TLS_RECORDS_OPENSSL : TLS_RECORDS_OWN,
                                 .client = i % 2 ? TLS_RECORDS_OWN : TLS_RECORDS_OPENSSL,
                                 .suites = suites[i / 2 % COUNT_OF(suites)] };
}
enum { MIXED = 6 };

static struct half *ours_of(struct engines *p, size_t i)
{
    return i % 2 ? &p->client : &p->server;
}

static struct half *theirs_of(struct engines *p, size_t i)
{
    return i % 2 ? &p->server : &p->client;
}

static void say(struct half *half, struct bytes text)
{
    size_t n;
    struct err e;

    assert_int_equal(tls_engine_write(half->engine, &half->io, text, &n, &e), TLS_DONE);
    assert_int_equal(n, text.n);
}

static void assert_heard(struct half *half, struct bytes text)
{
    assert_int_equal(half->plain_n, text.n);
    assert_memory_equal(half->plain, text.p, text.n);
    half->plain_n = 0;
}

/* ---- facts ---- */

static void the_facts_stay(void **state)
{
    (void)state;
    for (size_t i = 0; i < MIXED; i++) {
        struct engines p;
        struct engines_how how = mixed(i);
        how.with_cert = true;
        engines_open(&p, &how);
        struct tls_engine *ours = ours_of(&p, i)->engine, *theirs = theirs_of(&p, i)->engine;
        assert_null(ours->ssl);
        assert_null(ours->handover);
        assert_non_null(theirs->ssl);
        assert_string_equal(tls_engine_version(ours), "TLSv1.3");
        assert_string_equal(tls_engine_cipher(ours), suites[i / 2]);
        assert_string_equal(tls_engine_cipher(ours), tls_engine_cipher(theirs));
        assert_string_equal(tls_engine_group(ours), tls_engine_group(theirs));
        assert_true(tls_engine_group(ours)[0]);
        assert_int_equal(tls_engine_bits(ours), tls_engine_bits(theirs));
        assert_string_equal(tls_engine_sni(ours), "db.example");
        assert_true(tls_engine_alpn(ours) && !tls_engine_is_cancel(ours));
        if (i % 2)
            assert_true(tls_engine_cert_requested(ours) && tls_engine_cert_sent(ours));
        AUTO(cert) X509 *before = tls_engine_peer(ours);
        assert_non_null(before);
        tls_engine_relax(ours);
        AUTO(cert) X509 *after = tls_engine_peer(ours);
        if (i % 2)
            assert_null(after); /* nobody asks for a server's certificate by now */
        else
            assert_int_equal(X509_cmp(before, after), 0);
        engines_end(&p);
    }
}

static void no_certificate(void **state)
{
    struct engines p;
    struct engines_how how = mixed(0);

    (void)state;
    engines_open(&p, &how);
    assert_null(tls_engine_peer(p.server.engine));
    tls_engine_relax(p.server.engine);
    assert_null(tls_engine_peer(p.server.engine));
    engines_end(&p);
}

/* What is not ours stays OpenSSL's, and works. */
static void what_stays_with_openssl(void **state)
{
    static const struct engines_how rows[] = {
        { .version = TLS_1_2, .server = TLS_RECORDS_OWN, .client = TLS_RECORDS_OWN },
        { .suites = "TLS_AES_128_CCM_SHA256", .server = TLS_RECORDS_OWN, .client = TLS_RECORDS_OWN },
        { .server = TLS_RECORDS_OPENSSL, .client = TLS_RECORDS_OPENSSL },
    };
    struct engines p;
    struct err e;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        engines_open(&p, &rows[i]);
        assert_non_null(p.server.engine->ssl);
        assert_non_null(p.client.engine->ssl);
        assert_null(p.server.engine->handover);
        say(&p.client, bytes_of("ping", 4));
        assert_int_equal(engines_pass(&p.client, &p.server, &e), TLS_WANT_INPUT);
        assert_heard(&p.server, bytes_of("ping", 4));
        engines_end(&p);
    }
}

/* ---- the key log ---- */

static size_t count_lines(const char *path, const char *label)
{
    char line[512];
    size_t n = 0;
    FILE *file = fopen(path, "r");

    assert_non_null(file);
    while (fgets(line, sizeof line, file))
        n += strncmp(line, label, strlen(label)) == 0;
    (void)fclose(file);
    return n;
}

static void sslkeylogfile_goes_on(void **state)
{
    struct engines p;
    struct engines_how how = mixed(1);
    char path[128];

    (void)state;
    (void)snprintf(path, sizeof path, "%s/keylog", engines_dir);
    how.keylog = path;
    engines_open(&p, &how);
    assert_null(p.client.engine->ssl);
    assert_int_equal(count_lines(path, "CLIENT_TRAFFIC_SECRET_0 "), 1);
    assert_int_equal(count_lines(path, "SERVER_TRAFFIC_SECRET_0 "), 1);
    assert_int_equal(count_lines(path, "CLIENT_HANDSHAKE_TRAFFIC_SECRET "), 1);
    assert_int_equal(count_lines(path, "EXPORTER_SECRET "), 1);
    engines_end(&p);
    (void)unlink(path);
}

/* ---- bytes ---- */

/* What the client says right behind its Finished reaches the server in one piece with that, or cut anywhere. */
static void data_behind_finished(void **state)
{
    struct engines p;
    struct engines_how how = mixed(0);
    struct err e;

    (void)state;
    engines_begin(&p, &how);
    say(&p.client, bytes_of("hello", 5));
    size_t size = p.client.io.out_n;
    engines_end(&p);
    for (size_t cut = 1; cut <= size; cut++) {
        enum tls_status status = TLS_WANT_INPUT;
        engines_begin(&p, &how);
        say(&p.client, bytes_of("hello", 5));
        for (int part = 0; part < 2; part++) {
            p.server.io.in = part ? bytes_of(p.client.out + cut, size - cut) : bytes_of(p.client.out, cut);
            if (status != TLS_DONE)
                status = tls_engine_handshake(p.server.engine, &p.server.io, &e);
            if (status == TLS_DONE)
                assert_int_equal(engines_read(&p.server, &e), TLS_WANT_INPUT);
        }
        assert_heard(&p.server, bytes_of("hello", 5));
        engines_end(&p);
    }
}

/* Two records, joined, and cut in two at every byte. */
static void every_cut(struct half *from, struct half *to)
{
    static const char text[] = "select 1;a longer text that fills more than one block of the cipher";
    struct err e;
    size_t size = 1;

    for (size_t cut = 1; cut <= size; cut++) {
        from->io.out_n = 0;
        say(from, bytes_of(text, 9));
        say(from, bytes_of(text + 9, sizeof text - 9));
        size = from->io.out_n;
        to->io.in = bytes_of(from->out, cut);
        assert_int_equal(engines_read(to, &e), TLS_WANT_INPUT);
        to->io.in = bytes_of(from->out + cut, size - cut);
        if (cut < size)
            assert_int_equal(engines_read(to, &e), TLS_WANT_INPUT);
        assert_heard(to, bytes_of(text, sizeof text));
    }
    from->io.out_n = 0;
    say(from, bytes_of(text, sizeof text)); /* byte by byte */
    for (size_t i = 0; i < from->io.out_n; i++) {
        to->io.in = bytes_of(from->out + i, 1);
        assert_int_equal(engines_read(to, &e), TLS_WANT_INPUT);
    }
    assert_heard(to, bytes_of(text, sizeof text));
    from->io.out_n = 0;
}

static void split_and_joined(void **state)
{
    (void)state;
    for (size_t i = 0; i < MIXED; i++) {
        struct engines p;
        struct engines_how how = mixed(i);
        engines_open(&p, &how);
        every_cut(&p.server, &p.client);
        p.server.io.out_n = 0;
        every_cut(&p.client, &p.server);
        engines_end(&p);
    }
}

static void much(void **state)
{
    static uint8_t text[200 * 1024];
    struct err e;

    (void)state;
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (uint8_t)(i * 31 + (i >> 9));
    for (size_t i = 0; i < MIXED; i++)
        for (int updates = 0; updates < 2; updates++) {
            struct engines p;
            struct engines_how how = mixed(i);
            engines_open(&p, &how);
            for (size_t n = 1; n <= sizeof text; n = n * 3 + 1) {
                struct half *theirs = theirs_of(&p, i), *ours = ours_of(&p, i);
                if (updates)
                    assert_int_equal(SSL_key_update(theirs->engine->ssl, n % 2
                                                                             ? SSL_KEY_UPDATE_REQUESTED
                                                                             : SSL_KEY_UPDATE_NOT_REQUESTED),
                                     1);
                say(theirs, bytes_of(text, n));
                assert_int_equal(engines_pass(theirs, ours, &e), TLS_WANT_INPUT);
                assert_heard(ours, bytes_of(text, n));
                say(ours, bytes_of(text, n));
                assert_int_equal(engines_pass(ours, theirs, &e), TLS_WANT_INPUT);
                assert_heard(theirs, bytes_of(text, n));
            }
            engines_end(&p);
        }
}

/* A client's max_fragment_length binds both: [src: RFC 6066 §4] */
static void max_fragment_length(void **state)
{
    static uint8_t text[3000];
    struct engines p;
    struct err e;

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct engines_how how = mixed(i);
        how.max_fragment = TLSEXT_max_fragment_length_1024;
        engines_open(&p, &how);
        struct half *ours = ours_of(&p, i), *theirs = theirs_of(&p, i);
        say(ours, bytes_of(text, sizeof text));
        assert_int_equal((ours->out[3] << 8 | ours->out[4]) - 17, 1024);
        assert_int_equal(engines_pass(ours, theirs, &e), TLS_WANT_INPUT);
        assert_heard(theirs, bytes_of(text, sizeof text));
        say(theirs, bytes_of(text, sizeof text));
        assert_int_equal(engines_pass(theirs, ours, &e), TLS_WANT_INPUT);
        assert_heard(ours, bytes_of(text, sizeof text));
        engines_end(&p);
    }
}

/* OpenSSL pads when it is told to. */
static void padding(void **state)
{
    struct err e;

    (void)state;
    for (size_t i = 0; i < MIXED; i++) {
        struct engines p;
        struct engines_how how = mixed(i);
        engines_open(&p, &how);
        assert_int_equal(SSL_set_block_padding(theirs_of(&p, i)->engine->ssl, 512), 1);
        say(theirs_of(&p, i), bytes_of("padded", 6));
        assert_int_equal(engines_pass(theirs_of(&p, i), ours_of(&p, i), &e), TLS_WANT_INPUT);
        assert_heard(ours_of(&p, i), bytes_of("padded", 6));
        engines_end(&p);
    }
}

/* An OpenSSL server with tickets on is an upstream's ordinary one. */
static void tickets_of_openssl(void **state)
{
    struct engines p;
    struct engines_how how = mixed(1);
    struct err e;

    (void)state;
    engines_open(&p, &how);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(SSL_new_session_ticket(p.server.engine->ssl), 1);
        say(&p.server, bytes_of("x", 1));
    }
    assert_int_equal(engines_pass(&p.server, &p.client, &e), TLS_WANT_INPUT);
    assert_heard(&p.client, bytes_of("xxx", 3));
    engines_end(&p);
}

/* ---- ends ---- */

static void closures(void **state)
{
    struct err e;

    (void)state;
    for (size_t i = 0; i < MIXED; i++)
        for (int first = 0; first < 2; first++) {
            struct engines p;
            struct engines_how how = mixed(i);
            engines_open(&p, &how);
            struct half *a = first ? ours_of(&p, i) : theirs_of(&p, i);
            struct half *b = first ? theirs_of(&p, i) : ours_of(&p, i);
            say(a, bytes_of("last", 4));
            tls_engine_close(a->engine, &a->io);
            assert_int_equal(engines_pass(a, b, &e), TLS_CLOSED);
            assert_heard(b, bytes_of("last", 4));
            say(b, bytes_of("answer", 6)); /* half closed: the other way goes on */
            assert_int_equal(engines_pass(b, a, &e), TLS_WANT_INPUT);
            assert_heard(a, bytes_of("answer", 6));
            tls_engine_close(b->engine, &b->io);
            assert_int_equal(engines_pass(b, a, &e), TLS_CLOSED);
            engines_end(&p);
        }
}

/* What goes wrong is told in the same words, with the same alert, whoever reads the records. */
static void failures_in_the_same_words(void **state)
{
    struct err e[2], other;

    (void)state;
    for (int kind = 0; kind < 4; kind++) {
        int sent[2], received[2];
        for (size_t i = 0; i < 2; i++) {
            const struct engines_how how = { .server = i ? TLS_RECORDS_OWN : TLS_RECORDS_OPENSSL,
                                             .client = TLS_RECORDS_OPENSSL };
            struct tls_handshake_facts facts;
            struct engines p;
            engines_open(&p, &how);
            say(&p.client, bytes_of("text", 4));
            if (kind == 0) { /* a byte is wrong */
                p.client.out[9] ^= 1;
            } else if (kind == 1) { /* cut off */
                p.client.io.out_n = 7;
                p.server.io.eof = true;
            } else if (kind == 2) { /* too long */
                p.client.out[3] = 0x41;
                p.client.out[4] = 0x01;
            } else { /* the other side fails first */
                p.client.io.in = bytes_of("\x17\3\3\0\x11qqqqqqqqqqqqqqqqq", 22);
                p.client.io.out_n = 0;
                assert_int_equal(engines_read(&p.client, &other), TLS_FAILED);
            }
            assert_int_equal(engines_pass(&p.client, &p.server, &e[i]), TLS_FAILED);
            tls_engine_facts(p.server.engine, &facts);
            sent[i] = facts.alert_sent;
            received[i] = facts.alert_received;
            if (kind < 3) /* the peer understands our alert */
                assert_int_equal(engines_pass(&p.server, &p.client, &other), TLS_FAILED);
            engines_end(&p);
        }
        assert_string_equal(e[0].message, e[1].message);
        assert_int_equal(sent[0], sent[1]);
        assert_int_equal(received[0], received[1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_facts_stay),
        cmocka_unit_test(no_certificate),
        cmocka_unit_test(what_stays_with_openssl),
        cmocka_unit_test(sslkeylogfile_goes_on),
        cmocka_unit_test(data_behind_finished),
        cmocka_unit_test(split_and_joined),
        cmocka_unit_test(much),
        cmocka_unit_test(max_fragment_length),
        cmocka_unit_test(padding),
        cmocka_unit_test(tickets_of_openssl),
        cmocka_unit_test(closures),
        cmocka_unit_test(failures_in_the_same_words),
    };

    return cmocka_run_group_tests(tests, engines_set_up, engines_tear_down);
}
