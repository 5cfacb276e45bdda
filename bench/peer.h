/**
 * A PostgreSQL client that costs little: one blocking connection, TLS by OpenSSL, SCRAM keys computed once.
 *
 * Errors end the process with a line on standard error: a bench that goes on with fewer connections lies.
 */
#ifndef PGSEAL_BENCH_PEER_H
#define PGSEAL_BENCH_PEER_H

#include <openssl/ssl.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

enum peer_tls {
    PEER_PLAIN,
    PEER_REQUEST, /* SSLRequest first */
    PEER_DIRECT   /* ClientHello at once, ALPN postgresql */
};

/** Where to, and as whom. `ssl` is set for both kinds of TLS. */
struct peer_target {
    struct sockaddr_storage address;
    socklen_t address_n;
    enum peer_tls tls;
    SSL_CTX *ssl;
    const char *user;
    const char *database;
    const char *password;
};

enum { PEER_IN_MAX = 32 * 1024 };

struct peer {
    int fd;
    SSL *ssl;
    size_t at, have;
    uint8_t in[PEER_IN_MAX];
};

/** Say what went wrong and end the process. */
_Noreturn void die(const char *what, const char *why);

/** Connect, seal, authenticate, wait for ReadyForQuery. The result is freed by peer_close(). */
struct peer *peer_open(const struct peer_target *target);
/** Terminate, close_notify, close, free. */
void peer_close(struct peer *peer);
void peer_send(struct peer *peer, const void *data, size_t n);
/** Send one simple query. */
void peer_ask(struct peer *peer, const char *sql);
/** Read messages until one of this type has been read whole; bodies are dropped. Returns the bytes read. */
uint64_t peer_await(struct peer *peer, uint8_t type);

#endif
