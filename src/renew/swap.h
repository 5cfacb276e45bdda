/**
 * A pair of files that is exchanged in one step.
 *
 *   tls/server.crt -> server.pairs/live/server.crt
 *   tls/server.key -> server.pairs/live/server.key
 *   tls/server.pairs/live -> 20261129T233000-1
 *   tls/server.pairs/20261129T233000-1/server.crt, server.key
 *
 * A single file is a pair whose key is in the certificate's file; its directory is called NAME.roots.
 *
 * The generations are beside the certificate. Exchanging the pair is one rename of the link `live`, so that whoever
 * opens the two files, whenever that is, gets a key that fits its certificate: also after a power failure. Files
 * that are not such links yet become the first generation, with owner and mode kept; nothing changes for readers.
 */
#ifndef PGSEAL_RENEW_SWAP_H
#define PGSEAL_RENEW_SWAP_H

#include "os/files.h"
#include "pki/leaf.h"
#include "renew/journal.h"

/** Where a pair is. */
struct swap {
    char cert_path[OS_PATH_MAX];
    char key_path[OS_PATH_MAX];
    char dir[OS_PATH_MAX];                              /* of the generations */
    char name[OS_PATH_MAX];                             /* of that directory, in the certificate's */
    char cert_name[OS_PATH_MAX], key_name[OS_PATH_MAX]; /* of the files in a generation */
};

/** Paths only; nothing is looked at. `pair` names the directory. E_LIMIT. */
MUST_CHECK enum code swap_at(const char *cert_path, const char *key_path, struct str pair, struct swap *out,
                             struct err *e);
/** The same of a single file, `name` naming the directory. */
MUST_CHECK enum code swap_at_file(const char *path, struct str name, struct swap *out, struct err *e);
/** The generation in force; empty where the pair is not in generations. */
MUST_CHECK enum code swap_live(const struct swap *swap, char out[RENEW_GENERATION_MAX], struct err *e);
/** A name for a new generation, which no other has. */
MUST_CHECK enum code swap_name(const struct swap *swap, int64_t now_unix_s, char out[RENEW_GENERATION_MAX],
                               struct err *e);
/**
 * See to it that both files are links into the generation in force, made of what they are now.
 *
 * first  name for that generation, should it have to be made.
 * out    the generation in force.
 */
MUST_CHECK enum code swap_adopt(const struct swap *swap, const char *first, char out[RENEW_GENERATION_MAX],
                                struct err *e);
/**
 * Write a generation that nobody uses yet.
 *
 * files  passphrase, owner and mode of the key, chain; its paths are set here.
 */
MUST_CHECK enum code swap_stage(const struct swap *swap, const char *generation, const struct leaf *leaf,
                                struct leaf_files files, struct err *e);
/** The same of a single file, which gets the mode and, where root writes it, the owner of the one in force. */
MUST_CHECK enum code swap_stage_file(const struct swap *swap, const char *generation, struct bytes data,
                                     struct err *e);
/** Put a generation in force. The old one or the new one is, at every moment. */
MUST_CHECK enum code swap_set(const struct swap *swap, const char *generation, struct err *e);
/** The files of a generation. E_LIMIT. */
MUST_CHECK enum code swap_cert_of(const struct swap *swap, const char *generation, char out[OS_PATH_MAX],
                                  struct err *e);
MUST_CHECK enum code swap_key_of(const struct swap *swap, const char *generation, char out[OS_PATH_MAX],
                                 struct err *e);
/** Remove all generations but the one in force and `keep` (may be NULL), keys included. */
MUST_CHECK enum code swap_sweep(const struct swap *swap, const char *keep, struct err *e);

#endif
