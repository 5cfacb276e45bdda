/* Facts of a session: asked of OpenSSL, or what was kept of its `SSL`. */
#include "tls/engine_facts.h"

#include "tls/context_base.h"
#include "tls/engine_impl.h"

const char *tls_engine_version(const struct tls_engine *engine)
{
    return engine->ssl ? SSL_get_version(engine->ssl) : engine->known.version;
}

const char *tls_engine_cipher(const struct tls_engine *engine)
{
    return engine->ssl ? SSL_get_cipher_name(engine->ssl) : engine->known.cipher;
}

int tls_engine_bits(const struct tls_engine *engine)
{
    int bits = 0;

    if (!engine->ssl)
        return engine->known.bits;
    (void)SSL_get_cipher_bits(engine->ssl, &bits);
    return bits;
}

const char *tls_engine_group(const struct tls_engine *engine)
{
    if (!engine->ssl)
        return engine->known.group;
    int nid = (int)SSL_get_negotiated_group(engine->ssl);
    const char *name = nid ? SSL_group_to_name(engine->ssl, nid) : NULL;

    return name ? name : "";
}

const char *tls_engine_sni(const struct tls_engine *engine)
{
    const char *name = engine->ssl ? SSL_get_servername(engine->ssl, TLSEXT_NAMETYPE_host_name)
                                   : engine->known.sni;

    return name ? name : "";
}

static bool agreed_on(const struct tls_engine *engine, enum tls_protocol protocol)
{
    const unsigned char *name;
    unsigned n;

    SSL_get0_alpn_selected(engine->ssl, &name, &n);
    return bytes_equal(bytes_of(name, n), bytes_from(protocol_alpn(protocol), 1));
}

bool tls_engine_alpn(const struct tls_engine *engine)
{
    return engine->ssl ? agreed_on(engine, engine->protocol) : engine->known.alpn;
}

bool tls_engine_is_cancel(const struct tls_engine *engine)
{
    return engine->ssl ? engine->server && agreed_on(engine, TLS_PROTOCOL_CANCEL) : engine->known.is_cancel;
}

const struct tls_context *tls_engine_served(const struct tls_engine *engine)
{
    return engine->served;
}

const char *tls_engine_visit(const struct tls_engine *engine)
{
    return engine->visit ? engine->visit : "";
}

struct x509_st *tls_engine_peer(const struct tls_engine *engine)
{
    const struct tls_known *known = &engine->known;
    const uint8_t *der = known->der;

    if (engine->ssl)
        return SSL_get1_peer_certificate(engine->ssl);
    if (known->peer)
        return X509_up_ref(known->peer) == 1 ? known->peer : NULL;
    return der ? d2i_X509(NULL, &der, (long)known->der_n) : NULL;
}

size_t tls_engine_peer_chain(const struct tls_engine *engine, struct x509_st **out, size_t max)
{
    STACK_OF(X509) *chain = engine->ssl ? SSL_get_peer_cert_chain(engine->ssl) : NULL;
    size_t n = chain ? (size_t)sk_X509_num(chain) : 0;

    for (size_t i = 0; i < n && i < max; i++)
        out[i] = sk_X509_value(chain, (int)i);
    return n < max ? n : max;
}

bool tls_engine_cert_requested(const struct tls_engine *engine)
{
    return engine->cert_requested;
}

bool tls_engine_cert_sent(const struct tls_engine *engine)
{
    return engine->cert_sent;
}

size_t tls_engine_peer_ca_names(const struct tls_engine *engine, const struct X509_name_st **out, size_t max)
{
    const STACK_OF(X509_NAME) *names = engine->ssl ? SSL_get0_peer_CA_list(engine->ssl) : NULL;
    size_t n = names ? (size_t)sk_X509_NAME_num(names) : 0;

    for (size_t i = 0; i < n && i < max; i++)
        out[i] = sk_X509_NAME_value(names, (int)i);
    return n < max ? n : max;
}

void tls_engine_facts(const struct tls_engine *engine, struct tls_handshake_facts *out)
{
    *out = (struct tls_handshake_facts){
        .reason = engine->reason,
        .alert_sent = engine->alert_sent,
        .alert_received = engine->alert_received,
        .verify_error = engine->verify_error,
        .verify_depth = engine->verify_depth,
        .offered_min = engine->offered_min,
        .offered_max = engine->offered_max,
        .min_version = engine->min_version,
        .max_version = engine->max_version,
        .sni = engine->asked ? engine->asked : tls_engine_sni(engine),
        .no_host = engine->no_host,
    };
}
