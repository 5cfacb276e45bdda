/*
 * TLS with the client.
 *
 * Whatever was received after the SSLRequest is the engine's first input. When the handshake stands,
 * everything a rule may ask for is read off it once; after that only the facts are looked at.
 */
#include "gate/session/seal.h"

#include "base/check.h"
#include "base/clean.h"
#include "client/verify.h"
#include "client/verify_served.h"
#include "gate/session/meters.h"
#include "gate/session/revoke.h"
#include "gate/session/tally_session.h"
#include "gate/session/trial.h"
#include "gate/session/visit.h"
#include "gate/stats/tally.h"
#include "gate/work/worker.h"
#include "pki/cert.h"
#include "pki/peer.h"
#include "tls/context.h"
#include "tls/diag.h"
#include "tls/engine.h"

#include <stdio.h>

enum step seal_enter(struct session *s, struct err *e)
{
    struct tls_context *context = snapshot_tls(s->snapshot, s->worker->index);

    /* The one byte must be on its way before the handshake; a client that is gone shows itself there. */
    if (!buf_ok(&s->out)) {
        err_set(e, E_NOMEM, "out of memory");
        return session_fail(s, PARTING_LOGGED);
    }
    if (s->out.n > 0 && stream_write(&s->client, buf_bytes(&s->out), e) != OK)
        return session_fail(s, PARTING_SILENT);
    buf_reset(&s->out);
    meters_handshake_begins(s);
    if (stream_tls_accept(&s->client, context) != OK) {
        err_set(e, E_NOMEM, "out of memory");
        return session_fail(s, PARTING_LOGGED);
    }
    trial_watch(s);
    return s->in.n > 0 ? seal_step(s, e) : STEP_MORE;
}

static void log_versions(struct log_line *line, const struct tls_handshake_facts *facts)
{
    const char *least = tls_version_name((enum tls_version)facts->offered_min);
    const char *most = tls_version_name((enum tls_version)facts->offered_max);
    char text[32];

    if (!facts->offered_max)
        return;
    if (facts->offered_min && facts->offered_min != facts->offered_max)
        (void)snprintf(text, sizeof text, "%s-%s", least[0] ? least : "SSLv3", most[0] ? most : "SSLv3");
    else
        (void)snprintf(text, sizeof text, "%s", most[0] ? most : "SSLv3");
    log_c(line, "offered", text);
}

/* One line that a person can act on. */
static void log_failure(struct session *s, const struct err *e, const struct tls_handshake_facts *facts)
{
    struct log_line line;

    session_log(s, &line, SEV_LOG, "tls_failed");
    log_err(&line, e);
    if (facts->sni[0])
        log_c(&line, "sni", facts->sni);
    log_versions(&line, facts);
    if (facts->alert_received >= 0)
        log_c(&line, "alert_received", tls_alert_name(facts->alert_received));
    if (facts->alert_sent >= 0)
        log_c(&line, "alert_sent", tls_alert_name(facts->alert_sent));
    session_log_cause(s, &line, cause_of_handshake(facts));
    log_end(&line);
}

/* What a handshake shows that the client broke off. */
static enum client_seen seen_of(enum cause cause)
{
    return cause == CAUSE_UNKNOWN_CA || cause == CAUSE_SERVER_EXPIRED || cause == CAUSE_SERVER_REVOKED ||
                   cause == CAUSE_SERVER_REFUSED
               ? CLIENT_DISTRUSTS
               : 0;
}

/* Somebody who can read our secret looks at what we serve. */
static bool is_own_visit(const struct session *s)
{
    const uint8_t *secret = s->worker->shared->nonce;

    return served_name_is(secret, s->tls.sni) ||
           served_name_is(secret, str_c(tls_engine_visit(s->client.tls)));
}

static enum step seal_failed(struct session *s, const struct err *e)
{
    struct tls_handshake_facts facts;
    enum visit_kind visit = visit_of(s);

    tls_engine_facts(s->client.tls, &facts);
    if (visit == VISIT_CHECK || (facts.no_host && is_own_visit(s))) { /* of a line that we have not loaded */
        s->handshake_us = 0;
        return session_fail(s, PARTING_SILENT);
    }
    meters_handshake_ended(s, false);
    if (trial_failed(s, &facts))
        return session_fail(s, PARTING_SILENT);
    log_failure(s, e, &facts);
    if (visit == VISIT_CLIENT)
        session_tally_stranger(s, seen_of(cause_of_handshake(&facts)));
    return session_fail(s, PARTING_SILENT); /* the alert, if there is one, has been sent */
}

static enum code read_facts(struct session *s, struct err *e)
{
    struct tls_engine *engine = s->client.tls;
    AUTO(cert) struct x509_st *cert = tls_engine_peer(engine);

    s->tls.used = true;
    s->tls.context = tls_engine_served(engine);
    s->tls.alpn = tls_engine_alpn(engine);
    if (tls_engine_is_cancel(engine))
        s->origin = ORIGIN_GATE;
    s->tls.version = tls_engine_version(engine);
    s->tls.cipher = tls_engine_cipher(engine);
    s->tls.group = tls_engine_group(engine);
    s->tls.bits = tls_engine_bits(engine);
    struct str sni;
    if (!arena_str(&s->arena, str_c(tls_engine_sni(engine)), &sni) ||
        !clean_text(CLEAN_ASCII, sni, &s->arena, &s->tls.sni))
        return err_set(e, E_NOMEM, "out of memory");
    if (s->tls.direct && !s->tls.alpn && s->origin != ORIGIN_GATE)
        return err_set(e, E_PROTOCOL,
                       "received direct SSL connection request without ALPN protocol negotiation extension");
    s->tls.has_cert = cert != NULL;
    return cert ? peer_cert_read(cert, &s->arena, &s->tls.cert, e) : OK;
}

/* Does the certificate we served bear the name that the client asked for? Nothing asked for: yes. */
static bool name_fits(struct session *s)
{
    AUTO(cert) struct x509_st *cert = NULL;
    struct cert_names names;
    struct err ignored;

    if (s->tls.sni.n == 0 || cert_from_der(tls_context_certificate(s->tls.context), &cert, &ignored) != OK ||
        cert_names_of(cert, &s->scratch, &names, &ignored) != OK)
        return true;
    return verify_host(&names, s->tls.sni, &ignored) == OK;
}

void seal_log_left(struct session *s)
{
    struct log_line line;

    if (trial_left(s) || is_own_visit(s))
        return;
    bool fits = name_fits(s);
    session_tally_stranger(s, fits ? 0 : CLIENT_WRONG_NAME);
    session_log(s, &line, SEV_LOG, "tls_left");
    log_c(&line, "message", "the client disconnected after the TLS handshake, before its first message");
    if (s->tls.sni.n > 0)
        log_str(&line, "sni", s->tls.sni);
    log_c(&line, "version", s->tls.version);
    session_log_cause(s, &line, fits ? CAUSE_CLIENT_LEFT : CAUSE_NAME_MISMATCH);
    log_end(&line);
}

enum step seal_step(struct session *s, struct err *e)
{
    struct bytes plain;

    switch (stream_handshake(&s->client, buf_bytes(&s->in), &plain, e)) {
    case STREAM_AGAIN:
        buf_reset(&s->in);
        return STEP_MORE;
    case STREAM_EOF:
    case STREAM_FAIL:
        return seal_failed(s, e);
    case STREAM_DATA:
        if (s->client.eof) /* its goodbye may come with its last word of the handshake */
            s->flags |= SESSION_DEAF;
        break;
    }
    buf_reset(&s->in);
    bool fits = buf_append(&s->in, plain);
    stream_wipe(plain);
    if (!fits) {
        err_set(e, E_NOMEM, "out of memory");
        return session_fail(s, PARTING_LOGGED);
    }
    if (read_facts(s, e) != OK)
        return session_fail(s, PARTING_LOGGED);
    meters_handshake_ended(s, true);
    /* A reload may have come in the middle of the handshake: the newest revocation lists decide. */
    if (session_end_revoked(s))
        return STEP_JOB;
    return session_goto(s, STATE_GREET);
}
