/* A library of its own for each worker, and what a context answers about itself. */
#include "tls/context.h"

#include "tls/context_base.h"

#include <openssl/conf.h>
#include <openssl/err.h>
#include <stdlib.h>

struct tls_library *tls_library_new(void)
{
    struct tls_library *library = calloc(1, sizeof *library);

    if (!library)
        return NULL;
    library->ctx = OSSL_LIB_CTX_new();
    if (!library->ctx) {
        tls_library_free(library);
        return NULL;
    }
    char *file = CONF_get1_default_config_file();
    if (file) {
        /* What the administrator set for the whole system (providers, FIPS) holds here too; no file is no
         * error. */
        (void)OSSL_LIB_CTX_load_config(library->ctx, file);
        OPENSSL_free(file);
    }
    ERR_clear_error();
    return library;
}

void tls_library_free(struct tls_library *library)
{
    if (!library)
        return;
    OSSL_LIB_CTX_free(library->ctx);
    free(library);
}

void tls_context_free(struct tls_context *context)
{
    if (!context)
        return;
    SSL_CTX_free(context->ssl_ctx);
    OPENSSL_free(context->certificate);
    free(context);
}

bool tls_context_verifies_clients(const struct tls_context *context)
{
    return context->verifies_clients;
}

struct bytes tls_context_end_point(const struct tls_context *context)
{
    return bytes_of(context->end_point, context->end_point_n);
}

struct bytes tls_context_fingerprint(const struct tls_context *context)
{
    return bytes_of(context->fingerprint, context->fingerprint_n);
}

struct bytes tls_context_certificate(const struct tls_context *context)
{
    return bytes_of(context->certificate, context->certificate_n);
}
