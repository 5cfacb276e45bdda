/**
 * What HTTP clients are asked for, TLS and a bearer token, and what cancel keys are made with; loaded with
 * everything else of a configuration.
 */
#ifndef PGSEAL_GATE_LOAD_HTTP_ACCESS_H
#define PGSEAL_GATE_LOAD_HTTP_ACCESS_H

#include "base/secret.h"

struct settings;
struct tls_context;
struct tls_library;
struct tls_server_params;

/** Zero: nothing is asked for. Neither is ever shown. */
struct http_access {
    struct tls_context *tls; /* NULL: plain HTTP */
    struct secret token;     /* empty: none */
    struct secret cancels;   /* of cancel_secret_file; empty: none */
};

/**
 * TLS and the token are used where http_listen is more than loopback, and where their settings are made. A
 * unix socket has no use for TLS.
 */
bool http_access_wants_tls(const struct settings *settings);
bool http_access_wants_token(const struct settings *settings);
/** The files in use when http_access_wants_tls(); NULL where none is set. */
const char *http_access_cert_file(const struct settings *settings);
const char *http_access_key_file(const struct settings *settings);

/**
 * Read both, as far as they are wanted; what is missing, unsafe or unfit is an error that refuses the load.
 *
 * params  those of the server's own context: passphrase, ciphers and groups are taken from it.
 * out     zero before; http_access_fini() also after a failure.
 */
MUST_CHECK enum code http_access_load(const struct settings *settings, struct tls_library *library,
                                      const struct tls_server_params *params, struct http_access *out,
                                      struct diags *diags);
void http_access_fini(struct http_access *access);

/** Read cancel_secret_file, where it is set. The same rules. */
MUST_CHECK enum code http_access_load_cancels(const struct settings *settings, struct http_access *out,
                                              struct diags *diags);

#endif
