/* Cancel keys with a MAC. */
#include "../unit.h"

#include "auth/cancel_key.h"

static const struct bytes secret = { (const uint8_t *)"a secret of gates", 17 };

static void a_key_fits(void **state)
{
    uint8_t key[CANCEL_KEY_BYTES] = { 1, 2, 3 }, again[CANCEL_KEY_BYTES] = { 1, 2, 3 };

    (void)state;
    assert_int_equal(cancel_key_sign(secret, 4711, key), OK);
    assert_true(cancel_key_fits(secret, 4711, bytes_of(key, sizeof key)));
    assert_int_equal(cancel_key_sign(secret, 4711, again), OK);
    assert_memory_equal(key, again, sizeof key); /* every gate makes the same */
}

/* Computed by another program: HMAC-SHA-256 of "pgseal cancel key", the pid and the random half. */
static void as_openssl_computes_it(void **state)
{
    static const uint8_t mac[CANCEL_KEY_MAC] = { 0xf4, 0x34, 0x96, 0xb2, 0x3e, 0x27, 0xd4, 0xd3,
                                                 0xcd, 0x01, 0x11, 0xdc, 0x56, 0xc4, 0x7e, 0x55 };
    uint8_t key[CANCEL_KEY_BYTES] = { 0 };

    (void)state;
    assert_int_equal(cancel_key_sign(secret, 0x01020304, key), OK);
    assert_memory_equal(key + CANCEL_KEY_RANDOM, mac, sizeof mac);
}

static void nothing_else_does(void **state)
{
    static const struct bytes other = { (const uint8_t *)"b secret of gates", 17 };
    uint8_t key[CANCEL_KEY_BYTES + 1] = { 9 };

    (void)state;
    assert_int_equal(cancel_key_sign(secret, 4711, key), OK);
    assert_false(cancel_key_fits(secret, 4712, bytes_of(key, CANCEL_KEY_BYTES)));
    assert_false(cancel_key_fits(other, 4711, bytes_of(key, CANCEL_KEY_BYTES)));
    for (size_t n = 0; n < CANCEL_KEY_BYTES; n++)
        assert_false(cancel_key_fits(secret, 4711, bytes_of(key, n)));
    assert_false(cancel_key_fits(secret, 4711, bytes_of(key, CANCEL_KEY_BYTES + 1)));
    for (size_t bit = 0; bit < (size_t)CANCEL_KEY_BYTES * 8; bit++) {
        key[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_false(cancel_key_fits(secret, 4711, bytes_of(key, CANCEL_KEY_BYTES)));
        key[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_fits),
        cmocka_unit_test(as_openssl_computes_it),
        cmocka_unit_test(nothing_else_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
