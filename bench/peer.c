/* One blocking connection of the bench's own client. */
#include "peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { HEAD = 5, KEY = 32, TEXT_MAX = 512, NONCE_RAW = 18 };

_Noreturn void die(const char *what, const char *why)
{
    (void)fprintf(stderr, "bench_client: %s: %s\n", what, why);
    exit(1);
}

/* ---- bytes ---- */

static void put_u32(uint8_t *p, size_t v)
{
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> (24 - 8 * i));
}

static uint32_t get_u32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

void peer_send(struct peer *peer, const void *data, size_t n)
{
    const uint8_t *p = data;
    size_t done = 0;

    while (n > 0) {
        if (peer->ssl) {
            if (SSL_write_ex(peer->ssl, p, n, &done) != 1)
                die("write", ERR_reason_error_string(ERR_peek_error()));
        } else {
            ssize_t sent = send(peer->fd, p, n, MSG_NOSIGNAL);
            if (sent < 0)
                die("write", strerror(errno));
            done = (size_t)sent;
        }
        p += done;
        n -= done;
    }
}

/* At least one byte more. */
static void fill(struct peer *peer)
{
    size_t n = 0;

    if (peer->at > 0) {
        memmove(peer->in, peer->in + peer->at, peer->have - peer->at);
        peer->have -= peer->at;
        peer->at = 0;
    }
    if (peer->ssl) {
        if (SSL_read_ex(peer->ssl, peer->in + peer->have, sizeof peer->in - peer->have, &n) != 1)
            die("read", "the connection has ended");
    } else {
        ssize_t got = recv(peer->fd, peer->in + peer->have, sizeof peer->in - peer->have, 0);
        if (got <= 0)
            die("read", got < 0 ? strerror(errno) : "the connection has ended");
        n = (size_t)got;
    }
    peer->have += n;
}

static const uint8_t *need(struct peer *peer, size_t n)
{
    if (n > sizeof peer->in)
        die("read", "message too long");
    while (peer->have - peer->at < n)
        fill(peer);
    return peer->in + peer->at;
}

/* The next message's type; its whole body stays at *body until the next call. */
static uint8_t next_message(struct peer *peer, const uint8_t **body, size_t *n)
{
    size_t size = get_u32(need(peer, HEAD) + 1);
    const uint8_t *p = need(peer, size + 1);

    *body = p + HEAD;
    *n = size - 4;
    peer->at += size + 1;
    if (p[0] == 'E') {
        (void)fprintf(stderr, "bench_client: the server says: ");
        for (size_t i = 0; i < *n; i++)
            (void)fputc((*body)[i] ? (*body)[i] : ' ', stderr);
        die("", "");
    }
    return p[0];
}

uint64_t peer_await(struct peer *peer, uint8_t type)
{
    const uint8_t *body;
    uint64_t total = 0;
    size_t n;
    uint8_t got;

    do {
        got = next_message(peer, &body, &n);
        total += n + HEAD;
    } while (got != type);
    return total;
}

static void send_message(struct peer *peer, uint8_t type, const void *body, size_t n)
{
    uint8_t out[HEAD + TEXT_MAX];

    out[0] = type;
    put_u32(out + 1, n + 4);
    memcpy(out + HEAD, body, n);
    peer_send(peer, out, HEAD + n);
}

void peer_ask(struct peer *peer, const char *sql)
{
    send_message(peer, 'Q', sql, strlen(sql) + 1);
}

/* ---- SCRAM-SHA-256 without channel binding [src: RFC 5802, 7677] ---- */

static struct {
    pthread_mutex_t lock;
    char salt[TEXT_MAX]; /* as it came; empty: nothing computed yet */
    unsigned long iterations;
    uint8_t client_key[KEY], stored_key[KEY];
} cache = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void hmac(const uint8_t *key, size_t key_n, const char *text, size_t n, uint8_t out[KEY])
{
    if (!HMAC(EVP_sha256(), key, (int)key_n, (const uint8_t *)text, n, out, NULL))
        die("HMAC", "failed");
}

static void scram_keys(const char *password, const char *salt, unsigned long iterations,
                       uint8_t client_key[KEY], uint8_t stored_key[KEY])
{
    uint8_t raw[TEXT_MAX], salted[KEY];

    (void)pthread_mutex_lock(&cache.lock);
    if (strcmp(cache.salt, salt) != 0 || cache.iterations != iterations) {
        size_t text_n = strlen(salt);
        int n = EVP_DecodeBlock(raw, (const uint8_t *)salt, (int)text_n);
        while (n > 0 && text_n > 0 && salt[text_n - 1] == '=') {
            text_n--;
            n--;
        }
        if (n <= 0 || PKCS5_PBKDF2_HMAC(password, (int)strlen(password), raw, n, (int)iterations,
                                        EVP_sha256(), KEY, salted) != 1)
            die("SCRAM", "bad salt");
        hmac(salted, KEY, "Client Key", 10, cache.client_key);
        (void)EVP_Digest(cache.client_key, KEY, cache.stored_key, NULL, EVP_sha256(), NULL);
        (void)snprintf(cache.salt, sizeof cache.salt, "%s", salt);
        cache.iterations = iterations;
    }
    memcpy(client_key, cache.client_key, KEY);
    memcpy(stored_key, cache.stored_key, KEY);
    (void)pthread_mutex_unlock(&cache.lock);
}

static void scram_first(struct peer *peer, char nonce[TEXT_MAX])
{
    static const char mechanism[] = "SCRAM-SHA-256";
    uint8_t raw[NONCE_RAW], body[TEXT_MAX];
    char text[TEXT_MAX];

    if (RAND_bytes(raw, sizeof raw) != 1)
        die("nonce", "no random bytes");
    (void)EVP_EncodeBlock((uint8_t *)nonce, raw, sizeof raw);
    size_t n = (size_t)snprintf(text, sizeof text, "n,,n=,r=%s", nonce);
    memcpy(body, mechanism, sizeof mechanism);
    put_u32(body + sizeof mechanism, n);
    memcpy(body + sizeof mechanism + 4, text, n);
    send_message(peer, 'p', body, sizeof mechanism + 4 + n);
}

static void scram_final(struct peer *peer, const char *password, const char *nonce, const char *first)
{
    char head[TEXT_MAX], message[4 * TEXT_MAX], salt[TEXT_MAX], out[2 * TEXT_MAX], proof_text[64];
    uint8_t client_key[KEY], stored_key[KEY], signature[KEY];
    const char *s = strstr(first, ",s="), *i = strstr(first, ",i=");

    if (strncmp(first, "r=", 2) != 0 || !s || !i || i < s)
        die("SCRAM", "bad server-first-message");
    (void)snprintf(salt, sizeof salt, "%.*s", (int)(i - s - 3), s + 3);
    scram_keys(password, salt, strtoul(i + 3, NULL, 10), client_key, stored_key);
    (void)snprintf(head, sizeof head, "c=biws,r=%.*s", (int)(s - first - 2), first + 2);
    (void)snprintf(message, sizeof message, "n=,r=%s,%s,%s", nonce, first, head);
    hmac(stored_key, KEY, message, strlen(message), signature);
    for (int k = 0; k < KEY; k++)
        signature[k] ^= client_key[k];
    (void)EVP_EncodeBlock((uint8_t *)proof_text, signature, KEY);
    int n = snprintf(out, sizeof out, "%s,p=%s", head, proof_text);
    send_message(peer, 'p', out, (size_t)n);
}

/* ---- opening ---- */

static void authenticate(struct peer *peer, const char *password)
{
    char nonce[TEXT_MAX], first[TEXT_MAX];
    const uint8_t *body;
    size_t n;

    for (;;) {
        uint8_t type = next_message(peer, &body, &n);
        if (type == 'Z')
            return;
        if (type != 'R')
            continue;
        switch (get_u32(body)) {
        case 0:
        case 12:
            break;
        case 10:
            scram_first(peer, nonce);
            break;
        case 11:
            (void)snprintf(first, sizeof first, "%.*s", (int)(n - 4), (const char *)body + 4);
            scram_final(peer, password, nonce, first);
            break;
        default:
            die("authentication", "unknown request");
        }
    }
}

static void seal(struct peer *peer, const struct peer_target *target)
{
    static const uint8_t request[] = { 0, 0, 0, 8, 4, 0xd2, 0x16, 0x2f };
    uint8_t answer = 0;

    if (target->tls == PEER_REQUEST) {
        if (send(peer->fd, request, sizeof request, MSG_NOSIGNAL) != sizeof request ||
            recv(peer->fd, &answer, 1, 0) != 1 || answer != 'S')
            die("SSLRequest", "not answered with S");
    }
    peer->ssl = SSL_new(target->ssl);
    if (!peer->ssl || SSL_set_fd(peer->ssl, peer->fd) != 1 || SSL_connect(peer->ssl) != 1)
        die("TLS", ERR_reason_error_string(ERR_peek_error()));
}

static void start(struct peer *peer, const struct peer_target *target)
{
    uint8_t out[TEXT_MAX];
    const char *const texts[] = { "user",           target->user,       "database",
                                  target->database, "application_name", "bench" };
    size_t n = 8;

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        size_t size = strlen(texts[i]) + 1;
        memcpy(out + n, texts[i], size);
        n += size;
    }
    out[n++] = 0;
    put_u32(out, n);
    put_u32(out + 4, 3u << 16);
    peer_send(peer, out, n);
}

struct peer *peer_open(const struct peer_target *target)
{
    struct peer *peer = malloc(sizeof *peer);
    int one = 1;

    if (!peer)
        die("memory", "none left");
    peer->ssl = NULL;
    peer->at = peer->have = 0;
    peer->fd = socket(target->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (peer->fd < 0 || connect(peer->fd, (const struct sockaddr *)&target->address, target->address_n) != 0)
        die("connect", strerror(errno));
    if (target->address.ss_family == AF_INET)
        (void)setsockopt(peer->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (target->tls != PEER_PLAIN)
        seal(peer, target);
    start(peer, target);
    authenticate(peer, target->password);
    return peer;
}

void peer_close(struct peer *peer)
{
    static const uint8_t terminate[] = { 'X', 0, 0, 0, 4 };

    peer_send(peer, terminate, sizeof terminate);
    if (peer->ssl) {
        (void)SSL_shutdown(peer->ssl);
        SSL_free(peer->ssl);
    }
    (void)close(peer->fd);
    free(peer);
}
