/**
 * What a handshake is known by: while it goes on, when it has ended, and when its `SSL` is gone.
 *
 * Texts are OpenSSL's constants or live in the engine.
 */
#ifndef PGSEAL_TLS_ENGINE_FACTS_H
#define PGSEAL_TLS_ENGINE_FACTS_H

#include "tls/context.h"

struct tls_engine;
struct X509_name_st;
struct x509_st;

const char *tls_engine_version(const struct tls_engine *engine); /* "TLSv1.3" */
const char *tls_engine_cipher(const struct tls_engine *engine);  /* OpenSSL's name */
int tls_engine_bits(const struct tls_engine *engine);            /* bits of the algorithm, 3DES: 168 */
const char *tls_engine_group(const struct tls_engine *engine);   /* "" where there was none */
const char *tls_engine_sni(const struct tls_engine *engine);     /* what the client asked for, or "" */
bool tls_engine_alpn(const struct tls_engine *engine); /* what our side speaks was agreed on: "postgresql" */
bool tls_engine_is_cancel(const struct tls_engine *engine); /* server side: "pgseal-cancel" was agreed on */
/** Server side: the context whose certificate the client got, which must still be held. */
const struct tls_context *tls_engine_served(const struct tls_engine *engine);
/** Server side, where hosts are chosen by name: what the client says of its check (tls/hosts.h), or "". */
const char *tls_engine_visit(const struct tls_engine *engine);
/** The peer's certificate, returned to caller (cert_free), or NULL. On the server side it was verified in the
 * handshake. */
struct x509_st *tls_engine_peer(const struct tls_engine *engine);
/** The chain as the peer sent it, leaf first where the side sends it so; count may be 0. Borrowed entries. Only
 * where the records are OpenSSL's, as the names below. */
size_t tls_engine_peer_chain(const struct tls_engine *engine, struct x509_st **out, size_t max);

/** Client side: the server asked for a certificate; and: there was one to send. */
bool tls_engine_cert_requested(const struct tls_engine *engine);
bool tls_engine_cert_sent(const struct tls_engine *engine);
/** Names of the CAs that the server's request listed. Borrowed entries; count may be 0. */
size_t tls_engine_peer_ca_names(const struct tls_engine *engine, const struct X509_name_st **out, size_t max);

/** What is known of a handshake that failed, or that goes on: for the log line. */
struct tls_handshake_facts {
    const char *reason;   /* OpenSSL's reason string, or "" */
    int alert_sent;       /* TLS alert number, -1: none */
    int alert_received;   /* the same */
    int verify_error;     /* X509_V_ERR_*, 0: none */
    int verify_depth;     /* of the certificate that it is about; 0: the peer's own */
    unsigned offered_min; /* lowest version in the ClientHello (wire number); 0: not told, or not seen */
    unsigned offered_max; /* highest version, 0: no ClientHello was seen */
    enum tls_version min_version, max_version; /* ours */
    const char *sni;
    bool no_host; /* server side: nobody serves that name, or a client that asks for none */
};
void tls_engine_facts(const struct tls_engine *engine, struct tls_handshake_facts *out);

#endif
