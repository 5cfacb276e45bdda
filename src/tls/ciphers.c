/* A throw-away connection tells what a cipher list comes to, once the security level has had its say. */
#include "tls/ciphers.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"

#include <openssl/err.h>
#include <openssl/objects.h>
#include <openssl/ssl.h>

enum { NAMES_MAX = 512, BITS_MIN = 128 };

static bool is_weak(const SSL_CIPHER *cipher)
{
    int bits = SSL_CIPHER_get_bits(cipher, NULL);

    switch (SSL_CIPHER_get_cipher_nid(cipher)) {
    case NID_rc4:
    case NID_rc4_40:
    case NID_des_cbc:
    case NID_des_ede3_cbc:
    case NID_rc2_cbc:
    case NID_undef: /* no encryption at all */
        return true;
    default: /* the library's numbers are open-ended */
        return bits < BITS_MIN || SSL_CIPHER_get_auth_nid(cipher) == NID_auth_null;
    }
}

static bool is_static(const SSL_CIPHER *cipher)
{
    return SSL_CIPHER_get_kx_nid(cipher) == NID_kx_rsa;
}

/* The TLS 1.3 suites of a context are not made of the list. */
static bool is_listed(const SSL_CIPHER *cipher)
{
    return SSL_CIPHER_get_kx_nid(cipher) != NID_kx_any;
}

static void add_name(struct buf *names, const SSL_CIPHER *cipher)
{
    const char *name = SSL_CIPHER_get_name(cipher);

    if (names->n + strlen(name) + sizeof ", …" < NAMES_MAX)
        buf_printf(names, "%s%s", names->n > 0 ? ", " : "", name);
    else if (!str_ends(buf_str(names), STR("…")))
        buf_append_c(names, ", …");
}

static void survey_list(STACK_OF(SSL_CIPHER) * ciphers, struct tls_cipher_survey *out, struct buf *names)
{
    for (int i = 0; i < sk_SSL_CIPHER_num(ciphers); i++) {
        const SSL_CIPHER *cipher = sk_SSL_CIPHER_value(ciphers, i);
        if (!is_listed(cipher))
            continue;
        out->n++;
        out->n_static += is_static(cipher);
        out->n_dhe += SSL_CIPHER_get_kx_nid(cipher) == NID_kx_dhe;
        out->n_cbc += !SSL_CIPHER_is_aead(cipher);
        if (!is_weak(cipher))
            continue;
        out->n_weak++;
        add_name(names, cipher);
    }
}

enum code tls_ciphers_survey(const char *list, struct arena *arena, struct tls_cipher_survey *out)
{
    AUTO(buf) struct buf names = BUF_INIT(NAMES_MAX);
    struct tls_cipher_survey survey = { .n_weak = 0 };
    SSL_CTX *context = SSL_CTX_new(TLS_method());
    SSL *ssl = NULL;

    if (context && SSL_CTX_set_cipher_list(context, list) == 1)
        ssl = SSL_new(context);
    STACK_OF(SSL_CIPHER) *ciphers = ssl ? SSL_get1_supported_ciphers(ssl) : NULL;
    if (ciphers)
        survey_list(ciphers, &survey, &names);
    sk_SSL_CIPHER_free(ciphers);
    SSL_free(ssl);
    SSL_CTX_free(context);
    ERR_clear_error();
    if (!context || !arena_str(arena, buf_str(&names), &survey.weak))
        return E_NOMEM;
    *out = survey;
    return OK;
}
