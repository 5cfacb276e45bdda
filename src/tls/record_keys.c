/*
 * Keys of records, over EVP.
 *
 * A context that has a cipher but no session costs a key schedule for each step, which is less than what OpenSSL's
 * own records cost, and idle sessions then need none. Contexts are given their cipher once: naming it again would
 * count a reference that all threads share.
 */
#include "tls/record_keys.h"

#include "base/check.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <stdlib.h>

enum way { WAY_OPEN, WAY_SEAL };
enum hash { HASH_SHA256, HASH_SHA384 };

static const struct {
    const char *name;
    size_t key_size;
    enum hash hash;
    uint64_t limit;
} ciphers[RECORD_CIPHERS] = {
    /* 2^24.5 records of full size; the ways of ChaCha20-Poly1305 end with the counter */
    [RECORD_AES_128_GCM] = { "AES-128-GCM", 16, HASH_SHA256, UINT64_C(1) << 24 },
    [RECORD_AES_256_GCM] = { "AES-256-GCM", 32, HASH_SHA384, UINT64_C(1) << 24 },
    [RECORD_CHACHA20_POLY1305] = { "ChaCha20-Poly1305", 32, HASH_SHA256, UINT64_C(1) << 60 },
};

static const struct {
    const char *name;
    size_t size;
} hashes[] = { [HASH_SHA256] = { "SHA256", 32 }, [HASH_SHA384] = { "SHA384", 48 } };

struct record_tools {
    EVP_CIPHER_CTX *aead[RECORD_CIPHERS][2];
    EVP_CIPHER_CTX *keyed[2]; /* those of them that the step under way works with */
    EVP_MAC_CTX *hmac[COUNT_OF(hashes)];
};

struct record_tools *record_tools_new(void)
{
    return calloc(1, sizeof(struct record_tools));
}

void record_tools_free(struct record_tools *tools)
{
    if (!tools)
        return;
    for (size_t i = 0; i < RECORD_CIPHERS; i++) {
        EVP_CIPHER_CTX_free(tools->aead[i][WAY_OPEN]);
        EVP_CIPHER_CTX_free(tools->aead[i][WAY_SEAL]);
    }
    for (size_t i = 0; i < COUNT_OF(hashes); i++)
        EVP_MAC_CTX_free(tools->hmac[i]);
    free(tools);
}

static EVP_CIPHER_CTX *aead_of(struct record_tools *tools, enum record_cipher cipher, enum way way)
{
    EVP_CIPHER_CTX **place = &tools->aead[cipher][way];

    if (*place)
        return *place;
    EVP_CIPHER *kind = EVP_CIPHER_fetch(NULL, ciphers[cipher].name, NULL);
    EVP_CIPHER_CTX *ctx = kind ? EVP_CIPHER_CTX_new() : NULL;
    if (ctx && EVP_CipherInit_ex(ctx, kind, NULL, NULL, NULL, way == WAY_SEAL) == 1)
        *place = TAKE(ctx);
    EVP_CIPHER_CTX_free(ctx);
    EVP_CIPHER_free(kind); /* the context holds it */
    return *place;
}

static EVP_MAC_CTX *hmac_of(struct record_tools *tools, enum hash hash)
{
    EVP_MAC_CTX **place = &tools->hmac[hash];
    char name[8];

    if (*place)
        return *place;
    memcpy(name, hashes[hash].name, strlen(hashes[hash].name) + 1);
    const OSSL_PARAM params[] = { OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, name, 0),
                                  OSSL_PARAM_construct_end() };
    EVP_MAC *kind = EVP_MAC_fetch(NULL, "HMAC", NULL);
    EVP_MAC_CTX *ctx = kind ? EVP_MAC_CTX_new(kind) : NULL;
    if (ctx && EVP_MAC_CTX_set_params(ctx, params) == 1)
        *place = TAKE(ctx);
    EVP_MAC_CTX_free(ctx);
    EVP_MAC_free(kind);
    return *place;
}

void record_tools_forget(struct record_tools *tools, enum record_cipher cipher)
{
    static const uint8_t nothing[RECORD_SECRET_MAX];
    EVP_MAC_CTX *hmac = tools->hmac[ciphers[cipher].hash];

    for (size_t way = WAY_OPEN; way <= WAY_SEAL; way++)
        if (tools->aead[cipher][way])
            (void)EVP_CipherInit_ex(tools->aead[cipher][way], NULL, NULL, nothing, nothing, -1);
    if (hmac)
        (void)EVP_MAC_init(hmac, nothing, hashes[ciphers[cipher].hash].size, NULL);
}

size_t record_secret_size(enum record_cipher cipher)
{
    return hashes[ciphers[cipher].hash].size;
}

uint64_t record_limit(enum record_cipher cipher)
{
    return ciphers[cipher].limit;
}

/* ---- the key schedule ---- */

/* HKDF-Expand-Label with an empty context, for at most one block of its hash [src: RFC 8446 §7.1, RFC 5869 §2.3] */
static bool expand(EVP_MAC_CTX *hmac, struct bytes secret, struct str label, uint8_t *out, size_t size)
{
    uint8_t info[32], block[EVP_MAX_MD_SIZE];
    size_t n = 0;

    CHECK(label.n <= sizeof info - 5 && size <= secret.n);
    info[n++] = 0;
    info[n++] = (uint8_t)size;
    info[n++] = (uint8_t)label.n;
    memcpy(info + n, label.p, label.n);
    n += label.n;
    info[n++] = 0; /* no context */
    info[n++] = 1; /* the first block */
    bool ok = EVP_MAC_init(hmac, secret.p, secret.n, NULL) == 1 && EVP_MAC_update(hmac, info, n) == 1 &&
              EVP_MAC_final(hmac, block, &n, sizeof block) == 1 && n >= size;
    if (ok)
        memcpy(out, block, size);
    OPENSSL_cleanse(block, sizeof block);
    return ok;
}

static bool derive(struct record_tools *tools, enum record_cipher cipher, struct record_keys *keys)
{
    EVP_MAC_CTX *hmac = hmac_of(tools, ciphers[cipher].hash);
    struct bytes secret = bytes_of(keys->secret, record_secret_size(cipher));

    keys->sequence = 0;
    bool ok = hmac && expand(hmac, secret, STR("tls13 key"), keys->key, ciphers[cipher].key_size) &&
              expand(hmac, secret, STR("tls13 iv"), keys->iv, RECORD_IV);
    ERR_clear_error();
    return ok;
}

bool record_keys_begin(struct record_tools *tools, enum record_cipher cipher, struct bytes secret,
                       struct record_keys *out)
{
    CHECK(secret.n == record_secret_size(cipher));
    memcpy(out->secret, secret.p, secret.n);
    return derive(tools, cipher, out);
}

bool record_keys_update(struct record_tools *tools, enum record_cipher cipher, struct record_keys *keys)
{
    EVP_MAC_CTX *hmac = hmac_of(tools, ciphers[cipher].hash);
    size_t n = record_secret_size(cipher);

    return hmac && expand(hmac, bytes_of(keys->secret, n), STR("tls13 traffic upd"), keys->secret, n) &&
           derive(tools, cipher, keys);
}

/* ---- records ---- */

static bool key_with(struct record_tools *tools, enum record_cipher cipher, const struct record_keys *keys,
                     enum way way)
{
    EVP_CIPHER_CTX *ctx = aead_of(tools, cipher, way);
    bool ok = ctx && EVP_CipherInit_ex(ctx, NULL, NULL, keys->key, NULL, -1) == 1;

    tools->keyed[way] = ok ? ctx : NULL;
    if (!ok)
        ERR_clear_error();
    return ok;
}

bool record_keys_seal_with(struct record_tools *tools, enum record_cipher cipher,
                           const struct record_keys *keys)
{
    return key_with(tools, cipher, keys, WAY_SEAL);
}

bool record_keys_open_with(struct record_tools *tools, enum record_cipher cipher,
                           const struct record_keys *keys)
{
    return key_with(tools, cipher, keys, WAY_OPEN);
}

/* The IV and the number of the record [src: RFC 8446 §5.3] */
static void nonce_of(const struct record_keys *keys, uint8_t out[RECORD_IV])
{
    memcpy(out, keys->iv, RECORD_IV);
    for (unsigned i = 0; i < 8; i++)
        out[RECORD_IV - 1 - i] ^= (uint8_t)(keys->sequence >> (8 * i));
}

bool record_seal(struct record_tools *tools, struct record_keys *keys, struct bytes content, uint8_t type,
                 uint8_t *out)
{
    EVP_CIPHER_CTX *ctx = tools->keyed[WAY_SEAL];
    size_t body = content.n + 1 + RECORD_TAG;
    const uint8_t header[RECORD_HEADER] = { 23, 3, 3, (uint8_t)(body >> 8), (uint8_t)body };
    uint8_t nonce[RECORD_IV];
    int n;

    if (!ctx || keys->sequence == UINT64_MAX)
        return false;
    nonce_of(keys, nonce);
    memcpy(out, header, sizeof header);
    out += sizeof header;
    bool ok = EVP_EncryptInit_ex(ctx, NULL, NULL, NULL, nonce) == 1 &&
              EVP_EncryptUpdate(ctx, NULL, &n, header, sizeof header) == 1 &&
              (content.n == 0 || EVP_EncryptUpdate(ctx, out, &n, content.p, (int)content.n) == 1) &&
              EVP_EncryptUpdate(ctx, out + content.n, &n, &type, 1) == 1 &&
              EVP_EncryptFinal_ex(ctx, out + content.n + 1, &n) == 1 &&
              EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, RECORD_TAG, out + content.n + 1) == 1;
    if (ok)
        keys->sequence++;
    else
        ERR_clear_error();
    return ok;
}

bool record_open(struct record_tools *tools, struct record_keys *keys, const uint8_t header[RECORD_HEADER],
                 struct bytes body, uint8_t *out)
{
    EVP_CIPHER_CTX *ctx = tools->keyed[WAY_OPEN];
    size_t size = body.n - RECORD_TAG;
    uint8_t nonce[RECORD_IV];
    int n;

    if (!ctx || keys->sequence == UINT64_MAX)
        return false;
    nonce_of(keys, nonce);
    bool ok = EVP_DecryptInit_ex(ctx, NULL, NULL, NULL, nonce) == 1 &&
              EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, RECORD_TAG,
                                  (uint8_t *)(uintptr_t)(body.p + size)) == 1 &&
              EVP_DecryptUpdate(ctx, NULL, &n, header, RECORD_HEADER) == 1 &&
              (size == 0 || EVP_DecryptUpdate(ctx, out, &n, body.p, (int)size) == 1) &&
              EVP_DecryptFinal_ex(ctx, out + size, &n) == 1;
    if (ok) {
        keys->sequence++;
    } else {
        OPENSSL_cleanse(out, size);
        ERR_clear_error();
    }
    return ok;
}
