/**
 * The first bytes of a connection, from the client's side: SSLRequest and the judgement of its answer.
 *
 * Nothing a server says before TLS is established is ever shown [src: CVE-2024-10977], and not one byte
 * may follow its `S` [src: CVE-2021-23222].
 */
#ifndef PGSEAL_CLIENT_NEGOTIATE_H
#define PGSEAL_CLIENT_NEGOTIATE_H

#include "client/hosts.h"

struct buf;
struct conn_host;

/** What is sent first, before TLS or StartupMessage: the SSLRequest for METHOD_TLS, else nothing. */
void negotiate_hello(enum conn_method method, struct buf *out);

enum negotiate_verdict {
    NEGOTIATE_MORE, /* no byte yet */
    NEGOTIATE_TLS,  /* begin the handshake; the one byte is used up */
    NEGOTIATE_FAIL  /* `e` and `event` say why */
};

/**
 * Judge the answer to an SSLRequest. `in` is all that was received: nothing but `S` may be there.
 *
 * event  EVENT_TLS_REFUSED (E_UNSUPPORTED; the message is libpq's, for when no method is left) or
 *        EVENT_REPLY_BAD (E_PROTOCOL).
 */
enum negotiate_verdict negotiate_reply(struct bytes in, enum attempt_event *event, struct err *e);
/**
 * Judge the ALPN protocol that the server selected; empty: none. Without direct negotiation none is fine.
 * E_PROTOCOL with libpq's text.
 */
MUST_CHECK enum code negotiate_alpn(enum conn_method method, struct str selected, struct err *e);
/** The name to send as SNI; empty: none. [src: PostgreSQL 18, "Parameter Key Words", sslsni; fe-secure-openssl.c initialize_SSL] */
struct str negotiate_sni(const struct conninfo *info, const struct conn_host *host);

#endif
