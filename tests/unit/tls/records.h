/**
 * A session of our records, and its peer as a test wants it: keys alone, which seal whatever they are told to.
 */
#ifndef PGSEAL_TESTS_RECORDS_H
#define PGSEAL_TESTS_RECORDS_H

#include "base/check.h"
#include "tls/record.h"

#include <stdlib.h>

enum { RECORDS_ROOM = 256 * 1024, RECORDS_HEX_MAX = 512 };
enum { CHANGE_CIPHER_SPEC = 20, ALERT, HANDSHAKE, DATA };

struct records {
    struct record_tools *tools, *peer_tools;
    struct record ours;
    struct record_keys open, seal; /* the peer's */
    enum record_cipher cipher;
    struct tls_io io;
    uint8_t *sent;  /* what we send */
    uint8_t *plain; /* what we read */
    size_t plain_n;
    uint8_t *wire; /* what the peer says */
    size_t wire_n;
};

static inline struct bytes records_secret(enum record_cipher cipher, uint8_t first)
{
    static uint8_t secret[RECORD_SECRET_MAX];

    for (size_t i = 0; i < sizeof secret; i++)
        secret[i] = (uint8_t)(first + i);
    return bytes_of(secret, record_secret_size(cipher));
}

/* Both halves begin with the same pair of secrets. */
static inline void records_begin(struct records *p, enum record_cipher cipher, bool server)
{
    uint8_t one[RECORD_SECRET_MAX];
    struct bytes secret = records_secret(cipher, 1);

    *p = (struct records){ .tools = record_tools_new(), .peer_tools = record_tools_new(), .cipher = cipher };
    p->sent = malloc(RECORDS_ROOM);
    p->plain = malloc(RECORDS_ROOM);
    p->wire = malloc(RECORDS_ROOM);
    CHECK(p->tools && p->peer_tools && p->sent && p->plain && p->wire);
    memcpy(one, secret.p, secret.n);
    CHECK(record_keys_begin(p->peer_tools, cipher, bytes_of(one, secret.n), &p->seal));
    secret = records_secret(cipher, 101);
    CHECK(record_keys_begin(p->peer_tools, cipher, secret, &p->open));
    const struct record_params params = { .cipher = cipher,
                                          .server = server,
                                          .send_max = server ? 8192 : RECORD_PLAIN_MAX,
                                          .receive_max = RECORD_PLAIN_MAX,
                                          .open_secret = bytes_of(one, secret.n),
                                          .seal_secret = secret };
    CHECK(record_init(&p->ours, p->tools, &params));
    p->io = (struct tls_io){ .out = p->sent, .out_size = RECORDS_ROOM };
}

static inline void records_end(struct records *p)
{
    record_fini(&p->ours, p->tools);
    record_tools_free(p->tools);
    record_tools_free(p->peer_tools);
    free(p->sent);
    free(p->plain);
    free(p->wire);
}

/* The peer says one record: content, type, zeros. */
static inline void records_say(struct records *p, uint8_t type, struct bytes content, size_t padding)
{
    static uint8_t inner[RECORD_BODY_MAX * 2];
    size_t n = content.n;

    CHECK(n + 1 + padding <= sizeof inner);
    memset(inner, 0, n + 1 + padding);
    if (n > 0)
        memcpy(inner, content.p, n);
    inner[n] = type;
    CHECK(record_keys_seal_with(p->peer_tools, p->cipher, &p->seal));
    /* record_seal() puts a type behind its content: here that is our type, or the last of the zeros. */
    CHECK(record_seal(p->peer_tools, &p->seal, bytes_of(inner, n + padding), inner[n + padding],
                      p->wire + p->wire_n));
    p->wire_n += RECORD_HEADER + n + padding + 1 + RECORD_TAG;
}

/* We read what the peer has said. */
static inline enum tls_status records_read(struct records *p)
{
    enum tls_status status;
    size_t n = 0;

    p->io.in = bytes_of(p->wire, p->wire_n);
    status = record_read(&p->ours, p->tools, &p->io,
                         bytes_of(p->plain + p->plain_n, RECORDS_ROOM - p->plain_n), &n);
    p->plain_n += n;
    p->wire_n = 0;
    return status;
}

/* The peer opens our next record: its type; 0: there is none. *out is overwritten by the next one. */
static inline uint8_t records_hear(struct records *p, struct bytes *out)
{
    static uint8_t inner[RECORD_BODY_MAX];
    size_t n = p->io.out_n < RECORD_HEADER ? 0 : (size_t)p->sent[3] << 8 | p->sent[4];

    *out = bytes_of(NULL, 0);
    if (n == 0)
        return 0;
    CHECK(p->io.out_n >= RECORD_HEADER + n && n > RECORD_TAG && p->sent[0] == DATA && p->sent[1] == 3 &&
          p->sent[2] == 3);
    CHECK(record_keys_open_with(p->peer_tools, p->cipher, &p->open));
    CHECK(record_open(p->peer_tools, &p->open, p->sent, bytes_of(p->sent + RECORD_HEADER, n), inner));
    p->io.out_n -= RECORD_HEADER + n;
    memmove(p->sent, p->sent + RECORD_HEADER + n, p->io.out_n);
    *out = bytes_of(inner, n - RECORD_TAG - 1);
    return inner[out->n];
}

/* The last that we have sent is this fatal alert. */
static inline bool records_hear_alert(struct records *p, uint8_t alert)
{
    struct bytes text;

    return records_hear(p, &text) == ALERT && text.n == 2 && text.p[0] == 2 && text.p[1] == alert &&
           p->io.out_n == 0;
}

static inline uint8_t records_digit(char c)
{
    return (uint8_t)(c <= '9' ? c - '0' : c - 'a' + 10);
}

/* "01 02 0a" or "01020a" */
static inline struct bytes records_hex(const char *text, uint8_t out[RECORDS_HEX_MAX])
{
    size_t n = 0;

    while (*text) {
        if (*text == ' ') {
            text++;
            continue;
        }
        CHECK(n < RECORDS_HEX_MAX && text[1]);
        out[n++] = (uint8_t)(records_digit(text[0]) << 4 | records_digit(text[1]));
        text += 2;
    }
    return bytes_of(out, n);
}

#endif
