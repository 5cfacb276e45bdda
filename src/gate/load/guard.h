/**
 * What HTTP clients are asked for, TLS and a bearer token, and what cancel keys are made with; loaded with
 * everything else of a configuration.
 */
#ifndef PGSEAL_GATE_LOAD_GUARD_H
#define PGSEAL_GATE_LOAD_GUARD_H

#include "base/secret.h"

struct settings;
struct tls_context;
struct tls_library;
struct tls_server_params;

/** Zero: nothing is asked for. Neither is ever shown. */
struct guard {
    struct tls_context *tls; /* NULL: plain HTTP */
    struct secret token;     /* empty: none */
    struct secret cancels;   /* of cancel_secret_file; empty: none */
};

/**
 * TLS and the token are used where http_listen is more than loopback, and where their settings are made. A
 * unix socket has no use for TLS.
 */
bool guard_wants_tls(const struct settings *settings);
bool guard_wants_token(const struct settings *settings);
/** The files in use when guard_wants_tls(); NULL where none is set. */
const char *guard_cert_file(const struct settings *settings);
const char *guard_key_file(const struct settings *settings);

/**
 * Read both, as far as they are wanted; what is missing, unsafe or unfit is an error that refuses the load.
 *
 * params  those of the server's own context: passphrase, ciphers and groups are taken from it.
 * out     zero before; guard_fini() also after a failure.
 */
MUST_CHECK enum code guard_load(const struct settings *settings, struct tls_library *library,
                                const struct tls_server_params *params, struct guard *out,
                                struct diags *diags);
void guard_fini(struct guard *guard);

/** Read cancel_secret_file, where it is set. The same rules. */
MUST_CHECK enum code guard_load_cancels(const struct settings *settings, struct guard *out,
                                        struct diags *diags);

#endif
