/**
 * Root works in a directory as who owns it: what it makes there belongs to the owner, and links that the owner's
 * account has put there lead root nowhere that the account could not go itself.
 *
 * For commands: the change is the whole process's.
 */
#ifndef PGSEAL_OS_OWNER_H
#define PGSEAL_OS_OWNER_H

#include "base/err.h"

#include <sys/types.h>

enum { OS_OWNER_GROUPS_MAX = 64 };

/** Who root was before; all zero: nothing was changed. */
struct os_owner {
    bool changed;
    int n_groups;
    gid_t groups[OS_OWNER_GROUPS_MAX];
};

/**
 * From now on, and until os_owner_leave(), act as the owner of `path`; where it does not exist, of the directory
 * that it would be made in. Nothing changes for others than root, nor where root is the owner.
 */
MUST_CHECK enum code os_owner_enter(const char *path, struct os_owner *out, struct err *e);
/** Be root again. May be repeated. */
void os_owner_leave(struct os_owner *owner);
void os_owner_auto(struct os_owner *owner);
/** The same for good: programs that are run from now on are the owner's, too. */
MUST_CHECK enum code os_owner_become(const char *path, struct err *e);

#endif
