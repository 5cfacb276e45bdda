/**
 * One connection of a tool, or of a job: connect, send, receive, TLS, each against one deadline.
 *
 * Who uses it has a thread for it (the probe one per endpoint), so that it waits in poll(2). Every call ends by the
 * deadline with E_CONNECT `timeout expired`.
 */
#ifndef PGSEAL_CLIENT_DIAL_H
#define PGSEAL_CLIENT_DIAL_H

#include "base/err.h"
#include "tls/engine.h"

struct buf;
struct address;
struct env;

enum { DIAL_ROOM = 32 * 1024 };

struct dial {
    const struct env *env;  /* borrowed */
    struct tls_port *port;  /* borrowed; used by one dial at a time */
    struct tls_engine *tls; /* NULL: no TLS */
    struct bytes left;      /* received, not yet used: into `in` */
    int64_t deadline_us;    /* monotonic */
    int fd;                 /* -1: closed */
    bool eof;
    bool timed_out; /* the last failure was the deadline */
    uint8_t in[DIAL_ROOM];
    uint8_t out[DIAL_ROOM];
};

/** NULL when memory ran out. */
struct dial *dial_new(const struct env *env, struct tls_port *port);
void dial_free(struct dial *dial);
void dial_auto(struct dial **dial);

/** Connect within `timeout_s` seconds, which then also bound everything that follows. E_CONNECT. */
MUST_CHECK enum code dial_open(struct dial *dial, const struct address *addr, unsigned timeout_s,
                               struct err *e);
/** Harmless when closed. With TLS says close_notify. */
void dial_close(struct dial *dial);
/** Send everything, encrypted once TLS is established. E_CONNECT, E_CLOSED, E_TLS. */
MUST_CHECK enum code dial_send(struct dial *dial, struct bytes data, struct err *e);
/** Append at least one byte to `in`. E_CLOSED: the server closed; the message is libpq's. */
MUST_CHECK enum code dial_receive(struct dial *dial, struct buf *in, struct err *e);
/**
 * Handshake as the client. sni: "" sends none. On failure `e` holds libpq's text, with its second line in
 * e->message; tls_engine_facts(dial->tls) tells more.
 */
MUST_CHECK enum code dial_handshake(struct dial *dial, struct tls_context *context, const char *sni,
                                    bool alpn, struct err *e);

#endif
