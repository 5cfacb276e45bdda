#include "tls/self_test.h"

#include "base/buf.h"
#include "base/check.h"
#include "pki/cert.h"
#include "tls/client_context.h"
#include "tls/context_base.h"
#include "tls/engine.h"

#include <stdlib.h>

enum { SELF_TEST_ROOM = 128 * 1024, SELF_TEST_ROUNDS = 16, SELF_TEST_CHAIN = 128 };

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

/* OpenSSL loads such a key, and then has no cipher for it. */
static void hint_curve(const struct tls_context *context, const char *key_file, struct err *e)
{
    static const char *const good[] = { "prime256v1", "secp384r1", "secp521r1" };
    EVP_PKEY *key = SSL_CTX_get0_privatekey(context->ssl_ctx);
    char curve[64];

    if (!key || !EVP_PKEY_is_a(key, "EC") || !EVP_PKEY_get_group_name(key, curve, sizeof curve, NULL))
        return;
    for (size_t i = 0; i < COUNT_OF(good); i++)
        if (strcmp(curve, good[i]) == 0)
            return;
    err_where(e, str_c(key_file), 0);
    err_hint(
        e,
        "The key is on the curve %s, which no TLS client supports: use a key on P-256, P-384 or P-521, or an "
        "Ed25519 or RSA key.",
        curve);
}

/* Copies, for the client's belong to its worker's library. */
static enum code copy_chain(const struct tls_engine *client, struct cert_list *out, struct err *e)
{
    X509 *seen[SELF_TEST_CHAIN];
    size_t n = tls_engine_peer_chain(client, seen, SELF_TEST_CHAIN);
    enum code code = OK;

    for (size_t i = 0; i < n && code == OK; i++) {
        AUTO(buf) struct buf der = BUF_INIT(SELF_TEST_ROOM);
        AUTO(cert) X509 *copy = NULL;
        code = cert_to_der(seen[i], &der);
        if (code == OK)
            code = cert_from_der(buf_bytes(&der), &copy, e);
        if (code == OK)
            code = cert_list_add(out, copy);
    }
    return code == OK ? OK : err_set(e, code, "could not read back the certificate chain");
}

enum code tls_context_self_test(struct tls_library *library, const struct tls_server_params *params,
                                struct tls_context *context, struct cert_list *out_chain, struct err *e)
{
    const struct tls_client_params like = {
        TLS_CLIENT_LOOKS,
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
    if (code == OK && out_chain)
        code = copy_chain(client.engine, out_chain, &why);
    half_fini(&server);
    half_fini(&client);
    tls_port_free(ports[0]);
    tls_port_free(ports[1]);
    tls_context_free(client_context);
    if (code != OK) {
        code = err_set(e, code == E_NOMEM ? E_NOMEM : E_CONFIG, "could not complete a test handshake: %s",
                       err_text(&why));
        hint_curve(context, params->key_file, e);
        return code;
    }
    return OK;
}
