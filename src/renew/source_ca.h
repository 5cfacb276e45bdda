/**
 * The own CA as a source.
 */
#ifndef PGSEAL_RENEW_SOURCE_CA_H
#define PGSEAL_RENEW_SOURCE_CA_H

#include "renew/source.h"

/** Is there a CA, and has it issued the certificate in use? False also where it cannot be read. */
bool renew_ca_issued(const struct renew_order *order);
/** Is there a CA, and has another one issued the certificate in use? A CA that is kept away tells nothing. */
bool renew_ca_is_another(const struct renew_order *order);
/** Sign a certificate for leaf->key and write a fresh revocation list. `chain` gets the leaf and what follows. */
MUST_CHECK enum code renew_from_ca(const struct renew_order *order, const struct leaf *leaf,
                                   struct cert_list *chain, struct err *e);

#endif
