/*
 * Private keys.
 *
 * A passphrase is asked only when OpenSSL meets an encrypted block; the callback carries the failure of
 * asking out past OpenSSL, which would only say "bad password read".
 */
#include "pki/key.h"

#include "base/buf.h"
#include "base/check.h"
#include "os/files.h"
#include "pki/ossl.h"

#include <limits.h>
#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdio.h>

enum {
    KEY_FILE_LIMIT = 1 << 20,
    PBKDF2_ITERATIONS = 600000, /* [choice: OWASP's figure for PBKDF2 with HMAC-SHA-256; 0.2 s per load] */
    PBKDF2_SALT_SIZE = 16,
    P12_ITERATIONS = 100000 /* the MAC and both bags each take that many, in Java, too */
};

static const struct {
    const char *name;
    const char *text; /* what key_text() says */
    const char *type;
    const char *curve;
    size_t bits;
} kinds[] = {
    [KEY_P256] = { "ecdsa-p256", "ECDSA P-256", "EC", "P-256", 256 },
    [KEY_P384] = { "ecdsa-p384", "ECDSA P-384", "EC", "P-384", 384 },
    [KEY_RSA_2048] = { "rsa-2048", "RSA 2048", "RSA", NULL, 2048 },
    [KEY_RSA_3072] = { "rsa-3072", "RSA 3072", "RSA", NULL, 3072 },
    [KEY_RSA_4096] = { "rsa-4096", "RSA 4096", "RSA", NULL, 4096 },
    [KEY_ED25519] = { "ed25519", "Ed25519", "ED25519", NULL, 253 },
};

const char *key_kind_name(enum key_kind kind)
{
    return kinds[kind].name;
}

bool key_kind_from_name(struct str name, enum key_kind *out)
{
    if (str_is(name, "ecdsa"))
        name = STR("ecdsa-p256");
    if (str_is(name, "rsa"))
        name = STR("rsa-3072");
    for (size_t i = 0; i < COUNT_OF(kinds); i++)
        if (str_is(name, kinds[i].name)) {
            *out = (enum key_kind)i;
            return true;
        }
    return false;
}

bool key_kind_of(const EVP_PKEY *key, enum key_kind *out)
{
    char text[KEY_TEXT_MAX];

    key_text(key, text);
    for (size_t i = 0; i < COUNT_OF(kinds); i++)
        if (str_is(str_c(text), kinds[i].text)) {
            *out = (enum key_kind)i;
            return true;
        }
    return false;
}

static bool contains(struct str text, struct str part)
{
    return text.n > 0 && memmem(text.p, text.n, part.p, part.n) != NULL;
}

bool key_is_encrypted(struct str pem)
{
    return contains(pem, STR("-----BEGIN ENCRYPTED PRIVATE KEY-----")) ||
           contains(pem, STR("Proc-Type: 4,ENCRYPTED"));
}

enum code key_generate(enum key_kind kind, EVP_PKEY **out, struct err *e)
{
    EVP_PKEY *key = NULL;

    if (kinds[kind].curve)
        key = EVP_PKEY_Q_keygen(NULL, NULL, kinds[kind].type, kinds[kind].curve);
    else if (kind == KEY_ED25519)
        key = EVP_PKEY_Q_keygen(NULL, NULL, kinds[kind].type);
    else
        key = EVP_PKEY_Q_keygen(NULL, NULL, kinds[kind].type, kinds[kind].bits);
    if (!key)
        return ossl_fail(e, "generate private key");
    *out = key;
    return OK;
}

void key_free(EVP_PKEY *key)
{
    EVP_PKEY_free(key);
}

void key_auto(EVP_PKEY **key)
{
    key_free(*key);
}

/* ---- reading ---- */

struct asked {
    const struct key_passphrase *passphrase;
    bool encrypted;
    bool done; /* OpenSSL may call more than once per key; a person or a command is asked once */
    enum code code;
    struct err err;
    struct secret secret;
};

static void asked_auto(struct asked *asked)
{
    secret_wipe(&asked->secret);
}

static int give_passphrase(char *out, int size, int writing, void *ctx)
{
    struct asked *asked = ctx;

    (void)writing;
    asked->encrypted = true;
    if (!asked->passphrase)
        return -1;
    if (!asked->done)
        asked->code = asked->passphrase->get(asked->passphrase->ctx, &asked->secret, &asked->err);
    asked->done = true;
    if (asked->code != OK || size < 0 || asked->secret.n > (size_t)size)
        return -1;
    memcpy(out, asked->secret.p, asked->secret.n);
    return (int)asked->secret.n;
}

enum code key_from_pem(struct bytes pem, const char *file, const struct key_passphrase *passphrase,
                       EVP_PKEY **out, struct err *e)
{
    AUTO(bio) BIO *bio = ossl_bio_over(pem);
    AUTO(asked) struct asked asked = { .passphrase = passphrase };
    char reason[OSSL_REASON_MAX];

    if (!bio)
        return err_set(e, E_NOMEM, "out of memory");
    ERR_clear_error();
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, give_passphrase, &asked);
    if (key) {
        *out = key;
        return OK;
    }
    if (asked.code != OK) {
        ERR_clear_error();
        if (e)
            *e = asked.err;
        return asked.code;
    }
    if (asked.encrypted && !passphrase) {
        ERR_clear_error();
        return err_set(e, E_CONFIG, "private key file \"%s\" requires a passphrase", file);
    }
    return err_set(e, E_CONFIG, "could not load private key file \"%s\": %s", file, ossl_reason(reason));
}

enum code key_load(const char *path, const struct key_passphrase *passphrase, EVP_PKEY **out, struct err *e)
{
    struct buf pem = BUF_INIT(KEY_FILE_LIMIT);

    TRY(os_check_key_file(path, e));
    enum code code = os_read_file(path, &pem, e);
    if (code == OK)
        code = key_from_pem(buf_bytes(&pem), path, passphrase, out, e);
    buf_fini_secret(&pem);
    return code;
}

/* ---- writing ---- */

static enum code bio_to_buf(BIO *bio, struct buf *out, struct err *e)
{
    return buf_append(out, ossl_bio_bytes(bio)) ? OK : err_set(e, E_NOMEM, "out of memory");
}

static X509_SIG *encrypt_key(PKCS8_PRIV_KEY_INFO *info, const struct secret *passphrase)
{
    X509_ALGOR *algorithm = PKCS5_pbe2_set_iv(EVP_aes_256_cbc(), PBKDF2_ITERATIONS, NULL, PBKDF2_SALT_SIZE,
                                              NULL, NID_hmacWithSHA256);
    X509_SIG *sealed = NULL;

    if (algorithm)
        sealed = PKCS8_set0_pbe((const char *)passphrase->p, (int)passphrase->n, info, algorithm);
    if (!sealed)
        X509_ALGOR_free(algorithm);
    return sealed;
}

static enum code write_pkcs8(const EVP_PKEY *key, const struct secret *passphrase, bool pem, struct buf *out,
                             struct err *e)
{
    AUTO(bio) BIO *bio = BIO_new(BIO_s_secmem());
    PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(key);
    X509_SIG *sealed = info && passphrase ? encrypt_key(info, passphrase) : NULL;
    bool ok = bio && info && (!passphrase || sealed);

    if (ok && passphrase)
        ok = pem ? PEM_write_bio_PKCS8(bio, sealed) : i2d_PKCS8_bio(bio, sealed);
    else if (ok)
        ok = pem ? PEM_write_bio_PKCS8_PRIV_KEY_INFO(bio, info) : i2d_PKCS8_PRIV_KEY_INFO_bio(bio, info);
    enum code code = ok ? bio_to_buf(bio, out, e) : ossl_fail(e, "write private key");
    X509_SIG_free(sealed);
    PKCS8_PRIV_KEY_INFO_free(info);
    return code;
}

enum code key_to_pem(const EVP_PKEY *key, const struct secret *passphrase, struct buf *out, struct err *e)
{
    return write_pkcs8(key, passphrase, true, out, e);
}

enum code key_to_pk8(const EVP_PKEY *key, const struct secret *passphrase, struct buf *out, struct err *e)
{
    return write_pkcs8(key, passphrase, false, out, e);
}

/* The stack borrows the certificates. */
static STACK_OF(X509) * borrow_chain(const struct key_p12 *what)
{
    STACK_OF(X509) *chain = sk_X509_new_null();

    for (size_t i = 0; chain && i < what->n_chain; i++)
        if (!sk_X509_push(chain, what->chain[i])) {
            sk_X509_free(chain);
            return NULL;
        }
    return chain;
}

enum code key_to_p12(const struct key_p12 *what, const struct secret *passphrase, struct buf *out,
                     struct err *e)
{
    char password[SECRET_MAX + 1];
    STACK_OF(X509) *chain = borrow_chain(what);
    AUTO(bio) BIO *bio = BIO_new(BIO_s_mem());
    PKCS12 *p12 = NULL;

    if (!str_to_c(str_from_bytes(secret_bytes(passphrase)), password, sizeof password)) {
        sk_X509_free(chain);
        return err_set(e, E_PARAM, "a passphrase must not contain a null byte");
    }
    int rounds = passphrase->n ? P12_ITERATIONS : 0; /* 0: the library's few, nothing is to be protected */
    if (chain && bio)
        p12 = PKCS12_create(password, what->friendly_name, what->key, what->cert, chain, 0, 0, rounds, rounds,
                            0);
    wipe(password, sizeof password);
    bool ok = p12 && i2d_PKCS12_bio(bio, p12);
    enum code code = ok ? bio_to_buf(bio, out, e) : ossl_fail(e, "write PKCS#12 file");
    PKCS12_free(p12);
    sk_X509_free(chain);
    return code;
}

bool key_p12_is_open(struct bytes der)
{
    const uint8_t *p = der.p;
    PKCS12 *p12 = der.n > 0 && der.n <= LONG_MAX ? d2i_PKCS12(NULL, &p, (long)der.n) : NULL;
    bool open = p12 && (!PKCS12_mac_present(p12) || PKCS12_verify_mac(p12, "", 0) == 1 ||
                        PKCS12_verify_mac(p12, NULL, 0) == 1);

    PKCS12_free(p12);
    ERR_clear_error();
    return open;
}

/* ---- describing ---- */

bool key_fits(const EVP_PKEY *key, X509 *cert)
{
    const EVP_PKEY *public_key = X509_get0_pubkey(cert);
    bool fits = public_key && EVP_PKEY_eq(public_key, key) == 1;

    ERR_clear_error();
    return fits;
}

unsigned key_bits(const EVP_PKEY *key)
{
    int bits = EVP_PKEY_get_bits(key);

    return bits > 0 ? (unsigned)bits : 0;
}

void key_text(const EVP_PKEY *key, char out[KEY_TEXT_MAX])
{
    char curve[32];
    size_t n = 0;

    switch (EVP_PKEY_get_base_id(key)) { /* an int of OpenSSL's, so the default is needed */
    case EVP_PKEY_EC:
        if (!EVP_PKEY_get_group_name(key, curve, sizeof curve, &n))
            (void)snprintf(curve, sizeof curve, "unknown curve");
        bool p256 = str_is(str_c(curve), SN_X9_62_prime256v1), p384 = str_is(str_c(curve), SN_secp384r1);
        (void)snprintf(out, KEY_TEXT_MAX, "ECDSA %s", p256 ? "P-256" : p384 ? "P-384" : curve);
        break;
    case EVP_PKEY_RSA:
        (void)snprintf(out, KEY_TEXT_MAX, "RSA %u", key_bits(key));
        break;
    case EVP_PKEY_RSA_PSS:
        (void)snprintf(out, KEY_TEXT_MAX, "RSA-PSS %u", key_bits(key));
        break;
    case EVP_PKEY_ED25519:
        (void)snprintf(out, KEY_TEXT_MAX, "Ed25519");
        break;
    case EVP_PKEY_ED448:
        (void)snprintf(out, KEY_TEXT_MAX, "Ed448");
        break;
    default: {
        const char *type = EVP_PKEY_get0_type_name(key);
        (void)snprintf(out, KEY_TEXT_MAX, "%s %u", type ? type : "unknown", key_bits(key));
        break;
    }
    }
    ERR_clear_error();
}
