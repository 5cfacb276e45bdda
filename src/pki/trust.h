/**
 * Files of what is believed: trust stores and revocation lists, read as OpenSSL reads them.
 */
#ifndef PGSEAL_PKI_TRUST_H
#define PGSEAL_PKI_TRUST_H

#include "pki/cert.h"
#include "pki/crl.h"

/** Both in the order of the file; owned. */
struct trust {
    struct cert_list certs;
    struct crl_list crls;
};

void trust_fini(struct trust *trust);
void trust_auto(struct trust *trust);

/**
 * All that OpenSSL believes in when it is given the file as ssl_ca_file, ssl_crl_file, sslrootcert or sslcrl:
 * CERTIFICATE and TRUSTED CERTIFICATE blocks, and X509 CRL blocks. It makes no difference which setting names
 * the file: a certificate in a revocation file is a CA, too. Other blocks, keys among them, are passed over.
 *
 * file  for messages only.
 * out   filled, not emptied before: files add up. Both lists stay empty when there is nothing.
 *
 * E_CONFIG, E_LIMIT.
 * [src: SSL_CTX_load_verify_locations(3); X509_STORE_load_locations(3); PEM_X509_INFO_read_bio(3)]
 */
MUST_CHECK enum code trust_from_pem(struct bytes pem, const char *file, struct trust *out, struct err *e);
/** The same from a file; nothing in it is E_CONFIG, as it is for OpenSSL. */
MUST_CHECK enum code trust_load(const char *path, struct trust *out, struct err *e);
/**
 * The lists that OpenSSL would find in a directory (ssl_crl_dir) for this CA: HASH.r0 and on. Those that
 * cannot be read are none.
 */
MUST_CHECK enum code trust_add_dir(const char *dir, X509 *authority, struct crl_list *out, struct err *e);

/**
 * A warning for each block that OpenSSL passes over in a file of certificates, private keys and parameters
 * excepted: PKCS7, CERTIFICATE REQUEST, and names that nobody knows. E_NOMEM.
 */
MUST_CHECK enum code trust_skipped(struct bytes pem, const char *file, struct diags *diags, struct err *e);

#endif
