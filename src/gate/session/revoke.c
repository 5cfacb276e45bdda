/*
 * Sessions whose certificate was revoked while they lived.
 *
 * PostgreSQL looks at a certificate once, in the handshake. Sessions may live for weeks; a certificate that
 * is revoked because its key was stolen should not. [choice: ssl_crl_ends_sessions]
 */
#include "gate/session/revoke.h"

#include "base/check.h"
#include "base/log.h"
#include "gate/session/session.h"
#include "gate/work/worker.h"
#include "pki/cert.h"
#include "pki/crl.h"
#include "tls/engine_facts.h"

/* Lists that are to be asked; NULL: none. */
static const struct crl_list *lists_for(const struct session *s)
{
    struct snapshot *snapshot = s->worker->snapshot;
    const struct crl_list *lists = snapshot_crls(snapshot);

    if (s->state == STATE_FAREWELL || !s->client.tls || !s->tls.has_cert)
        return NULL;
    return lists->n > 0 && snapshot_settings(snapshot)->ssl_crl_ends_sessions ? lists : NULL;
}

static bool is_listed(const struct crl_list *lists, struct x509_st *cert)
{
    for (size_t i = 0; i < lists->n; i++)
        if (crl_revokes(lists->items[i], cert))
            return true;
    return false;
}

bool session_end_revoked(struct session *s)
{
    const struct crl_list *lists = lists_for(s);
    AUTO(cert) struct x509_st *cert = lists ? tls_engine_peer(s->client.tls) : NULL;
    struct log_line line;

    /* It is kept as DER, and memory may be short: of whom we cannot tell, the session ends too. */
    if (!lists || (cert && !is_listed(lists, cert)))
        return false;
    session_log(s, &line, SEV_LOG, cert ? "certificate_revoked" : "certificate_unread");
    log_c(&line, "message",
          cert ? "the client's certificate has been revoked; its session ends"
               : "memory ran out before the client's certificate was compared with the revocation lists; its "
                 "session ends");
    log_str(&line, "serial", s->tls.cert.serial);
    log_str(&line, "subject", s->tls.cert.slash);
    log_str(&line, "issuer", s->tls.cert.issuer);
    log_end(&line);
    session_drain(s, true);
    return true;
}
