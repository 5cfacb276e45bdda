/**
 * OpenSSL's errors and alerts in PostgreSQL's words.
 */
#ifndef PGSEAL_TLS_DIAG_H
#define PGSEAL_TLS_DIAG_H

#include "tls/context.h"

enum { DIAG_REASON_MAX = 160 };

/** "TLSv1.2"; "" for TLS_ANY. */
const char *tls_version_name(enum tls_version version);

/**
 * The first queued error in PostgreSQL's words, and the queue emptied. `ecode` 0: "no SSL error reported".
 */
const char *diag_reason(unsigned long ecode, char *buf, size_t size);
/** The same for the first error of the queue. */
const char *diag_first(char *buf, size_t size);
/** True for the errors that come of two sides without a common protocol version. */
bool diag_is_version(unsigned long ecode);

/** "unknown_ca" for 48; "" for numbers that no RFC names. */
const char *tls_alert_name(int alert);
/** The alert as a program prints it that received it through OpenSSL: "tlsv1 alert unknown ca" for 48. Versions of
 * OpenSSL have words of their own. "" for numbers it has none for. */
const char *tls_alert_reason(int alert);

#endif
