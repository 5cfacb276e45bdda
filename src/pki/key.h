/**
 * Private keys: made, written, read, described.
 */
#ifndef PGSEAL_PKI_KEY_H
#define PGSEAL_PKI_KEY_H

#include "base/secret.h"

#include <openssl/types.h>

struct buf;

enum key_kind { KEY_P256, KEY_P384, KEY_RSA_2048, KEY_RSA_3072, KEY_RSA_4096, KEY_ED25519 };

#define KEY_KIND_NAMES "ecdsa-p256, ecdsa-p384, rsa-2048, rsa-3072, rsa-4096, ed25519"
/** One of KEY_KIND_NAMES. */
const char *key_kind_name(enum key_kind kind);
/** False for other names. "ecdsa" and "rsa" stand for ecdsa-p256 and rsa-3072. */
bool key_kind_from_name(struct str name, enum key_kind *out);

/** False for a kind we do not make. */
bool key_kind_of(const EVP_PKEY *key, enum key_kind *out);
/** True when PEM text holds a key that needs a passphrase. */
bool key_is_encrypted(struct str pem);

/**
 * Where a passphrase comes from, asked only when a key is encrypted.
 *
 * get  fills `out`; its failure is the failure of the load. May be called several times.
 */
struct key_passphrase {
    enum code (*get)(void *ctx, struct secret *out, struct err *e);
    void *ctx;
};

/** out  returned to caller, key_free(). */
MUST_CHECK enum code key_generate(enum key_kind kind, EVP_PKEY **out, struct err *e);
void key_free(EVP_PKEY *key);
void key_auto(EVP_PKEY **key);

/**
 * The first private key in PEM text (PKCS#8, traditional, encrypted or not).
 *
 * file        for messages only.
 * passphrase  NULL: an encrypted key fails.
 * E_CONFIG `could not load private key file "F": …`.
 */
MUST_CHECK enum code key_from_pem(struct bytes pem, const char *file, const struct key_passphrase *passphrase,
                                  EVP_PKEY **out, struct err *e);
/** The same from a file, after os_check_key_file(). */
MUST_CHECK enum code key_load(const char *path, const struct key_passphrase *passphrase, EVP_PKEY **out,
                              struct err *e);
/**
 * PKCS#8 in PEM. With a passphrase: PBES2, AES-256-CBC, PBKDF2 with SHA-256.
 * out  holds a secret afterwards: buf_fini_secret() it.
 */
MUST_CHECK enum code key_to_pem(const EVP_PKEY *key, const struct secret *passphrase, struct buf *out,
                                struct err *e);
/** PKCS#8 in DER, as pgJDBC reads it (.pk8). */
MUST_CHECK enum code key_to_pk8(const EVP_PKEY *key, const struct secret *passphrase, struct buf *out,
                                struct err *e);
/**
 * PKCS#12 with the key, its certificate and the chain after it, AES-256 and SHA-256.
 * chain  borrowed certificates that follow the leaf, `n_chain` of them.
 */
struct key_p12 {
    EVP_PKEY *key;
    X509 *cert;
    X509 *const *chain;
    size_t n_chain;
    const char *friendly_name;
};
MUST_CHECK enum code key_to_p12(const struct key_p12 *what, const struct secret *passphrase, struct buf *out,
                                struct err *e);

/** True when a PKCS#12 file opens without a passphrase, or with an empty one. False also for what is none. */
bool key_p12_is_open(struct bytes der);

/** True when the certificate is for this key. */
bool key_fits(const EVP_PKEY *key, X509 *cert);

/** "ECDSA P-256", "RSA 2048", "Ed25519"; never NULL. `size` 64 is enough for all. */
enum { KEY_TEXT_MAX = 64 };
void key_text(const EVP_PKEY *key, char out[KEY_TEXT_MAX]);
unsigned key_bits(const EVP_PKEY *key);

#endif
