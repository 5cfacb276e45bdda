/**
 * The parent executes the new program in its own place: the process stays, with its children and what ties them to it.
 */
#ifndef PGSEAL_OS_FAMILY_AGAIN_H
#define PGSEAL_OS_FAMILY_AGAIN_H

#include "os/family_impl.h"

/** Does this file lie at this path? */
bool family_is_at(const char *path, int file);
/** The path of the program that this process is, as it is on the disk now. E_IO. */
MUST_CHECK enum code family_own_path(char out[OS_PATH_MAX], struct err *e);
/** Execute the upgrade's program. Returns where that cannot be done, and errno says why. */
void family_again(struct family *f);
/** In the new program: what the old one knew. E_BAD_STATE. */
MUST_CHECK enum code family_adopt(struct family *f, const char *variable, struct err *e);

#endif
