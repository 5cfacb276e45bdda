/*
 * The system's trust store, asked for one root.
 *
 * OpenSSL's own way would be to load it whole: 140 certificates, 200,000 allocations and more time than all
 * the rest of a reload takes, to find one or none. The directory is sorted by name, so that only what has
 * the right name is read. In the file that holds all, only those are parsed whose DER contains the name.
 */
#include "pki/roots.h"

#include "base/check.h"
#include "pki/cert.h"
#include "pki/ossl.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509_vfy.h>
#include <stdlib.h>
#include <string.h>

static bool is_root_of(X509 *issuer, X509 *cert)
{
    return cert_self_signed(issuer) && cert_issued_by(cert, issuer);
}

/* Returned to caller. */
static X509 *directory_find(X509 *cert)
{
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    X509_LOOKUP *lookup = store ? X509_STORE_add_lookup(store, X509_LOOKUP_hash_dir()) : NULL;
    X509 *issuer = NULL;

    bool found = ctx && lookup && X509_LOOKUP_add_dir(lookup, NULL, X509_FILETYPE_DEFAULT) &&
                 X509_STORE_CTX_init(ctx, store, NULL, NULL) &&
                 X509_STORE_CTX_get1_issuer(&issuer, ctx, cert) == 1 && is_root_of(issuer, cert);
    if (!found)
        X509_free(issuer);
    X509_STORE_CTX_free(ctx);
    X509_STORE_free(store);
    return found ? issuer : NULL;
}

/* One block of a PEM file; others than certificates do not parse as one. */
static X509 *block_root_of(struct bytes block, X509 *cert)
{
    const unsigned char *name, *p = block.p;
    size_t n;

    /* A CA encodes its name in what it issues as in its own certificate. [src: RFC 5280 §4.1.2.6] */
    if (!X509_NAME_get0_der(X509_get_issuer_name(cert), &name, &n) || !memmem(block.p, block.n, name, n))
        return NULL;
    X509 *candidate = d2i_X509_AUX(NULL, &p, (long)block.n);
    if (candidate && is_root_of(candidate, cert))
        return candidate;
    X509_free(candidate);
    return NULL;
}

static X509 *file_find(X509 *cert)
{
    const char *path = secure_getenv(X509_get_default_cert_file_env());
    AUTO(bio) BIO *bio = BIO_new_file(path ? path : X509_get_default_cert_file(), "r");
    char *kind, *header;
    unsigned char *data;
    X509 *found = NULL;
    long n;

    while (bio && !found && PEM_read_bio(bio, &kind, &header, &data, &n)) {
        found = block_root_of(bytes_of(data, (size_t)n), cert);
        OPENSSL_free(kind);
        OPENSSL_free(header);
        OPENSSL_free(data);
    }
    return found;
}

bool roots_system_add(X509 *cert, struct cert_list *roots)
{
    X509 *found = directory_find(cert);

    if (!found)
        found = file_find(cert);
    ERR_clear_error();
    bool added = found && !cert_list_has(roots, found) && cert_list_add(roots, found) == OK;
    X509_free(found);
    return added;
}
