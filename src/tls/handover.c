/*
 * The end of a handshake.
 *
 * OpenSSL's key log writes its lines with printf, at 2.5 us each. So it is listened to only from the CertificateVerify
 * on, when the secrets of the handshake itself have gone by; contexts are one thread's, and their engines take turns.
 *
 * The key-log callback is OpenSSL's public way to a session's traffic secrets. With tickets off and without
 * read-ahead OpenSSL has sealed and opened nothing under them when the handshake returns, so both counters begin
 * at 0, and what the peer has sent after its Finished still is in the worker's buffer.
 */
#include "tls/handover.h"

#include "base/secret.h"
#include "tls/context_base.h"
#include "tls/engine_facts.h"

#include <openssl/err.h>
#include <openssl/tls1.h>
#include <stdlib.h>

/* Both traffic secrets, between the handshake's last flights. */
struct handover {
    uint8_t client[RECORD_SECRET_MAX], server[RECORD_SECRET_MAX];
    size_t client_n, server_n;
};

static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* What follows "LABEL RANDOM "; 0: that is no secret. */
static size_t secret_of(const char *line, uint8_t out[RECORD_SECRET_MAX])
{
    const char *space = strchr(line, ' ');
    const char *hex = space ? strchr(space + 1, ' ') : NULL;
    size_t n = 0;

    if (!hex)
        return 0;
    for (hex++; hex[0]; hex += 2) {
        int high = digit(hex[0]), low = high < 0 ? -1 : digit(hex[1]);
        if (low < 0 || n == RECORD_SECRET_MAX)
            return 0;
        out[n++] = (uint8_t)(high << 4 | low);
    }
    return n;
}

void handover_hear(const SSL *ssl, const char *line)
{
    struct str label = str_first(str_c(line), strcspn(line, " "));
    bool client = str_is(label, "CLIENT_TRAFFIC_SECRET_0");
    struct tls_engine *engine = SSL_get_app_data(ssl);

    if (!engine || !engine->own || (!client && !str_is(label, "SERVER_TRAFFIC_SECRET_0")))
        return;
    if (!engine->handover)
        engine->handover = calloc(1, sizeof *engine->handover);
    if (engine->handover && client)
        engine->handover->client_n = secret_of(line, engine->handover->client);
    else if (engine->handover)
        engine->handover->server_n = secret_of(line, engine->handover->server);
}

void handover_listen(struct tls_engine *engine)
{
    if (engine->own && !engine->logs_keys)
        SSL_CTX_set_keylog_callback(SSL_get_SSL_CTX(engine->ssl), engine->late ? handover_hear : NULL);
}

void handover_watch(struct tls_engine *engine)
{
    /* CertificateVerify, written or read. Its number is another one in each minor version of OpenSSL. */
    const char *verified = engine->server ? "TWSCV" : "TRSCV";

    if (!engine->own || engine->late || strcmp(SSL_state_string(engine->ssl), verified) != 0)
        return;
    engine->late = true;
    handover_listen(engine);
}

void handover_forget(struct tls_engine *engine)
{
    if (!engine->handover)
        return;
    wipe(engine->handover, sizeof *engine->handover);
    free(engine->handover);
    engine->handover = NULL;
}

static bool find_cipher(const SSL *ssl, enum record_cipher *out)
{
    const SSL_CIPHER *cipher = SSL_get_current_cipher(ssl);

    switch (cipher ? SSL_CIPHER_get_id(cipher) : 0) {
    case TLS1_3_CK_AES_128_GCM_SHA256:
        *out = RECORD_AES_128_GCM;
        return true;
    case TLS1_3_CK_AES_256_GCM_SHA384:
        *out = RECORD_AES_256_GCM;
        return true;
    case TLS1_3_CK_CHACHA20_POLY1305_SHA256:
        *out = RECORD_CHACHA20_POLY1305;
        return true;
    default:
        return false;
    }
}

/* What a client may have asked for with max_fragment_length [src: RFC 6066 §4]; it binds both sides. */
static size_t negotiated_max(const SSL *ssl)
{
    uint8_t code = SSL_SESSION_get_max_fragment_length(SSL_get_session(ssl));

    return code == TLSEXT_max_fragment_length_DISABLED ? RECORD_PLAIN_MAX : (size_t)256 << code;
}

static bool begin_records(struct tls_engine *engine)
{
    const struct handover *secrets = engine->handover;
    struct bytes client, server;
    enum record_cipher cipher;

    if (!secrets || SSL_version(engine->ssl) != TLS1_3_VERSION || !find_cipher(engine->ssl, &cipher) ||
        SSL_has_pending(engine->ssl) || (engine->server && SSL_get_num_tickets(engine->ssl) > 0))
        return false;
    client = bytes_of(secrets->client, secrets->client_n);
    server = bytes_of(secrets->server, secrets->server_n);
    if (client.n != record_secret_size(cipher) || server.n != record_secret_size(cipher))
        return false;
    size_t max = negotiated_max(engine->ssl);
    const struct record_params params = {
        .cipher = cipher,
        .server = engine->server,
        .send_max = engine->record_max && engine->record_max < max ? engine->record_max : max,
        .receive_max = max,
        .open_secret = engine->server ? client : server,
        .seal_secret = engine->server ? server : client,
    };
    return record_init(&engine->record, engine->port->records, &params);
}

/* What is asked of a session later. Texts are constants of OpenSSL, or its context's, which is held. */
static bool keep_facts(struct tls_engine *engine)
{
    struct tls_known *known = &engine->known;
    const char *sni = tls_engine_sni(engine);

    known->version = tls_engine_version(engine);
    known->cipher = tls_engine_cipher(engine);
    known->group = tls_engine_group(engine);
    known->bits = tls_engine_bits(engine);
    known->alpn = tls_engine_alpn(engine);
    known->is_cancel = tls_engine_is_cancel(engine);
    if (sni[0] && !(known->sni = strdup(sni)))
        return false;
    if (SSL_CTX_up_ref(SSL_get_SSL_CTX(engine->ssl)) != 1)
        return false;
    known->context = SSL_get_SSL_CTX(engine->ssl);
    known->peer = SSL_get1_peer_certificate(engine->ssl);
    return true;
}

/* An X509 takes five times the memory of its DER. */
void handover_pack(struct tls_engine *engine)
{
    struct tls_known *known = &engine->known;
    int n = known->peer && engine->server ? i2d_X509(known->peer, &known->der) : 0;

    if (n >= 0) {
        known->der_n = (size_t)n;
        X509_free(known->peer);
        known->peer = NULL;
    }
    ERR_clear_error();
}

void handover_forget_facts(struct tls_engine *engine)
{
    X509_free(engine->known.peer);
    OPENSSL_free(engine->known.der);
    free(engine->known.sni);
    SSL_CTX_free(engine->known.context);
    engine->known = (struct tls_known){ 0 };
}

bool handover_try(struct tls_engine *engine)
{
    bool ours = begin_records(engine);

    handover_forget(engine);
    if (ours && !keep_facts(engine)) {
        record_fini(&engine->record, engine->port->records);
        handover_forget_facts(engine);
        ours = false;
    }
    if (ours) {
        SSL_free(engine->ssl);
        engine->ssl = NULL;
    }
    ERR_clear_error();
    return ours;
}
