/**
 * What a list of ciphers (ssl_ciphers) lets in.
 */
#ifndef PGSEAL_TLS_CIPHERS_H
#define PGSEAL_TLS_CIPHERS_H

#include "base/err.h"

struct arena;

struct tls_cipher_survey {
    size_t n_weak;   /* no authentication, no encryption, or one that is broken or shorter than 128 bits */
    struct str weak; /* their names, comma separated; cut after some */
    size_t n_static; /* no forward secrecy: the server's key opens what was recorded */
    size_t n_dhe;    /* finite-field Diffie-Hellman */
    size_t n_cbc;    /* CBC with a MAC beside it */
    size_t n;        /* all of them */
};

/**
 * Survey the suites up to TLS 1.2 that OpenSSL makes of the list, at the system's security level or the one
 * the list names. E_NOMEM. A list that OpenSSL does not take is empty.
 */
MUST_CHECK enum code tls_ciphers_survey(const char *list, struct arena *arena, struct tls_cipher_survey *out);

#endif
