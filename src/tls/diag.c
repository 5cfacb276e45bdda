/* OpenSSL's error queue and alert numbers → texts that PostgreSQL's users know. */

#include "tls/diag.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>

const char *diag_reason(unsigned long ecode, char *buf, size_t size)
{
    if (ecode == 0) {
        (void)snprintf(buf, size, "no SSL error reported");
        return buf;
    }
    if (ERR_SYSTEM_ERROR(ecode)) {
        (void)snprintf(buf, size, "%s", strerror(ERR_GET_REASON(ecode)));
        return buf;
    }
    const char *reason = ERR_reason_error_string(ecode);
    if (reason)
        (void)snprintf(buf, size, "%s", reason);
    else
        (void)snprintf(buf, size, "SSL error code %lu", ecode);
    return buf;
}

const char *diag_first(char *buf, size_t size)
{
    unsigned long ecode = ERR_get_error();

    ERR_clear_error();
    return diag_reason(ecode, buf, size);
}

bool diag_is_version(unsigned long ecode)
{
    if (ERR_GET_LIB(ecode) != ERR_LIB_SSL)
        return false;
    switch (ERR_GET_REASON(ecode)) {
    case SSL_R_NO_PROTOCOLS_AVAILABLE:
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_BAD_PROTOCOL_VERSION_NUMBER:
    case SSL_R_UNKNOWN_PROTOCOL:
    case SSL_R_UNKNOWN_SSL_VERSION:
    case SSL_R_UNSUPPORTED_SSL_VERSION:
    case SSL_R_WRONG_SSL_VERSION:
    case SSL_R_WRONG_VERSION_NUMBER:
    case SSL_R_TLSV1_ALERT_PROTOCOL_VERSION:
    case SSL_R_VERSION_TOO_HIGH:
    case SSL_R_VERSION_TOO_LOW:
        return true;
    default:
        return false;
    }
}

const char *tls_alert_reason(int alert)
{
    (void)OPENSSL_init_ssl(OPENSSL_INIT_LOAD_SSL_STRINGS, NULL);
    const char *reason = ERR_reason_error_string(ERR_PACK(ERR_LIB_SSL, 0, SSL_AD_REASON_OFFSET + alert));

    return reason ? reason : "";
}

const char *tls_alert_name(int alert)
{
    static const struct {
        int number;
        const char *name;
    } names[] = {
        { 0, "close_notify" },
        { 10, "unexpected_message" },
        { 20, "bad_record_mac" },
        { 22, "record_overflow" },
        { 40, "handshake_failure" },
        { 42, "bad_certificate" },
        { 43, "unsupported_certificate" },
        { 44, "certificate_revoked" },
        { 45, "certificate_expired" },
        { 46, "certificate_unknown" },
        { 47, "illegal_parameter" },
        { 48, "unknown_ca" },
        { 49, "access_denied" },
        { 50, "decode_error" },
        { 51, "decrypt_error" },
        { 70, "protocol_version" },
        { 71, "insufficient_security" },
        { 80, "internal_error" },
        { 86, "inappropriate_fallback" },
        { 90, "user_canceled" },
        { 109, "missing_extension" },
        { 110, "unsupported_extension" },
        { 112, "unrecognized_name" },
        { 113, "bad_certificate_status_response" },
        { 115, "unknown_psk_identity" },
        { 116, "certificate_required" },
        { 120, "no_application_protocol" },
    };

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (names[i].number == alert)
            return names[i].name;
    return "";
}

const char *tls_version_name(enum tls_version version)
{
    switch (version) {
    case TLS_ANY:
        return "";
    case TLS_1_0:
        return "TLSv1";
    case TLS_1_1:
        return "TLSv1.1";
    case TLS_1_2:
        return "TLSv1.2";
    case TLS_1_3:
        return "TLSv1.3";
    }
    return "";
}
