/**
 * Certificates in a file that somebody else has made: PEM, PKCS#7 (PEM or DER), or one certificate in DER.
 */
#ifndef PGSEAL_PKI_CERTFILE_H
#define PGSEAL_PKI_CERTFILE_H

#include "pki/cert.h"

/**
 * All certificates, in the order of the file. Stricter than OpenSSL's loaders: a file that is cut off, or that holds
 * a PEM block of another kind, is refused as a whole. Text between the blocks is passed over.
 *
 * file  for messages only.
 * out   filled, not emptied before: files add up.
 *
 * E_CONFIG, also where there is no certificate; E_LIMIT beyond CERT_LIST_MAX; E_NOMEM.
 * [src: RFC 7468, sections 5 and 8; RFC 2315, section 9.1]
 */
MUST_CHECK enum code certfile_parse(struct bytes data, const char *file, struct cert_list *out,
                                    struct err *e);
/** The same from a file. */
MUST_CHECK enum code certfile_load(const char *path, struct cert_list *out, struct err *e);

#endif
