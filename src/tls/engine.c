/*
 * One TLS session over the buffers of a worker.
 *
 * OpenSSL wants a BIO; ours is one per worker and looks, during a step, at the `struct tls_io` of that step.
 * Input is always consumed to its end (OpenSSL keeps a partial record itself), so nothing of the worker's
 * buffer has to be kept for a connection. End of file is reported to OpenSSL as such, so that a peer that
 * goes away without close_notify gets the alert that PostgreSQL sends.
 */
#include "tls/engine.h"

#include "tls/context_base.h"
#include "tls/diag.h"
#include "tls/engine_impl.h"
#include "tls/handover.h"

#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- the BIO ---- */

static int port_read(BIO *bio, char *dst, size_t size, size_t *got)
{
    struct tls_port *port = BIO_get_data(bio);
    struct tls_io *io = port->io;

    BIO_clear_retry_flags(bio);
    if (io->in.n == 0) {
        if (!io->eof)
            BIO_set_retry_read(bio);
        *got = 0;
        return 0;
    }
    size_t n = size < io->in.n ? size : io->in.n;
    memcpy(dst, io->in.p, n);
    io->in = bytes_from(io->in, n);
    *got = n;
    return 1;
}

static int port_write(BIO *bio, const char *src, size_t size, size_t *put)
{
    struct tls_port *port = BIO_get_data(bio);
    struct tls_io *io = port->io;
    size_t room = io->out_size - io->out_n;
    size_t n = size < room ? size : room;

    BIO_clear_retry_flags(bio);
    if (n == 0) {
        BIO_set_retry_write(bio);
        *put = 0;
        return 0;
    }
    memcpy(io->out + io->out_n, src, n);
    io->out_n += n;
    *put = n;
    return 1;
}

static long port_ctrl(BIO *bio, int command, long number, void *pointer)
{
    struct tls_port *port = BIO_get_data(bio);

    (void)number;
    (void)pointer;
    if (command == BIO_CTRL_EOF)
        return port->io && port->io->eof && port->io->in.n == 0;
    return command == BIO_CTRL_FLUSH;
}

struct tls_port *tls_port_new(void)
{
    struct tls_port *port = calloc(1, sizeof *port);

    if (!port)
        return NULL;
    port->method = BIO_meth_new(BIO_TYPE_SOURCE_SINK | BIO_get_new_index(), "pgseal worker");
    if (!port->method || BIO_meth_set_read_ex(port->method, port_read) != 1 ||
        BIO_meth_set_write_ex(port->method, port_write) != 1 ||
        BIO_meth_set_ctrl(port->method, port_ctrl) != 1 || !(port->bio = BIO_new(port->method)) ||
        !(port->records = record_tools_new())) {
        tls_port_free(port);
        return NULL;
    }
    BIO_set_data(port->bio, port);
    BIO_set_init(port->bio, 1);
    return port;
}

void tls_port_free(struct tls_port *port)
{
    if (!port)
        return;
    BIO_free(port->bio);
    BIO_meth_free(port->method);
    record_tools_free(port->records);
    free(port);
}

/* ---- sessions ---- */

static struct tls_engine *engine_new(struct tls_port *port, struct tls_context *context, bool server)
{
    struct tls_engine *e = calloc(1, sizeof *e);

    if (!e)
        return NULL;
    *e = (struct tls_engine){ .port = port,
                              .protocol = context->protocol,
                              .min_version = context->min_version,
                              .max_version = context->max_version,
                              .record_max = context->record_max,
                              .own = context->own_records,
                              .logs_keys = context->logs_keys,
                              .server = server,
                              .alert_sent = -1,
                              .alert_received = -1 };
    e->ssl = SSL_new(context->ssl_ctx);
    if (!e->ssl || SSL_set_app_data(e->ssl, (char *)e) != 1 || BIO_up_ref(port->bio) != 1) {
        tls_engine_free(e);
        ERR_clear_error();
        return NULL;
    }
    (void)SSL_set_options(e->ssl, SSL_OP_CLEANSE_PLAINTEXT);
    SSL_set_bio(e->ssl, port->bio, port->bio);
    return e;
}

struct tls_engine *tls_engine_new_server(struct tls_port *port, struct tls_context *context)
{
    struct tls_engine *e = engine_new(port, context, true);

    if (e) {
        SSL_set_accept_state(e->ssl);
        e->served = context;
    }
    return e;
}

struct tls_engine *tls_engine_new_client(struct tls_port *port, struct tls_context *context, const char *sni,
                                         bool alpn)
{
    struct bytes offer = protocol_alpn(context->protocol);
    struct tls_engine *e = engine_new(port, context, false);

    if (!e)
        return NULL;
    SSL_set_connect_state(e->ssl);
    if ((sni && sni[0] && SSL_set_tlsext_host_name(e->ssl, (char *)(uintptr_t)sni) != 1) ||
        (alpn && SSL_set_alpn_protos(e->ssl, offer.p, (unsigned)offer.n) != 0)) {
        tls_engine_free(e);
        ERR_clear_error();
        return NULL;
    }
    return e;
}

bool tls_engine_say_visit(struct tls_engine *engine, const char *visit)
{
    free(engine->visit);
    engine->visit = strdup(visit);
    return engine->visit != NULL;
}

void tls_engine_on_hello(struct tls_engine *engine, tls_hello_fn *fn, void *arg)
{
    engine->on_hello = fn;
    engine->hello_arg = arg;
}

void tls_engine_free(struct tls_engine *engine)
{
    if (!engine)
        return;
    if (!engine->ssl)
        record_fini(&engine->record, engine->port->records);
    SSL_free(engine->ssl);
    handover_forget(engine);
    handover_forget_facts(engine);
    free(engine->verify_detail);
    free(engine->asked);
    free(engine->visit);
    free(engine);
}

/* ---- steps ---- */

/* Make the texts of a failure from the queue's first error. */
static void explain(struct tls_engine *engine, unsigned long ecode, int saved_errno, const char *what,
                    struct err *e)
{
    char reason[DIAG_REASON_MAX];

    if (ecode == 0 && engine->port->io->eof)
        (void)snprintf(reason, sizeof reason, "EOF detected");
    else if (ecode == 0 && saved_errno)
        (void)snprintf(reason, sizeof reason, "%s", strerror(saved_errno));
    else
        diag_reason(ecode, reason, sizeof reason);
    (void)snprintf(engine->reason, sizeof engine->reason, "%.*s", (int)sizeof engine->reason - 1, reason);
    err_set(e, E_TLS, "%s: %s", what, reason);
    if (engine->verify_detail)
        err_detail(e, "%s", engine->verify_detail);
    if (diag_is_version(ecode)) {
        enum tls_version min = engine->min_version, max = engine->max_version;
        err_hint(e,
                 "This may indicate that the %s does not support any SSL protocol version between %s and %s.",
                 engine->server ? "client" : "server", min ? tls_version_name(min) : "TLSv1",
                 max ? tls_version_name(max) : "TLSv1.3");
    }
}

static enum tls_status classify(struct tls_engine *engine, int result, const char *what, struct err *e)
{
    int saved_errno = errno;

    switch (SSL_get_error(engine->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        return TLS_WANT_INPUT;
    case SSL_ERROR_WANT_WRITE:
        return TLS_WANT_ROOM;
    case SSL_ERROR_ZERO_RETURN:
        return TLS_CLOSED;
    default:
        break;
    }
    engine->failed = true;
    explain(engine, ERR_peek_error(), saved_errno, what, e);
    ERR_clear_error();
    return TLS_FAILED;
}

static void step_begin(struct tls_engine *engine, struct tls_io *io)
{
    engine->port->io = io;
    errno = 0;
    if (ERR_peek_error() != 0) /* looking costs a tenth of clearing */
        ERR_clear_error();
}

enum tls_status tls_engine_handshake(struct tls_engine *engine, struct tls_io *io, struct err *e)
{
    const char *what = engine->server ? "could not accept SSL connection" : "SSL error";

    if (!engine->ssl)
        return TLS_DONE;
    step_begin(engine, io);
    handover_listen(engine);
    int result = SSL_do_handshake(engine->ssl);
    if (result == 1) {
        if (engine->own)
            (void)handover_try(engine);
        return TLS_DONE;
    }
    enum tls_status status = classify(engine, result, what, e);
    if (status == TLS_CLOSED) { /* a close_notify in the middle of the handshake */
        engine->failed = true;
        (void)snprintf(engine->reason, sizeof engine->reason, "EOF detected");
        err_set(e, E_TLS, "%s: EOF detected", what);
        return TLS_FAILED;
    }
    return status;
}

/* Our own records have no queue of errors; their reasons have OpenSSL's numbers, so that the words are the same. */
static enum tls_status own_status(struct tls_engine *engine, enum tls_status status, struct err *e)
{
    const struct record *record = &engine->record;

    if (status != TLS_FAILED)
        return status;
    engine->failed = true;
    if (record->alert_heard)
        engine->alert_received = record->alert;
    else
        engine->alert_sent = record->alert;
    explain(engine, ERR_PACK(ERR_LIB_SSL, 0, record->reason), 0, "SSL error", e);
    return TLS_FAILED;
}

enum tls_status tls_engine_read(struct tls_engine *engine, struct tls_io *io, struct bytes dst, size_t *out_n,
                                struct err *e)
{
    size_t total = 0, n;
    enum tls_status status = TLS_DONE;

    if (!engine->ssl)
        return own_status(engine, record_read(&engine->record, engine->port->records, io, dst, out_n), e);
    step_begin(engine, io);
    while (total < dst.n) {
        int result = SSL_read_ex(engine->ssl, (uint8_t *)(uintptr_t)dst.p + total, dst.n - total, &n);
        if (result != 1) {
            status = classify(engine, result, "SSL error", e);
            break;
        }
        total += n;
        /* Asking for what cannot be there would cost a buffer taken and given back. */
        if (io->in.n == 0 && !io->eof && !SSL_has_pending(engine->ssl)) {
            status = TLS_WANT_INPUT;
            break;
        }
    }
    *out_n = total;
    return status;
}

enum tls_status tls_engine_write(struct tls_engine *engine, struct tls_io *io, struct bytes src,
                                 size_t *out_n, struct err *e)
{
    size_t total = 0, n;
    enum tls_status status = TLS_DONE;

    if (!engine->ssl)
        return own_status(engine, record_write(&engine->record, engine->port->records, io, src, out_n), e);
    step_begin(engine, io);
    while (total < src.n) {
        int result = SSL_write_ex(engine->ssl, src.p + total, src.n - total, &n);
        if (result != 1) {
            status = classify(engine, result, "SSL error", e);
            break;
        }
        total += n;
    }
    *out_n = total;
    return status;
}

bool tls_engine_midway(const struct tls_engine *engine)
{
    return engine->ssl ? SSL_has_pending(engine->ssl) != 0 : engine->record.header_n > 0;
}

void tls_engine_close(struct tls_engine *engine, struct tls_io *io)
{
    if (!engine->ssl) {
        record_close(&engine->record, engine->port->records, io);
        return;
    }
    if (engine->failed || !SSL_is_init_finished(engine->ssl))
        return;
    step_begin(engine, io);
    (void)SSL_shutdown(engine->ssl);
    ERR_clear_error();
}

void tls_engine_set_bulk(struct tls_engine *engine, bool bulk)
{
    if (engine->bulk == bulk || !engine->relaxed || !engine->ssl)
        return;
    engine->bulk = bulk;
    if (bulk)
        SSL_clear_mode(engine->ssl, SSL_MODE_RELEASE_BUFFERS);
    else
        SSL_set_mode(engine->ssl, SSL_MODE_RELEASE_BUFFERS);
}

void tls_engine_relax(struct tls_engine *engine)
{
    if (engine->relaxed)
        return;
    engine->relaxed = true;
    if (!engine->ssl) {
        handover_pack(engine);
        return;
    }
    /* Gives the record buffers back, wiped: once, where RELEASE_BUFFERS would wipe 16 KB at every step of the
     * login. Refused while they hold the beginning of a record; then OpenSSL goes on wiping. */
    if (SSL_free_buffers(engine->ssl) == 1)
        (void)SSL_clear_options(engine->ssl, SSL_OP_CLEANSE_PLAINTEXT);
    (void)SSL_set_mode(engine->ssl, SSL_MODE_RELEASE_BUFFERS);
}
