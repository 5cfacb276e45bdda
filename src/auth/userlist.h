/**
 * PgBouncer's userlist.txt (`auth_file`): users and their secrets, immutable once loaded.
 *
 *   "user" "secret"            ; anything after the secret is ignored
 *   ; a comment line
 *
 * A quote inside is doubled. The secret is MD5, SCRAM-SHA-256$… or a cleartext password; the empty secret is
 * a user without a password. All errors of a file are reported in one pass, and any of them refuses the load.
 * [src: PgBouncer, "Authentication file format"]
 */
#ifndef PGSEAL_AUTH_USERLIST_H
#define PGSEAL_AUTH_USERLIST_H

#include "base/err.h"

struct userlist;

enum {
    USERLIST_FILE_MAX = 64 * 1024 * 1024, /* bytes */
    USERLIST_NAME_MAX = 1024,             /* bytes of a name; PostgreSQL's own end at 63 */
};

struct userlist_entry {
    struct str user;
    struct str secret; /* never printed; wiped with the list */
    unsigned line;
};

/**
 * Parse the bytes of a file.
 *
 * file   for messages.
 * diags  borrowed; errors are appended, a name that appears twice among them.
 * out    set on OK; returned to caller.
 *
 * E_SYNTAX: see diags. E_NOMEM.
 */
MUST_CHECK enum code userlist_parse(struct str file, struct bytes text, struct diags *diags,
                                    struct userlist **out);
/**
 * Read and parse `path`. A file that group or others may read is refused, as a private key would be.
 * The code of the first obstacle; the text is in diags.
 */
MUST_CHECK enum code userlist_load(const char *path, struct diags *diags, struct userlist **out);
/** One more reference; a list is immutable. NULL is fine. Thread-safe, as userlist_unref(). */
struct userlist *userlist_ref(struct userlist *list);
/** The last reference wipes the secrets and frees. NULL is fine. */
void userlist_unref(struct userlist *list);
void userlist_auto(struct userlist **list);

/** The entry of exactly this name, or NULL. Valid as long as the list. Thread-safe. */
const struct userlist_entry *userlist_find(const struct userlist *list, struct str user);
/** True when a secret is a cleartext password: neither empty nor of a stored form. */
bool userlist_has_cleartext(const struct userlist *list);
/** The first user by name whose secret is MD5, or NULL. */
const struct userlist_entry *userlist_first_md5(const struct userlist *list);
size_t userlist_count(const struct userlist *list);

#endif
