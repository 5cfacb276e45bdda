/**
 * The system's trust store: what clients with sslrootcert=system believe in.
 */
#ifndef PGSEAL_PKI_ROOTS_H
#define PGSEAL_PKI_ROOTS_H

#include <openssl/types.h>
#include <stdbool.h>

struct cert_list;

/**
 * Is the issuer of `cert` a root of the system's trust store? Then it is appended to `roots`; false when it
 * was there before. Looks where OpenSSL looks: the directory and the file of its defaults, or of SSL_CERT_DIR
 * and SSL_CERT_FILE. False also when memory runs out.
 */
bool roots_system_add(X509 *cert, struct cert_list *roots);

#endif
