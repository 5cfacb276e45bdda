/* Cancel keys with a MAC. */
#include "auth/cancel_key.h"

#include "base/buf.h"
#include "base/check.h"
#include "base/secret.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

enum { SHA256_BYTES = 32, MESSAGE_MAX = 64 };

/* The words keep these MACs apart from whatever else the secret may be used for. */
static enum code mac_of(struct bytes secret, uint32_t pid, struct bytes random, uint8_t out[SHA256_BYTES])
{
    AUTO(buf) struct buf message = BUF_INIT(MESSAGE_MAX);
    const uint8_t pid_bytes[] = { (uint8_t)(pid >> 24), (uint8_t)(pid >> 16), (uint8_t)(pid >> 8),
                                  (uint8_t)pid };
    unsigned n = 0;

    buf_append(&message, str_bytes(STR("pgseal cancel key")));
    buf_append(&message, bytes_of(pid_bytes, sizeof pid_bytes));
    buf_append(&message, random);
    if (!buf_ok(&message) || !HMAC(EVP_sha256(), secret.p, (int)secret.n, message.p, message.n, out, &n) ||
        n != SHA256_BYTES)
        return E_INTERNAL;
    return OK;
}

enum code cancel_key_sign(struct bytes secret, uint32_t pid, uint8_t key[CANCEL_KEY_BYTES])
{
    uint8_t mac[SHA256_BYTES];

    TRY(mac_of(secret, pid, bytes_of(key, CANCEL_KEY_RANDOM), mac));
    memcpy(key + CANCEL_KEY_RANDOM, mac, CANCEL_KEY_MAC);
    wipe(mac, sizeof mac);
    return OK;
}

bool cancel_key_fits(struct bytes secret, uint32_t pid, struct bytes key)
{
    uint8_t mac[SHA256_BYTES];

    if (key.n != CANCEL_KEY_BYTES || mac_of(secret, pid, bytes_of(key.p, CANCEL_KEY_RANDOM), mac) != OK)
        return false;
    bool fits = secret_equal(bytes_of(mac, CANCEL_KEY_MAC), bytes_from(key, CANCEL_KEY_RANDOM));
    wipe(mac, sizeof mac);
    return fits;
}
