/**
 * Settings → the OpenSSL objects that every connection of one kind shares.
 *
 * Each worker has a library context of its own (`struct tls_library`), and per snapshot one `struct
 * tls_context` made in it: shared ones cost a third of the second worker's speed.
 * [src: PostgreSQL 18, "Secure TCP/IP Connections with SSL"; be_tls_init]
 */
#ifndef PGSEAL_TLS_CONTEXT_H
#define PGSEAL_TLS_CONTEXT_H

#include "base/err.h"

struct secret;
struct tls_library;
struct tls_context;

/** One OSSL_LIB_CTX, configured from the system's openssl.cnf. NULL when memory ran out. */
struct tls_library *tls_library_new(void);
void tls_library_free(struct tls_library *library);

/** 0: no bound. Others are OpenSSL's wire numbers. */
enum tls_version { TLS_ANY = 0, TLS_1_0 = 0x0301, TLS_1_1 = 0x0302, TLS_1_2 = 0x0303, TLS_1_3 = 0x0304 };

/** What ALPN agrees on. */
enum tls_protocol {
    TLS_PROTOCOL_POSTGRESQL, /* "postgresql" */
    TLS_PROTOCOL_CANCEL,     /* "pgseal-cancel": one gate sends another a cancel request, and nothing else */
    TLS_PROTOCOL_HTTP        /* "http/1.1" */
};

/** Who seals and opens records when the handshake is over. TLS 1.2 and ciphers that tls/record.h does not know are
 * OpenSSL's in any case. */
enum tls_records { TLS_RECORDS_OPENSSL, TLS_RECORDS_OWN };

/** Where the passphrase of an encrypted key comes from. */
enum tls_passphrase {
    TLS_PASSPHRASE_PROMPT, /* OpenSSL asks on the terminal; the answer is kept in `passphrase` for the next
                              context */
    TLS_PASSPHRASE_GIVEN,  /* `passphrase` holds it */
    TLS_PASSPHRASE_REFUSE  /* an encrypted key fails: "cannot be reloaded because it requires a passphrase" */
};

/** A certificate and its key that are in no file; borrowed. */
struct tls_pair {
    struct x509_st *cert;
    struct x509_st *issuer; /* sent after it */
    struct evp_pkey_st *key;
};

/** All texts borrowed, NUL-terminated, absolute paths; "" where PostgreSQL's default is ''. */
struct tls_server_params {
    const struct tls_pair *pair; /* NULL: cert_file and key_file */
    const char *cert_file, *key_file, *ca_file, *crl_file, *crl_dir, *dh_params_file;
    const char *ciphers, *tls13_ciphers, *groups;
    enum tls_protocol protocol; /* clients that offer ALPN must offer its name */
    bool prefer_server_ciphers;
    bool takes_cancels; /* TLS_PROTOCOL_CANCEL may be chosen too */
    bool reload;        /* a bad DH file is then a warning, and the built-in group is used */
    enum tls_version min_version, max_version;
    enum tls_records records;
    enum tls_passphrase passphrase_from;
    struct secret *passphrase; /* borrowed */
};

struct tls_client_params {
    const char *root_file; /* "": the chain is not verified; "system": OpenSSL's default paths */
    const char *crl_file, *crl_dir;
    bool crl_required;                /* a CRL that does not load fails; else it is none, as with libpq */
    const char *cert_file, *key_file; /* "": no client certificate. Permissions are checked by the caller */
    const char *key_password;         /* NULL: OpenSSL prompts on the terminal; see no_prompt */
    bool no_prompt;                   /* an encrypted key without a password then fails */
    bool any_version;                 /* probe: no lower bound and security level 0 */
    enum tls_version min_version, max_version;
    enum tls_records records;
    const char *ciphers, *tls13_ciphers, *groups; /* NULL: the library's defaults (probe sets them) */
    enum tls_protocol protocol;                   /* to offer, where ALPN is offered */
    const char
        *visit; /* NULL; what a check says of itself (tls/hosts.h), borrowed; "": each connection says it */
    const char *keylog_file; /* NULL: the sessions' secrets are told to nobody */
};

void tls_context_free(struct tls_context *context);
/** True when a client CA is loaded: client certificates are asked for and verified. */
bool tls_context_verifies_clients(const struct tls_context *context);
/**
 * The hash that `tls-server-end-point` binds to, of the certificate this context serves.
 * Empty where the signature names no hash (Ed25519). Lives as long as the context.
 */
struct bytes tls_context_end_point(const struct tls_context *context);
/** SHA-256 of the certificate this context serves, 32 bytes; empty on a client context without one. */
struct bytes tls_context_fingerprint(const struct tls_context *context);
/** The DER of the certificate this context serves; empty without one. */
struct bytes tls_context_certificate(const struct tls_context *context);

#endif
