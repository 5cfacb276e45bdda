/* Records while OpenSSL runs out of memory: at each of its allocations in turn. */
#include "../unit.h"

#include "records.h"

#include <openssl/crypto.h>
#include <openssl/ssl.h>

static long until_failure; /* allocations that are still granted; -1: all of them */
static bool failed, for_good;

static bool granted(void)
{
    if (until_failure < 0 || until_failure-- > 0)
        return true;
    failed = true;
    until_failure = for_good ? 0 : -1;
    return false;
}

static void *allocate(size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return granted() ? malloc(size) : NULL;
}

static void *reallocate(void *p, size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return granted() ? realloc(p, size) : NULL;
}

static void release(void *p, const char *file, int line)
{
    (void)file;
    (void)line;
    free(p);
}

static void deny(long after, bool all)
{
    until_failure = after;
    for_good = all;
    failed = false;
}

/* A session that has said one record under its first keys, and owes the peer a KeyUpdate. */
static void begin_owing(struct records *p, enum record_cipher cipher)
{
    struct bytes text;
    size_t n;

    records_begin(p, cipher, true);
    assert_int_equal(record_write(&p->ours, p->tools, &p->io, bytes_of("first", 5), &n), TLS_DONE);
    assert_int_equal(records_hear(p, &text), DATA);
    records_say(p, HANDSHAKE, bytes_of("\x18\0\0\1\1", 5), 0);
    assert_int_equal(records_read(p), TLS_WANT_INPUT);
}

/* What was sent has the numbers that follow, under the keys that the peer expects: no number is used again. */
static void assert_in_order(struct records *p)
{
    struct bytes text;
    uint8_t type;

    while ((type = records_hear(p, &text)) == HANDSHAKE)
        assert_true(record_keys_update(p->peer_tools, p->cipher, &p->open));
    if (type == ALERT)
        assert_true(text.n == 2 && text.p[1] == SSL_AD_INTERNAL_ERROR);
    assert_int_equal(p->io.out_n, 0);
}

static void next_keys_cannot_be_made(void **state)
{
    int failures = 0;

    (void)state;
    for (int i = 0; i < 2 * RECORD_CIPHERS; i++) {
        failed = true;
        for (long after = 0; failed; after++) {
            struct records p;
            size_t n;
            begin_owing(&p, (enum record_cipher)(i / 2));
            deny(after, i % 2);
            enum tls_status status = record_write(&p.ours, p.tools, &p.io, bytes_of("second", 6), &n);
            until_failure = -1;
            failures += status == TLS_FAILED;
            assert_int_equal(status, failed ? TLS_FAILED : TLS_DONE);
            if (!failed) { /* that was all it wanted */
                struct bytes text;
                assert_int_equal(records_hear(&p, &text), HANDSHAKE);
                assert_true(record_keys_update(p.peer_tools, p.cipher, &p.open));
                assert_int_equal(records_hear(&p, &text), DATA);
            }
            assert_in_order(&p);
            records_end(&p);
        }
    }
    assert_true(failures >= 2 * RECORD_CIPHERS);
}

static void the_peers_next_keys_cannot_be_made(void **state)
{
    int failures = 0;

    (void)state;
    for (int i = 0; i < 2 * RECORD_CIPHERS; i++) {
        failed = true;
        for (long after = 0; failed; after++) {
            struct records p;
            begin_owing(&p, (enum record_cipher)(i / 2));
            assert_true(record_keys_update(p.peer_tools, p.cipher, &p.seal));
            records_say(&p, HANDSHAKE, bytes_of("\x18\0\0\1\0", 5), 0);
            deny(after, i % 2);
            enum tls_status status = records_read(&p);
            until_failure = -1;
            failures += status == TLS_FAILED;
            assert_int_equal(status, failed ? TLS_FAILED : TLS_WANT_INPUT);
            assert_in_order(&p);
            records_say(&p, DATA, bytes_of("x", 1), 0); /* nothing is opened with what there is of them */
            if (failed)
                assert_int_equal(records_read(&p), TLS_FAILED);
            assert_int_equal(p.plain_n, 0);
            records_end(&p);
        }
    }
    assert_true(failures >= 2 * RECORD_CIPHERS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(next_keys_cannot_be_made),
        cmocka_unit_test(the_peers_next_keys_cannot_be_made),
    };

    if (CRYPTO_set_mem_functions(allocate, reallocate, release) != 1)
        return 1;
    until_failure = -1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
