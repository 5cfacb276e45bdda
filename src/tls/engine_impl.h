/**
 * The inside of an engine: for engine.c and the callbacks of its handshake.
 */
#ifndef PGSEAL_TLS_ENGINE_IMPL_H
#define PGSEAL_TLS_ENGINE_IMPL_H

#include "tls/diag.h"
#include "tls/engine.h"

#include <openssl/ssl.h>

struct tls_engine {
    SSL *ssl;
    struct tls_port *port;
    enum tls_protocol protocol; /* the context's, as are these: it may be gone by now */
    enum tls_version min_version, max_version;
    char *verify_detail; /* of a certificate that was refused; NULL: none was */
    int verify_error, verify_depth;
    int16_t alert_sent, alert_received;
    uint16_t offered_min, offered_max;
    bool server;
    bool failed;
    bool bulk;
    bool relaxed;        /* nothing secret comes any more */
    bool cert_requested; /* by the server, of us */
    bool cert_sent;
    char reason[DIAG_REASON_MAX / 2];
};

#endif
