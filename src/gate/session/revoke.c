/*
 * Sessions whose certificate was revoked while they lived.
 *
 * PostgreSQL looks at a certificate once, in the handshake. Sessions may live for weeks; a certificate that
 * is revoked because its key was stolen should not. [choice: ssl_crl_ends_sessions, off unless set]
 */
#include "gate/session/revoke.h"

#include "base/check.h"
#include "base/log.h"
#include "gate/session/session.h"
#include "gate/work/worker.h"
#include "pki/cert.h"
#include "pki/crl.h"
#include "tls/engine.h"

static bool is_revoked(struct session *s)
{
    struct snapshot *snapshot = s->worker->snapshot;
    const struct crl_list *lists = snapshot_crls(snapshot);
    AUTO(cert) struct x509_st *cert = s->client.tls ? tls_engine_peer(s->client.tls) : NULL;

    if (!cert || !snapshot_settings(snapshot)->ssl_crl_ends_sessions)
        return false;
    for (size_t i = 0; i < lists->n; i++)
        if (crl_revokes(lists->items[i], cert))
            return true;
    return false;
}

bool session_end_revoked(struct session *s)
{
    struct log_line line;

    if (s->state == STATE_FAREWELL || !s->tls.has_cert || !is_revoked(s))
        return false;
    session_log(s, &line, SEV_LOG, "certificate_revoked");
    log_c(&line, "message", "the client's certificate has been revoked; its session ends");
    log_str(&line, "serial", s->tls.cert.serial);
    log_str(&line, "subject", s->tls.cert.slash);
    log_str(&line, "issuer", s->tls.cert.issuer);
    log_end(&line);
    session_drain(s, true);
    return true;
}
