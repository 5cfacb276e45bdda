/** Certificates made on the spot, at a fixed date, for the tests of pki. */
#ifndef PGSEAL_TESTS_PKI_MADE_H
#define PGSEAL_TESTS_PKI_MADE_H

#include "../unit.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/env.h"
#include "pki/issue.h"

#include <openssl/x509.h>

enum { MADE_NOW_S = 1795000000 }; /* November 2026 */

static int64_t made_now_us(void *ctx)
{
    (void)ctx;
    return (int64_t)MADE_NOW_S * 1000000;
}

static inline struct env made_env(void)
{
    struct env env = env_system();

    env.now_unix_us = made_now_us;
    return env;
}

/* A key and its certificate. */
struct made {
    EVP_PKEY *key;
    X509 *cert;
};

static inline void made_free(struct made *made)
{
    key_free(made->key);
    cert_free(made->cert);
}

/* A root, or an intermediate below `issuer`. */
static inline struct made made_ca(const char *name, enum key_kind kind)
{
    struct env env = made_env();
    struct made made = { NULL, NULL };
    struct ca_params params = { .common_name = str_c(name), .days = 3650, .path_length = -1 };

    assert_int_equal(key_generate(kind, &made.key, NULL), OK);
    assert_int_equal(issue_ca(&params, &(struct issuer){ .key = made.key, .env = &env }, &made.cert, NULL),
                     OK);
    return made;
}

/* The same CA's key, certified by `issuer` instead of itself. */
static inline X509 *made_cross(const struct made *ca, const struct made *issuer)
{
    X509 *cert = X509_dup(ca->cert);

    assert_non_null(cert);
    assert_true(X509_set_issuer_name(cert, X509_get_subject_name(issuer->cert)));
    int at = X509_get_ext_by_NID(cert, NID_authority_key_identifier, -1);
    X509_EXTENSION_free(X509_delete_ext(cert, at));
    assert_true(X509_sign(cert, issuer->key, EVP_sha256()) > 0);
    return cert;
}

static inline struct made made_leaf(const char *name, enum ca_use use, const struct made *issuer)
{
    struct env env = made_env();
    struct made made = { NULL, NULL };
    struct san san = { SAN_DNS, str_bytes(str_c(name)) };
    struct ca_request request = {
        .use = use, .common_name = str_c(name), .sans = &san, .n_sans = 1, .days = 90
    };

    assert_int_equal(key_generate(KEY_P256, &made.key, NULL), OK);
    assert_int_equal(
        issue_leaf(&request, made.key, &(struct issuer){ issuer->cert, issuer->key, &env }, &made.cert, NULL),
        OK);
    return made;
}

#endif
