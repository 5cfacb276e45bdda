/* What server and client contexts have in common, and their inside. */
#include "tls/context_base.h"

#include "base/check.h"
#include "pki/cert.h"
#include "pki/der.h"
#include "tls/context.h"
#include "tls/diag.h"

#include <openssl/conf.h>
#include <openssl/err.h>
#include <stdlib.h>

enum code context_new(struct tls_library *library, const SSL_METHOD *method, struct tls_context **out,
                      struct err *e)
{
    char reason[DIAG_REASON_MAX];
    struct tls_context *c = calloc(1, sizeof *c);

    ERR_clear_error();
    if (!c)
        return err_set(e, E_NOMEM, "out of memory");
    c->ssl_ctx = SSL_CTX_new_ex(library->ctx, NULL, method);
    if (!c->ssl_ctx) {
        tls_context_free(c);
        return err_set(e, E_CONFIG, "could not create SSL context: %s", diag_first(reason, sizeof reason));
    }
    SSL_CTX_set_mode(c->ssl_ctx, SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_ENABLE_PARTIAL_WRITE);
    SSL_CTX_set_session_cache_mode(c->ssl_ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_options(c->ssl_ctx, SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
    *out = c;
    return OK;
}

enum code context_unreadable(struct err *e, const char *verb, const char *what, const char *file)
{
    char reason[DIAG_REASON_MAX];

    (void)err_set(e, E_CONFIG, "could not %s %s file \"%s\": %s", verb, what, file,
                  diag_first(reason, sizeof reason));
    der_hint(file, e);
    return E_CONFIG;
}

enum code context_remember_certificate(struct tls_context *context, struct err *e)
{
    X509 *cert = SSL_CTX_get0_certificate(context->ssl_ctx);
    uint8_t hash[CERT_HASH_MAX];
    struct err ignored;

    if (!cert)
        return OK;
    int n = i2d_X509(cert, &context->certificate);
    if (n <= 0 || !cert_sha256(cert, context->fingerprint))
        return err_set(e, E_NOMEM, "could not read back the certificate");
    context->certificate_n = (size_t)n;
    context->fingerprint_n = sizeof context->fingerprint;
    /* A signature without a digest leaves the binding empty: SCRAM then fails where PostgreSQL's does. */
    if (cert_end_point_hash(cert, hash, &context->end_point_n, &ignored) == OK)
        memcpy(context->end_point, hash, context->end_point_n);
    else
        context->end_point_n = 0;
    return OK;
}

struct bytes protocol_alpn(enum tls_protocol protocol)
{
    switch (protocol) {
    case TLS_PROTOCOL_POSTGRESQL:
        return str_bytes(STR("\x0apostgresql"));
    case TLS_PROTOCOL_CANCEL:
        return str_bytes(STR("\x0dpgseal-cancel"));
    case TLS_PROTOCOL_HTTP:
        return str_bytes(STR("\x08http/1.1"));
    }
    UNREACHABLE();
}
