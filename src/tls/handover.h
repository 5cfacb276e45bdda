/**
 * From OpenSSL's session to ours: when the handshake has ended, what is needed of it is kept and the `SSL` freed.
 */
#ifndef PGSEAL_TLS_HANDOVER_H
#define PGSEAL_TLS_HANDOVER_H

#include "tls/engine_impl.h"

/** Before each step of a handshake: the context's key log is this engine's. */
void handover_listen(struct tls_engine *engine);
/** At each state of a handshake. */
void handover_watch(struct tls_engine *engine);
/** One line of the key log of a session's handshake: keeps both traffic secrets. */
void handover_hear(const SSL *ssl, const char *line);
/**
 * Take over a session whose handshake has just ended. What cannot be taken (before TLS 1.3, another cipher, memory
 * is short, OpenSSL holds bytes) stays as it is, and works on. True: engine->ssl is NULL from here on.
 */
bool handover_try(struct tls_engine *engine);
/** Forget the secrets that a handshake has left. */
void handover_forget(struct tls_engine *engine);
/** What was kept of the handshake takes as little room as it can; a server's certificate is not kept at all. */
void handover_pack(struct tls_engine *engine);
/** Forget what was kept of it. */
void handover_forget_facts(struct tls_engine *engine);

#endif
