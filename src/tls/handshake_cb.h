/**
 * What OpenSSL tells during a handshake: alerts, offered versions, certificates asked for or refused.
 */
#ifndef PGSEAL_TLS_HANDSHAKE_CB_H
#define PGSEAL_TLS_HANDSHAKE_CB_H

#include "tls/context_base.h"

int engine_verify_cb(int ok, X509_STORE_CTX *store);
int engine_hello_cb(SSL *ssl, int *alert, void *arg);
/** The two parts of it: the versions that a ClientHello offers, for the log line of a handshake that fails … */
void engine_note_hello(SSL *ssl);
/** … and who wants to choose a context (tls_engine_on_hello()) is asked, once. SSL_CLIENT_HELLO_…. */
int engine_ask_context(SSL *ssl, int *alert);
int engine_cert_cb(SSL *ssl, void *arg);
void engine_info_cb(const SSL *ssl, int where, int ret);

#endif
