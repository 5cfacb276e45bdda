/**
 * A hint for files that hold DER where PEM is read: OpenSSL's own words for it send nobody to the cause.
 */
#ifndef PGSEAL_PKI_DER_H
#define PGSEAL_PKI_DER_H

#include "base/err.h"

/**
 * If the file is a certificate, a revocation list or a key in DER, make that the hint of `e` (may be NULL).
 */
void der_hint(const char *path, struct err *e);

#endif
