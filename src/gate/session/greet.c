/*
 * First bytes: one peeked byte tells direct TLS, the rest are packets without a type byte.
 *
 * What follows an accepted SSLRequest belongs to the TLS engine and to nothing else; after a refused
 * one nothing may stand [src: CVE-2021-23214; PostgreSQL 18, "SSL Session Encryption"].
 */
#include "gate/session/greet.h"

#include "gate/session/limit.h"
#include "gate/session/pending.h"
#include "gate/session/seal.h"
#include "gate/session/tally_session.h"
#include "gate/session/visit.h"
#include "gate/work/worker.h"
#include "pgwire/proxy.h"

static bool tls_usable(const struct session *s)
{
    return !session_is_local(s) && !s->tls.used && snapshot_tls(s->snapshot, s->worker->index) != NULL;
}

/*
 * The client is gone. Nothing is said; a begun packet is worth a line unless something was answered before.
 */
static enum step ended(struct session *s, struct err *e)
{
    if (s->in.n == 0) {
        if (s->tls.used)
            seal_log_left(s);
        else if (s->hello.ssl_done)
            session_tally_stranger(s, CLIENT_LEFT_AT_N);
        return session_fail(s, PARTING_SILENT);
    }
    if (s->in.n < 4 && (s->hello.ssl_done || s->hello.gss_done))
        return session_fail(s, PARTING_SILENT);
    err_set(e, E_PROTOCOL, "incomplete startup packet");
    return session_fail(s, PARTING_LOGGED);
}

/* 'N' was written: what the client sent after its request was meant for somebody in the middle. */
static enum step refuse_stuffed(struct session *s, const char *request, struct err *e)
{
    err_set(e, E_PROTOCOL, "received unencrypted data after %s request", request);
    err_detail(
        e,
        "This could be either a client-software bug or evidence of an attempted man-in-the-middle attack.");
    return session_fail(s, PARTING_FATAL);
}

/* No descriptor was left when it came, or its address comes too often: a handshake is not begun. */
static enum step turn_away(struct session *s)
{
    session_tally_failure(s, s->flags & SESSION_TOO_FAST ? CAUSE_RATE : CAUSE_RESOURCES);
    return session_fail(s, PARTING_ABRUPT);
}

/* From a balancer the header comes before everything else; STEP_DONE: it has been read. */
static enum step read_proxy(struct session *s, struct err *e)
{
    struct proxy proxy;
    size_t used;

    enum code code = proxy_parse(buf_bytes(&s->in), &proxy, &used, e);
    if (code == E_MORE)
        return s->flags & SESSION_DEAF ? session_fail(s, PARTING_SILENT) : STEP_MORE;
    if (code != OK)
        return session_fail(s, PARTING_LOGGED);
    struct str id = str_of((const char *)proxy.unique_id.p, proxy.unique_id.n);
    if (id.n > 0 && !arena_str(&s->arena, id, &s->balancer_id)) {
        err_set(e, E_NOMEM, "out of memory");
        return session_fail(s, PARTING_LOGGED);
    }
    buf_consume(&s->in, used);
    s->origin = ORIGIN_TCP;
    if (!proxy.local) {
        s->balancer = ARENA_NEW(&s->arena, struct address);
        if (!s->balancer) {
            err_set(e, E_NOMEM, "out of memory");
            return session_fail(s, PARTING_LOGGED);
        }
        *s->balancer = s->peer;
        s->peer = (struct address){ .ss = proxy.peer, .n = proxy.peer_n };
        if (!pending_enter(s)) {
            err_set(e, E_NOMEM, "out of memory");
            return session_fail(s, PARTING_LOGGED);
        }
    }
    if (!proxy.local && !limit_begin(s))
        s->flags |= SESSION_TOO_FAST;
    if (proxy.local)
        s->flags |= SESSION_SPOKE_LOCAL;
    s->proxy_n = (uint16_t)used;
    visit_log_received(s);
    return STEP_DONE;
}

enum step greet_step(struct session *s, struct err *e)
{
    struct hello_packet packet;
    bool first = !s->hello.ssl_done && !s->hello.gss_done && !s->tls.used;

    if (s->origin == ORIGIN_BALANCER) {
        enum step step = read_proxy(s, e);
        if (step != STEP_DONE)
            return step;
    }
    if (first && s->in.n > 0 && s->in.p[0] == HELLO_TLS_BYTE) {
        if (!tls_usable(s))
            return session_fail(s, PARTING_SILENT);
        if (s->flags & (SESSION_WITHOUT_DESCRIPTOR | SESSION_TOO_FAST))
            return turn_away(s);
        s->tls.direct = true;
        return session_goto(s, STATE_SEAL);
    }
    for (;;) {
        enum code code = hello_next(&s->hello, buf_bytes(&s->in), &packet);
        if (code == E_MORE)
            return s->flags & SESSION_DEAF ? ended(s, e) : STEP_MORE;
        if (code != OK) {
            err_set(e, E_PROTOCOL, "invalid length of startup packet");
            return session_fail(s, PARTING_LOGGED);
        }
        switch (packet.kind) {
        case HELLO_STARTUP:
        case HELLO_CANCEL:
            return session_goto(s, STATE_STARTUP);
        case HELLO_SSL: {
            if (s->flags & (SESSION_WITHOUT_DESCRIPTOR | SESSION_TOO_FAST))
                return turn_away(s);
            char answer = hello_answer_ssl(&s->hello, tls_usable(s));
            buf_append_byte(&s->out, (uint8_t)answer);
            buf_consume(&s->in, packet.used);
            if (answer == 'S')
                return session_goto(s, STATE_SEAL);
            if (s->in.n > 0)
                return refuse_stuffed(s, "SSL", e);
            break;
        }
        case HELLO_GSSENC:
            buf_append_byte(&s->out, (uint8_t)hello_answer_gss(&s->hello));
            buf_consume(&s->in, packet.used);
            if (s->in.n > 0)
                return refuse_stuffed(s, "GSSAPI encryption", e);
            break;
        }
    }
}
