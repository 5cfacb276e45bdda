/**
 * The keys of TLS 1.3 records, and one record sealed or opened under them.
 *
 * A direction of a session is its traffic secret, what is derived from that, and a counter: no cipher context.
 * Those belong to the worker (`struct record_tools`) and take a session's key again for each step.
 * [src: RFC 8446 §5.2, §5.3, §7.2, §7.3]
 */
#ifndef PGSEAL_TLS_RECORD_KEYS_H
#define PGSEAL_TLS_RECORD_KEYS_H

#include "base/err.h"

struct record_tools;

enum record_cipher { RECORD_AES_128_GCM, RECORD_AES_256_GCM, RECORD_CHACHA20_POLY1305 };
enum { RECORD_CIPHERS = RECORD_CHACHA20_POLY1305 + 1 };

enum { RECORD_SECRET_MAX = 48, RECORD_KEY_MAX = 32, RECORD_IV = 12, RECORD_TAG = 16, RECORD_HEADER = 5 };

/** One direction. Secret: the owner wipes it. */
struct record_keys {
    uint64_t sequence; /* of the next record */
    uint8_t secret[RECORD_SECRET_MAX];
    uint8_t key[RECORD_KEY_MAX];
    uint8_t iv[RECORD_IV];
};

/** The cipher contexts of one worker, made when they are first needed. NULL when memory ran out. */
struct record_tools *record_tools_new(void);
void record_tools_free(struct record_tools *tools);
/** The contexts of a cipher forget the key that they had last: its session is over. */
void record_tools_forget(struct record_tools *tools, enum record_cipher cipher);

/** Bytes of a cipher's traffic secrets: those of its hash. */
size_t record_secret_size(enum record_cipher cipher);
/** How many records one key may seal before it must change [src: RFC 8446 §5.5]. */
uint64_t record_limit(enum record_cipher cipher);

/** Begin with a traffic secret of record_secret_size() bytes. False: OpenSSL refused, or memory ran out. */
MUST_CHECK bool record_keys_begin(struct record_tools *tools, enum record_cipher cipher, struct bytes secret,
                                  struct record_keys *out);
/** The next generation of the same direction, its counter at 0. False: these are keys of no generation, not to be used
 * any more. */
MUST_CHECK bool record_keys_update(struct record_tools *tools, enum record_cipher cipher,
                                   struct record_keys *keys);

/** Make the worker's context this direction's, before the first record of a step. */
MUST_CHECK bool record_keys_seal_with(struct record_tools *tools, enum record_cipher cipher,
                                      const struct record_keys *keys);
MUST_CHECK bool record_keys_open_with(struct record_tools *tools, enum record_cipher cipher,
                                      const struct record_keys *keys);

/**
 * Seal `content` and its type as one record at `out`, which has room for RECORD_HEADER + content.n + 1 +
 * RECORD_TAG bytes and does not overlap. The context must have these keys (record_keys_seal_with()). False: no
 * number is left for the record, or OpenSSL refused.
 */
MUST_CHECK bool record_seal(struct record_tools *tools, struct record_keys *keys, struct bytes content,
                            uint8_t type, uint8_t *out);
/**
 * Open `body` (at least RECORD_TAG bytes, its tag included) into body.n - RECORD_TAG bytes at `out`. False: it is
 * not what the peer sealed under this number; `out` is wiped then.
 */
MUST_CHECK bool record_open(struct record_tools *tools, struct record_keys *keys,
                            const uint8_t header[RECORD_HEADER], struct bytes body, uint8_t *out);

#endif
