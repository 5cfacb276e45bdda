/**
 * Files that nobody but root and one account can put something else in the place of.
 *
 * A path is walked from the root, part by part. Each directory on the way, and each link, belongs to root or to the
 * account, and no other account may write there (but members of root's group; or the directory has the sticky bit, as
 * /tmp). What was found is held by
 * an open directory, so a link that is moved later leads nowhere else. A link at the end of the path is followed by the
 * same rule: the place is that of the file.
 */
#ifndef PGSEAL_OS_PLACE_H
#define PGSEAL_OS_PLACE_H

#include "os/files.h"

#include <limits.h>

struct buf;
struct stat;

struct os_place {
    int dir;                 /* open directory; -1: none */
    char path[OS_PATH_MAX];  /* absolute, without links, "." and ".." */
    char name[NAME_MAX + 1]; /* its last part */
};

#define OS_PLACE_INIT ((struct os_place){ .dir = -1 })

/**
 * Find the place of a file that is there, or could be made.
 *
 * path  absolute.
 * uid   the account.
 *
 * E_ACCESS: others may move something on the way; the message names it. E_NO_FILE, E_IO, E_LIMIT.
 */
MUST_CHECK enum code os_place_find(const char *path, uid_t uid, struct os_place *out, struct err *e);
/** The same for a directory that is there: `dir` is it, `path` its path, `name` is empty. */
MUST_CHECK enum code os_place_dir(const char *path, uid_t uid, struct os_place *out, struct err *e);
void os_place_fini(struct os_place *place);
void os_place_auto(struct os_place *place);

/** E_ACCESS where this process may not put files beside the place. */
MUST_CHECK enum code os_place_check_writable(const struct os_place *place, struct err *e);
/** True when the file itself is a mount point, so that nothing can take its place. */
bool os_place_is_mounted(const struct os_place *place);

/** True when something is beside the place under this name. */
bool os_place_has(const struct os_place *place, const char *name);

/**
 * Append the file's bytes to `out`. E_NO_FILE where there is none, E_ACCESS for a link or anything but a regular file.
 *
 * name  beside the place; NULL: its own.
 */
MUST_CHECK enum code os_place_read(const struct os_place *place, const char *name, struct buf *out,
                                   struct stat *out_stat, struct err *e);
/**
 * Write a new file `name` beside the place, and wait until the disk has it. An access list (acl(5)) is that of the file
 * in the place, where there is one. E_EXISTS; a part is not left behind.
 */
MUST_CHECK enum code os_place_write(const struct os_place *place, const char *name, struct bytes data,
                                    const struct os_owned *owned, struct err *e);
/** Give the place's file a second name. E_NO_FILE, E_EXISTS, E_IO: the file system knows no second names. */
MUST_CHECK enum code os_place_link(const struct os_place *place, const char *name, struct err *e);
/** Put the file `name` in the place of whatever is there. */
MUST_CHECK enum code os_place_replace(const struct os_place *place, const char *name, struct err *e);
/** The same where nothing is there. E_EXISTS when something is. */
MUST_CHECK enum code os_place_settle(const struct os_place *place, const char *name, struct err *e);
/** Remove the file `name`; NULL: the place's own. OK where there is none. */
MUST_CHECK enum code os_place_remove(const struct os_place *place, const char *name, struct err *e);
/** Wait until the disk has the directory's names. */
MUST_CHECK enum code os_place_sync(const struct os_place *place, struct err *e);

#endif
