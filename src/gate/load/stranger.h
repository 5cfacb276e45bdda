/**
 * A CA that nobody knows, and leaves of it: what an impostor would show.
 *
 * Made in memory, once in a load for each type of key, and gone with it: no key of it is ever in a file.
 */
#ifndef PGSEAL_GATE_LOAD_STRANGER_H
#define PGSEAL_GATE_LOAD_STRANGER_H

#include "pki/key.h"
#include "tls/context.h"

struct arena;
struct env;

struct stranger {
    struct x509_st *ca; /* NULL: not made yet */
    struct evp_pkey_st *ca_key, *key;
};
/** Zero, and then strangers_fini(). */
struct strangers {
    struct stranger of[KEY_ED25519 + 1]; /* by the type of their keys */
};

/**
 * A leaf with the names, the type of key and a life like those of `own`, so that a client can refuse it for its CA only.
 *
 * out  `cert` is returned to caller; the rest is borrowed from `strangers`.
 */
MUST_CHECK enum code strangers_issue(struct strangers *strangers, struct x509_st *own, const struct env *env,
                                     struct arena *arena, struct tls_pair *out, struct err *e);
void strangers_fini(struct strangers *strangers);

#endif
