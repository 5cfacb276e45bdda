/**
 * What init and cert share: making a key with its certificate, and writing both where they belong.
 */
#ifndef PGSEAL_PKI_LEAF_H
#define PGSEAL_PKI_LEAF_H

#include "pki/ca.h"

#include <sys/types.h>

struct arena;

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
    const char *key_path;            /* NULL: no key is written */
    const struct cert_list *chain;   /* what follows the leaf in the certificate file; NULL: nothing */
    const struct secret *passphrase; /* NULL: the key is stored unencrypted */
    bool replace;
    uid_t key_uid;   /* owner of the key; (uid_t)-1: us */
    gid_t key_gid;   /* group of the key; (gid_t)-1: ours */
    mode_t key_mode; /* 0600, or 0640 for a key of root's that a group may read */
};
#define LEAF_FILES_INIT ((struct leaf_files){ .key_uid = (uid_t)-1, .key_gid = (gid_t)-1, .key_mode = 0600 })
/** The key first: a certificate without its key helps nobody. */
MUST_CHECK enum code leaf_write(const struct leaf *leaf, const struct leaf_files *files, struct err *e);

/** Write bytes beside the key, with its owner and mode: another form of the same secret. */
MUST_CHECK enum code leaf_write_secret(const char *path, struct bytes data, const struct leaf_files *files,
                                       struct err *e);

/**
 * The name of the files of a certificate whose common name this is: slashes, stars, blanks and control
 * characters become underscores, so that two common names may want the same file.
 * E_USAGE for an empty name and one that begins with a dot.
 */
MUST_CHECK enum code leaf_file_name(const char *name, struct arena *arena, const char **out, struct err *e);

#endif
