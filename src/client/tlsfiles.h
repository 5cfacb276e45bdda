/**
 * Which certificate files a TLS connection uses, and which of them libpq would refuse.
 * [src: PostgreSQL 18, "SSL Support"; fe-secure-openssl.c initialize_SSL]
 */
#ifndef PGSEAL_CLIENT_TLSFILES_H
#define PGSEAL_CLIENT_TLSFILES_H

#include "base/err.h"

struct arena;
struct conn_world;
struct conninfo;

enum tls_root {
    TLS_ROOT_NONE,  /* the chain is not verified */
    TLS_ROOT_FILE,  /* `root_file` */
    TLS_ROOT_SYSTEM /* OpenSSL's default paths */
};

/** Empty texts: none. All live in the arena and end in a NUL. */
struct tls_files {
    enum tls_root root;
    bool verify_name; /* also check the host name (verify-full) */
    struct str root_file;
    struct str crl_file; /* only with TLS_ROOT_FILE; a missing or bad one is ignored silently */
    struct str crl_dir;  /* likewise, but always loaded once set */
    struct str cert;
    struct str key; /* PEM first, then DER */
    struct str key_password;
};

/**
 * Decide. E_TLS with libpq's text, E_NOMEM. Files are looked at, not read: `could not read root certificate
 * file "F": R` and its like are the TLS layer's to say.
 */
MUST_CHECK enum code tls_files_find(const struct conninfo *info, const struct conn_world *world,
                                    struct arena *arena, struct tls_files *out, struct err *e);

#endif
