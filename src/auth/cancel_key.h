/**
 * Cancel keys of protocol 3.2 that other gates of the same service recognize: 16 random bytes, and 16 bytes of
 * HMAC-SHA-256 over them and the pid, under a secret that the gates share. Who has no key of a session cannot
 * make one, so nobody need be asked about it.
 */
#ifndef PGSEAL_AUTH_CANCEL_KEY_H
#define PGSEAL_AUTH_CANCEL_KEY_H

#include "base/err.h"

enum {
    CANCEL_KEY_SHORT = 4, /* of protocol 3.0: there is no room for a MAC */
    CANCEL_KEY_RANDOM = 16,
    CANCEL_KEY_MAC = 16,
    CANCEL_KEY_BYTES = CANCEL_KEY_RANDOM + CANCEL_KEY_MAC
};

/** Fill in the second half of a key. E_INTERNAL: libcrypto refuses. */
MUST_CHECK enum code cancel_key_sign(struct bytes secret, uint32_t pid, uint8_t key[CANCEL_KEY_BYTES]);
/** Was it made with this secret for this pid? Constant time. */
bool cancel_key_fits(struct bytes secret, uint32_t pid, struct bytes key);

#endif
