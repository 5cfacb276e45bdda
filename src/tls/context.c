/* What server and client contexts have in common. */
#include "tls/context.h"

#include "base/check.h"
#include "pki/cert.h"
#include "tls/engine.h"
#include "tls/internal.h"

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

void tls_context_free(struct tls_context *context)
{
    if (!context)
        return;
    SSL_CTX_free(context->ssl_ctx);
    OPENSSL_free(context->certificate);
    free(context);
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

/* ---- self-test ---- */

enum { SELF_TEST_ROOM = 128 * 1024, SELF_TEST_ROUNDS = 16 };

struct half {
    struct tls_engine *engine;
    struct tls_io io;
    uint8_t *room;
    bool done;
};

/* Let one half go on; what it says becomes the other's input. */
static enum code step_half(struct half *half, struct half *other, struct err *e)
{
    half->io.out_n = 0;
    switch (tls_engine_handshake(half->engine, &half->io, e)) {
    case TLS_DONE:
        half->done = true;
        break;
    case TLS_WANT_INPUT:
        break;
    case TLS_WANT_ROOM:
    case TLS_CLOSED:
        return err_set(e, E_CONFIG, "handshake ended early");
    case TLS_FAILED:
        return E_CONFIG;
    }
    other->io.in = bytes_of(half->room, half->io.out_n);
    return OK;
}

static enum code run_halves(struct half *server, struct half *client, struct err *e)
{
    for (int round = 0; round < SELF_TEST_ROUNDS && !(server->done && client->done); round++) {
        TRY(step_half(client, server, e));
        TRY(step_half(server, client, e));
    }
    if (!server->done || !client->done)
        return err_set(e, E_CONFIG, "handshake does not end");
    return OK;
}

static bool half_init(struct half *half, struct tls_engine *engine)
{
    half->engine = engine;
    half->room = malloc(SELF_TEST_ROOM);
    half->io = (struct tls_io){ .out = half->room, .out_size = SELF_TEST_ROOM };
    return engine && half->room;
}

static void half_fini(struct half *half)
{
    tls_engine_free(half->engine);
    free(half->room);
}

enum code tls_context_self_test(struct tls_library *library, const struct tls_server_params *params,
                                struct tls_context *context, struct err *e)
{
    const struct tls_client_params like = {
        .root_file = "",
        .crl_file = "",
        .crl_dir = "",
        .cert_file = "",
        .key_file = "",
        .any_version = true,
        .no_prompt = true,
        .min_version = params->min_version,
        .max_version = params->max_version,
        .ciphers = params->ciphers,
        .tls13_ciphers = params->tls13_ciphers[0] ? params->tls13_ciphers : NULL,
        .groups = params->groups,
    };
    struct tls_context *client_context = NULL;
    struct tls_port *ports[2] = { tls_port_new(), tls_port_new() };
    struct half server = { 0 }, client = { 0 };
    struct err why = { 0 };

    enum code code = tls_client_context_new(library, &like, &client_context, &why);
    if (code == OK &&
        (!ports[0] || !ports[1] || !half_init(&server, tls_engine_new_server(ports[0], context)) ||
         !half_init(&client, tls_engine_new_client(ports[1], client_context, NULL,
                                                   params->protocol == TLS_PROTOCOL_POSTGRESQL))))
        code = err_set(&why, E_NOMEM, "out of memory");
    if (code == OK)
        code = run_halves(&server, &client, &why);
    half_fini(&server);
    half_fini(&client);
    tls_port_free(ports[0]);
    tls_port_free(ports[1]);
    tls_context_free(client_context);
    if (code != OK)
        return err_set(e, code == E_NOMEM ? E_NOMEM : E_CONFIG, "could not complete a test handshake: %s",
                       err_text(&why));
    return OK;
}
