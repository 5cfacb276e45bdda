/**
 * What the TLS contexts of a gate are made with, from its settings.
 */
#ifndef PGSEAL_GATE_LOAD_TLS_PARAMS_H
#define PGSEAL_GATE_LOAD_TLS_PARAMS_H

#include "tls/context.h"

struct secret;
struct settings;

/** Whose records, to clients and to servers. */
enum tls_records tls_params_records(const struct settings *settings);
/** The server side, all but passphrase_from. Borrowed: texts are the settings' own. reload: another snapshot is in
 * force. */
struct tls_server_params tls_params_server(const struct settings *settings, struct secret *passphrase,
                                           bool reload);

#endif
