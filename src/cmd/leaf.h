/**
 * What init and cert share: making a key with its certificate, and writing both where they belong.
 */
#ifndef PGSEAL_CMD_LEAF_H
#define PGSEAL_CMD_LEAF_H

#include "pki/ca.h"

struct leaf {
    EVP_PKEY *key;
    X509 *cert;
};

void leaf_auto(struct leaf *leaf);

/** A fresh key of `kind` and its certificate from `ca`; NULL: signed by itself, at `env`'s time. */
struct leaf_wish {
    struct ca *ca;
    const struct env *env;
    const struct ca_request *request;
    enum key_kind kind;
};
MUST_CHECK enum code leaf_make(const struct leaf_wish *wish, struct leaf *out, struct err *e);

/** Where a leaf goes. An existing file is E_EXISTS unless `replace`. */
struct leaf_files {
    const char *cert_path;           /* 0644 */
    const char *key_path;            /* 0600; NULL: no key is written */
    const struct secret *passphrase; /* NULL: the key is stored unencrypted */
    bool replace;
};
/** The key first: a certificate without its key helps nobody. */
MUST_CHECK enum code leaf_write(const struct leaf *leaf, const struct leaf_files *files, struct err *e);

/** Copy a file as a whole, with this mode; whatever was at `to` is replaced. */
MUST_CHECK enum code copy_file(const char *from, const char *to, unsigned mode, struct err *e);

#endif
