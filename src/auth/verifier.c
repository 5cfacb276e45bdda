/* Stored secrets: recognized as PostgreSQL recognizes them, made as it makes them. */
#include "auth/verifier.h"

#include "base/base64.h"
#include "base/check.h"
#include "base/env.h"
#include "base/secret.h"

#include <limits.h>
#include <openssl/evp.h>

void verifier_wipe(struct verifier *verifier)
{
    wipe(verifier, sizeof *verifier);
}

void verifier_auto(struct verifier *verifier)
{
    verifier_wipe(verifier);
}

static bool parse_md5(struct str secret, char out[MD5_HEX_CHARS])
{
    if (secret.n != MD5_TEXT_CHARS || !str_starts(secret, STR("md5")))
        return false;
    for (size_t i = 3; i < secret.n; i++) {
        char c = secret.p[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
            return false;
    }
    memcpy(out, secret.p + 3, MD5_HEX_CHARS);
    return true;
}

/* Cut the text up to `sep` off *rest; false when `sep` is missing. */
static bool cut(struct str *rest, char sep, struct str *out)
{
    size_t at = str_find(*rest, sep);

    if (at == rest->n)
        return false;
    *out = str_first(*rest, at);
    *rest = str_from(*rest, at + 1);
    return true;
}

static bool decode_key(struct str text, uint8_t out[SCRAM_KEY_BYTES])
{
    uint8_t key[BASE64_DECODED_MAX(64)];
    size_t n;
    bool ok = base64_decode(text, key, sizeof key, &n) && n == SCRAM_KEY_BYTES;

    if (ok)
        memcpy(out, key, SCRAM_KEY_BYTES);
    wipe(key, sizeof key);
    return ok;
}

/* Zero iterations, which PostgreSQL would take, no client accepts [choice: they are no secret at all]. */
static bool parse_scram(struct str secret, struct scram_verifier *out)
{
    uint8_t decoded[BASE64_DECODED_MAX(SCRAM_SALT_TEXT_MAX)];
    struct str scheme, iterations, salt, stored_key;
    size_t n;

    if (str_has_nul(secret) || !cut(&secret, '$', &scheme) || !cut(&secret, ':', &iterations) ||
        !cut(&secret, '$', &salt) || !cut(&secret, ':', &stored_key))
        return false;
    if (!str_is(scheme, SCRAM_MECHANISM) || !str_to_u32(iterations, 1, INT_MAX, &out->iterations))
        return false;
    if (salt.n > sizeof out->salt_text || !base64_decode(salt, decoded, sizeof decoded, &n))
        return false;
    memcpy(out->salt_text, salt.p, salt.n);
    out->salt_text_n = salt.n;
    return decode_key(stored_key, out->stored_key) && decode_key(secret, out->server_key);
}

void verifier_parse(struct str secret, struct verifier *out)
{
    memset(out, 0, sizeof *out);
    if (parse_md5(secret, out->md5_hex)) {
        out->type = VERIFIER_MD5;
    } else if (parse_scram(secret, &out->scram)) {
        out->type = VERIFIER_SCRAM;
    } else {
        verifier_wipe(out);
        out->type = VERIFIER_UNRECOGNIZED;
    }
}

static enum code set_salt(struct bytes salt, struct scram_verifier *out)
{
    AUTO(buf) struct buf text = BUF_INIT(sizeof out->salt_text);

    if (salt.n > BASE64_DECODED_MAX(SCRAM_SALT_TEXT_MAX) || !base64_encode(salt, &text))
        return E_LIMIT;
    if (text.n > 0)
        memcpy(out->salt_text, text.p, text.n);
    out->salt_text_n = text.n;
    return OK;
}

enum code scram_verifier_make(struct bytes password, struct bytes salt, uint32_t iterations,
                              struct scram_verifier *out)
{
    AUTO(scram_keys) struct scram_keys keys = { 0 };
    struct scram_verifier made = { .iterations = iterations };

    TRY(set_salt(salt, &made));
    TRY(scram_keys_derive(password, salt, iterations, &keys));
    TRY(scram_hash(bytes_of(keys.client_key, sizeof keys.client_key), made.stored_key));
    memcpy(made.server_key, keys.server_key, sizeof made.server_key);
    *out = made;
    wipe(&made, sizeof made);
    return OK;
}

enum code scram_verifier_make_random(struct bytes password, uint32_t iterations, const struct env *env,
                                     struct scram_verifier *out)
{
    uint8_t salt[SCRAM_SALT_BYTES];

    if (!env_random(env, salt, sizeof salt))
        return E_INTERNAL;
    return scram_verifier_make(password, bytes_of(salt, sizeof salt), iterations, out);
}

bool scram_verifier_print(const struct scram_verifier *verifier, struct buf *out)
{
    return buf_printf(out, SCRAM_MECHANISM "$%u:", verifier->iterations) &&
           buf_append_str(out, str_of(verifier->salt_text, verifier->salt_text_n)) &&
           buf_append_byte(out, '$') && base64_encode(bytes_of(verifier->stored_key, SCRAM_KEY_BYTES), out) &&
           buf_append_byte(out, ':') && base64_encode(bytes_of(verifier->server_key, SCRAM_KEY_BYTES), out);
}

enum code scram_mock_salt(struct str user, const uint8_t nonce[INSTALLATION_NONCE_BYTES],
                          uint8_t out[SCRAM_SALT_BYTES])
{
    uint8_t digest[SCRAM_KEY_BYTES];
    AUTO(buf) struct buf input = BUF_INIT(user.n + INSTALLATION_NONCE_BYTES);

    if (!buf_append_str(&input, user) || !buf_append(&input, bytes_of(nonce, INSTALLATION_NONCE_BYTES)))
        return E_NOMEM;
    TRY(scram_hash(buf_bytes(&input), digest));
    memcpy(out, digest, SCRAM_SALT_BYTES);
    return OK;
}

enum code scram_verifier_mock(struct str user, const uint8_t nonce[INSTALLATION_NONCE_BYTES],
                              uint32_t iterations, struct scram_verifier *out)
{
    uint8_t salt[SCRAM_SALT_BYTES];
    struct scram_verifier mock = { .iterations = iterations, .mock = true };

    TRY(scram_mock_salt(user, nonce, salt));
    TRY(set_salt(bytes_of(salt, sizeof salt), &mock));
    *out = mock;
    return OK;
}

static enum code check_md5(const struct verifier *verifier, struct str user, struct bytes password)
{
    char hex[MD5_HEX_CHARS];

    TRY(md5_secret_hex(password, user, hex));
    bool fits = secret_equal(bytes_of(hex, sizeof hex), bytes_of(verifier->md5_hex, MD5_HEX_CHARS));
    wipe(hex, sizeof hex);
    return fits ? OK : E_PASSWORD;
}

static enum code check_scram(const struct scram_verifier *verifier, struct bytes password)
{
    AUTO(scram_keys) struct scram_keys keys = { 0 };
    uint8_t salt[BASE64_DECODED_MAX(SCRAM_SALT_TEXT_MAX)];
    size_t n = 0;

    if (!base64_decode(str_of(verifier->salt_text, verifier->salt_text_n), salt, sizeof salt, &n))
        return E_PASSWORD;
    TRY(scram_keys_derive(password, bytes_of(salt, n), verifier->iterations, &keys));
    bool fits = secret_equal(bytes_of(keys.server_key, SCRAM_KEY_BYTES),
                             bytes_of(verifier->server_key, SCRAM_KEY_BYTES));
    return fits && !verifier->mock ? OK : E_PASSWORD;
}

enum code verifier_check_password(const struct verifier *verifier, struct str user, struct bytes password)
{
    switch (verifier->type) {
    case VERIFIER_MD5:
        return check_md5(verifier, user, password);
    case VERIFIER_SCRAM:
        return check_scram(&verifier->scram, password);
    case VERIFIER_UNRECOGNIZED:
        return E_PASSWORD;
    }
    UNREACHABLE();
}

uint32_t verifier_cost(const struct verifier *verifier)
{
    return verifier->type == VERIFIER_SCRAM ? verifier->scram.iterations : 0;
}

static enum code md5_hex(struct bytes first, struct bytes second, char out[MD5_HEX_CHARS])
{
    static const char digits[] = "0123456789abcdef";
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();

    if (!ctx)
        return E_NOMEM;
    bool ok = EVP_DigestInit_ex(ctx, EVP_md5(), NULL) == 1 && EVP_DigestUpdate(ctx, first.p, first.n) == 1 &&
              EVP_DigestUpdate(ctx, second.p, second.n) == 1 && EVP_DigestFinal_ex(ctx, digest, &n) == 1 &&
              n * 2 == MD5_HEX_CHARS;
    EVP_MD_CTX_free(ctx);
    if (!ok)
        return E_INTERNAL;
    for (size_t i = 0; i < n; i++) {
        out[2 * i] = digits[digest[i] >> 4];
        out[2 * i + 1] = digits[digest[i] & 15];
    }
    wipe(digest, sizeof digest);
    return OK;
}

enum code md5_secret_hex(struct bytes password, struct str user, char out[MD5_HEX_CHARS])
{
    return md5_hex(password, str_bytes(user), out);
}

enum code md5_response_hex(const char secret_hex[MD5_HEX_CHARS], const uint8_t salt[MD5_SALT_BYTES],
                           char out[MD5_HEX_CHARS])
{
    return md5_hex(bytes_of(secret_hex, MD5_HEX_CHARS), bytes_of(salt, MD5_SALT_BYTES), out);
}
