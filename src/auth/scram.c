/* Keys of SCRAM-SHA-256 over OpenSSL's primitives. */
#include "auth/scram.h"

#include "auth/saslprep.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/secret.h"

#include <limits.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

void scram_keys_wipe(struct scram_keys *keys)
{
    wipe(keys, sizeof *keys);
}

void scram_keys_auto(struct scram_keys *keys)
{
    scram_keys_wipe(keys);
}

enum code scram_hash(struct bytes data, uint8_t out[SCRAM_KEY_BYTES])
{
    unsigned n = 0;

    if (EVP_Digest(data.p, data.n, out, &n, EVP_sha256(), NULL) != 1 || n != SCRAM_KEY_BYTES)
        return E_INTERNAL;
    return OK;
}

enum code scram_hmac(const uint8_t key[SCRAM_KEY_BYTES], struct bytes data, uint8_t out[SCRAM_KEY_BYTES])
{
    unsigned n = 0;

    if (!HMAC(EVP_sha256(), key, SCRAM_KEY_BYTES, data.p, data.n, out, &n) || n != SCRAM_KEY_BYTES)
        return E_INTERNAL;
    return OK;
}

static enum code derive(struct bytes prepared, struct bytes salt, uint32_t iterations,
                        uint8_t salted[SCRAM_KEY_BYTES])
{
    static const uint8_t nothing[1];

    if (PKCS5_PBKDF2_HMAC(prepared.n ? (const char *)prepared.p : "", (int)prepared.n,
                          salt.n ? salt.p : nothing, (int)salt.n, (int)iterations, EVP_sha256(),
                          SCRAM_KEY_BYTES, salted) != 1)
        return E_INTERNAL;
    return OK;
}

enum code scram_keys_derive(struct bytes password, struct bytes salt, uint32_t iterations,
                            struct scram_keys *out)
{
    uint8_t salted[SCRAM_KEY_BYTES];
    struct buf prepared = BUF_INIT(SASLPREP_MAX);

    CHECK(iterations >= 1 && iterations <= INT_MAX && salt.n <= INT_MAX);
    enum code code = saslprep(password, &prepared);
    if (code == OK)
        code = derive(buf_bytes(&prepared), salt, iterations, salted);
    if (code == OK)
        code = scram_hmac(salted, str_bytes(STR("Client Key")), out->client_key);
    if (code == OK)
        code = scram_hmac(salted, str_bytes(STR("Server Key")), out->server_key);
    wipe(salted, sizeof salted);
    buf_fini_secret(&prepared);
    return code;
}
