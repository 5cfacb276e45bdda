/*
 * Facts of a failed handshake → cause.
 *
 * The strongest evidence comes first: what we found wrong with the client's certificate, then what the client
 * said in its alert, then what we said in ours. Only what is left is guessed from the reason.
 */
#include "tls/cause.h"

#include "base/check.h"
#include "tls/context_base.h"
#include "tls/engine.h"

#include <openssl/x509_vfy.h>

static const struct {
    const char *id, *text, *next;
} causes[CAUSE_COUNT] = {
    [CAUSE_NONE] = { "", "", "" },
#define X(name, id, text, next) [name] = { id, text, next },
#include "causes.def"
#undef X
};

const char *cause_id(enum cause cause)
{
    return causes[cause].id;
}

const char *cause_text(enum cause cause)
{
    return causes[cause].text;
}

const char *cause_next(enum cause cause)
{
    return causes[cause].next;
}

/* [src: OpenSSL 3.0, X509_STORE_CTX_get_error] */
static enum cause of_verification(int error, int depth)
{
    switch (error) {
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
        return CAUSE_CERT_UNKNOWN_CA;
    case X509_V_ERR_CERT_HAS_EXPIRED:
        return depth > 0 ? CAUSE_CLIENT_CA_EXPIRED : CAUSE_CERT_EXPIRED;
    case X509_V_ERR_CERT_NOT_YET_VALID:
        return CAUSE_CERT_NOT_YET;
    case X509_V_ERR_CERT_REVOKED:
        return CAUSE_CERT_REVOKED;
    case X509_V_ERR_INVALID_PURPOSE:
        return CAUSE_CERT_USAGE;
    case X509_V_ERR_UNABLE_TO_GET_CRL:
        return CAUSE_CRL_MISSING;
    case X509_V_ERR_CRL_HAS_EXPIRED:
        return CAUSE_CRL_EXPIRED;
    case X509_V_ERR_UNABLE_TO_DECRYPT_CRL_SIGNATURE:
    case X509_V_ERR_CRL_SIGNATURE_FAILURE:
    case X509_V_ERR_CRL_NOT_YET_VALID:
    case X509_V_ERR_UNABLE_TO_GET_CRL_ISSUER:
        return CAUSE_CRL_BAD;
    default:
        return CAUSE_CERT_BAD;
    }
}

/* [src: RFC 8446, section 6.2] */
static enum cause of_clients_alert(int alert)
{
    switch (alert) {
    case SSL3_AD_BAD_CERTIFICATE:
    case SSL3_AD_UNSUPPORTED_CERTIFICATE:
    case SSL3_AD_CERTIFICATE_UNKNOWN:
        return CAUSE_SERVER_REFUSED;
    case SSL3_AD_CERTIFICATE_REVOKED:
        return CAUSE_SERVER_REVOKED;
    case SSL3_AD_CERTIFICATE_EXPIRED:
        return CAUSE_SERVER_EXPIRED;
    case TLS1_AD_UNKNOWN_CA:
        return CAUSE_UNKNOWN_CA;
    case TLS1_AD_PROTOCOL_VERSION:
        return CAUSE_VERSION;
    case SSL3_AD_HANDSHAKE_FAILURE:
    case TLS1_AD_INSUFFICIENT_SECURITY:
        return CAUSE_NO_CIPHER;
    case SSL_AD_CLOSE_NOTIFY:
    case TLS1_AD_USER_CANCELLED:
        return CAUSE_CLIENT_GONE;
    default:
        return CAUSE_OTHER;
    }
}

static enum cause of_versions(const struct tls_handshake_facts *facts)
{
    if (!facts->offered_max)
        return CAUSE_NOT_TLS;
    if (facts->min_version && facts->offered_max < (unsigned)facts->min_version)
        return CAUSE_CLIENT_TOO_OLD;
    if (facts->max_version && facts->offered_min > (unsigned)facts->max_version)
        return CAUSE_CLIENT_TOO_NEW;
    return CAUSE_VERSION;
}

static enum cause of_our_alert(const struct tls_handshake_facts *facts)
{
    switch (facts->alert_sent) {
    case TLS1_AD_PROTOCOL_VERSION:
        return of_versions(facts);
    case SSL3_AD_HANDSHAKE_FAILURE:
    case TLS1_AD_INSUFFICIENT_SECURITY:
        return CAUSE_NO_CIPHER;
    case TLS1_AD_NO_APPLICATION_PROTOCOL:
        return CAUSE_NO_ALPN;
    default:
        return facts->offered_max ? CAUSE_OTHER : CAUSE_NOT_TLS;
    }
}

static bool hung_up(const char *reason)
{
    static const char *const reasons[] = { "EOF detected", "unexpected eof while reading",
                                           "Connection reset by peer" };

    for (size_t i = 0; i < COUNT_OF(reasons); i++)
        if (strcmp(reason, reasons[i]) == 0)
            return true;
    return false;
}

enum cause cause_of_handshake(const struct tls_handshake_facts *facts)
{
    if (facts->verify_error)
        return of_verification(facts->verify_error, facts->verify_depth);
    if (facts->no_host)
        return facts->sni[0] ? CAUSE_NO_HOST : CAUSE_NO_SNI;
    if (facts->alert_received >= 0)
        return of_clients_alert(facts->alert_received);
    if (hung_up(facts->reason)) /* before our alert: OpenSSL says decode_error to an end of file */
        return CAUSE_CLIENT_GONE;
    if (facts->alert_sent >= 0)
        return of_our_alert(facts);
    return facts->offered_max ? CAUSE_OTHER : CAUSE_NOT_TLS;
}
