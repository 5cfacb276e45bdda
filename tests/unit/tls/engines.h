/**
 * Two engines over memory: a server's and a client's, each with OpenSSL's records or our own.
 */
#ifndef PGSEAL_TESTS_ENGINES_H
#define PGSEAL_TESTS_ENGINES_H

#include "base/arena.h"
#include "base/check.h"
#include "base/secret.h"
#include "tls/client_context.h"
#include "tls/context_base.h"
#include "tls/engine.h"
#include "tls/engine_impl.h"
#include "tls/server_context.h"

#include <fcntl.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { ENGINES_ROOM = 512 * 1024, ENGINES_ROUNDS = 16 };

struct half {
    struct tls_engine *engine;
    struct tls_port *port;
    struct tls_io io;
    uint8_t *out, *plain;
    size_t plain_n;
};

struct engines {
    struct half server, client;
    struct tls_context *contexts[2]; /* until the handshake is over */
};

/* What a pair of contexts is made with. */
struct engines_how {
    enum tls_records server, client;
    enum tls_version version;
    const char *suites; /* TLS 1.3; NULL: the library's */
    bool with_cert;     /* the client shows one */
    const char *keylog;
    uint8_t max_fragment; /* OpenSSL's code; 0: none */
};

static char engines_dir[64], engines_cert[96], engines_key[96];
static struct tls_library *engines_library;

static inline void engines_write(const char *path, EVP_PKEY *key, X509 *cert)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    FILE *file = fdopen(fd, "w");

    CHECK(file &&
          (cert ? PEM_write_X509(file, cert) : PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL)));
    CHECK(fclose(file) == 0);
}

/* One certificate for both sides, which signs itself. */
static inline int engines_set_up(void **state)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = X509_new();

    (void)state;
    CHECK(key && cert && X509_set_version(cert, 2) == 1 &&
          ASN1_INTEGER_set(X509_get_serialNumber(cert), 4711));
    CHECK(X509_gmtime_adj(X509_getm_notBefore(cert), -3600) &&
          X509_gmtime_adj(X509_getm_notAfter(cert), 86400));
    CHECK(X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC,
                                     (const uint8_t *)"alice", -1, -1, 0) == 1);
    CHECK(X509_set_issuer_name(cert, X509_get_subject_name(cert)) == 1 && X509_set_pubkey(cert, key) == 1 &&
          X509_sign(cert, key, EVP_sha256()) > 0);
    (void)snprintf(engines_dir, sizeof engines_dir, "/tmp/pgseal-engines-XXXXXX");
    CHECK(mkdtemp(engines_dir));
    (void)snprintf(engines_cert, sizeof engines_cert, "%s/crt", engines_dir);
    (void)snprintf(engines_key, sizeof engines_key, "%s/key", engines_dir);
    engines_write(engines_cert, NULL, cert);
    engines_write(engines_key, key, NULL);
    X509_free(cert);
    EVP_PKEY_free(key);
    engines_library = tls_library_new();
    CHECK(engines_library);
    return 0;
}

static inline int engines_tear_down(void **state)
{
    (void)state;
    tls_library_free(engines_library);
    (void)unlink(engines_cert);
    (void)unlink(engines_key);
    (void)rmdir(engines_dir);
    return 0;
}

static inline void engines_half(struct half *half, struct tls_port *port, struct tls_engine *engine)
{
    *half = (struct half){
        .engine = engine, .port = port, .out = malloc(ENGINES_ROOM), .plain = malloc(ENGINES_ROOM)
    };
    CHECK(engine && port && half->out && half->plain);
    half->io = (struct tls_io){ .out = half->out, .out_size = ENGINES_ROOM };
}

static inline struct tls_context *engines_server(const struct engines_how *how)
{
    struct tls_context *context = NULL;
    AUTO(arena) struct arena arena;
    struct secret none = { 0 };
    struct diags diags;
    struct err e;
    const struct tls_server_params params = { .cert_file = engines_cert,
                                              .key_file = engines_key,
                                              .ca_file = how->with_cert ? engines_cert : "",
                                              .crl_file = "",
                                              .crl_dir = "",
                                              .dh_params_file = "",
                                              .ciphers = "HIGH",
                                              .tls13_ciphers = how->suites ? how->suites : "",
                                              .groups = "X25519:prime256v1",
                                              .min_version = TLS_1_2,
                                              .records = how->server,
                                              .passphrase_from = TLS_PASSPHRASE_REFUSE,
                                              .passphrase = &none };

    arena_init(&arena, 1 << 16, 1024);
    diags_init(&diags, &arena);
    CHECK(tls_server_context_new(engines_library, &params, &context, &diags, &e) == OK);
    return context;
}

static inline struct tls_context *engines_client(const struct engines_how *how)
{
    struct tls_context *context = NULL;
    struct err e;
    const struct tls_client_params params = { .root_file = engines_cert,
                                              .crl_file = "",
                                              .crl_dir = "",
                                              .cert_file = how->with_cert ? engines_cert : "",
                                              .key_file = how->with_cert ? engines_key : "",
                                              .no_prompt = true,
                                              .min_version = TLS_1_2,
                                              .max_version = how->version,
                                              .tls13_ciphers = how->suites,
                                              .keylog_file = how->keylog,
                                              .records = how->client };

    CHECK(tls_client_context_new(engines_library, &params, &context, &e) == OK);
    if (how->max_fragment)
        CHECK(SSL_CTX_set_tlsext_max_fragment_length(context->ssl_ctx, how->max_fragment) == 1);
    return context;
}

/* One step of each side. */
static inline enum tls_status engines_step(struct half *half, struct half *other)
{
    struct err e;
    enum tls_status status;

    half->io.in = bytes_of(other->out, other->io.out_n);
    half->io.out_n = 0;
    status = tls_engine_handshake(half->engine, &half->io, &e);
    CHECK(status == TLS_DONE || status == TLS_WANT_INPUT);
    other->io.out_n = 0;
    return status;
}

/* The handshake, until the client has done its part: its last flight lies in client.out. */
static inline void engines_begin(struct engines *p, const struct engines_how *how)
{
    struct tls_port *ports[] = { tls_port_new(), tls_port_new() };

    p->contexts[0] = engines_server(how);
    p->contexts[1] = engines_client(how);
    engines_half(&p->server, ports[0], tls_engine_new_server(ports[0], p->contexts[0]));
    engines_half(&p->client, ports[1], tls_engine_new_client(ports[1], p->contexts[1], "db.example", true));
    for (int round = 0; engines_step(&p->client, &p->server) != TLS_DONE; round++) {
        CHECK(round < ENGINES_ROUNDS);
        (void)engines_step(&p->server, &p->client);
    }
}

/* Read what stands in io.in. */
static inline enum tls_status engines_read(struct half *half, struct err *e)
{
    size_t n = 0;
    enum tls_status status = tls_engine_read(
        half->engine, &half->io, bytes_of(half->plain + half->plain_n, ENGINES_ROOM - half->plain_n), &n, e);

    half->plain_n += n;
    return status;
}

/* `to` reads all that `from` has to send; `from` has sent it. */
static inline enum tls_status engines_pass(struct half *from, struct half *to, struct err *e)
{
    to->io.in = bytes_of(from->out, from->io.out_n);
    enum tls_status status = engines_read(to, e);
    from->io.out_n = 0;
    return status;
}

static inline void engines_drop_contexts(struct engines *p)
{
    for (size_t i = 0; i < 2; i++) {
        tls_context_free(p->contexts[i]);
        p->contexts[i] = NULL;
    }
}

/* The whole handshake; sessions hold what they need from there on. */
static inline void engines_open(struct engines *p, const struct engines_how *how)
{
    engines_begin(p, how);
    CHECK(engines_step(&p->server, &p->client) == TLS_DONE);
    CHECK(p->server.io.in.n == 0 && p->server.io.out_n == 0);
    engines_drop_contexts(p);
}

static inline void engines_half_end(struct half *half)
{
    tls_engine_free(half->engine);
    tls_port_free(half->port);
    free(half->out);
    free(half->plain);
}

static inline void engines_end(struct engines *p)
{
    engines_half_end(&p->server);
    engines_half_end(&p->client);
    engines_drop_contexts(p);
}

#endif
