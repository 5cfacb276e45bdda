/**
 * Programs as a source: ACME clients in CSR mode, and any command that has a signing request signed.
 *
 * Every program runs in a directory of its own (0700) with our request in it; it never sees the key. No shell
 * reads the arguments.
 */
#ifndef PGSEAL_RENEW_SOURCE_COMMAND_H
#define PGSEAL_RENEW_SOURCE_COMMAND_H

#include "renew/source.h"

/**
 * Have leaf->key certified. `chain` gets what the program delivered, leaf first.
 *
 * leaf  its key is replaced where the command makes keys itself (%key).
 * E_IO: the program failed; the detail is the end of what it said. E_CANCELED: it took too long. E_CONFIG: it
 * delivered no certificate.
 */
MUST_CHECK enum code renew_from_command(const struct renew_order *order, struct leaf *leaf,
                                        struct cert_list *chain, struct err *e);

#endif
