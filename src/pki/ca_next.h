/**
 * The CA that follows another one: like it, under a new name and with a new key.
 */
#ifndef PGSEAL_PKI_CA_NEXT_H
#define PGSEAL_PKI_CA_NEXT_H

#include "pki/ca.h"

struct cert_list;

/**
 * Parameters for the next generation of a CA: organization, kind of key, days of life, path length and name constraints
 * of `old`; its common name with the next number, "Acme CA" → "Acme CA G2" → "Acme CA G3".
 *
 * taken  certificates whose names the new one must not have; may be NULL. OpenSSL tells CAs apart by name first.
 * out    texts live in the arena; no passphrase.
 *
 * E_UNSUPPORTED: a name constraint of a type that cannot be written. E_NOMEM, E_TLS.
 */
MUST_CHECK enum code ca_params_next(X509 *old, const struct cert_list *taken, struct arena *arena,
                                    struct ca_params *out, struct err *e);

#endif
