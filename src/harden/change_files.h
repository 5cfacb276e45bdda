/**
 * Sets of files: made from a plan, or from the record of a change; and that record, in the state directory.
 */
#ifndef PGSEAL_HARDEN_CHANGE_FILES_H
#define PGSEAL_HARDEN_CHANGE_FILES_H

#include "harden/change_item.h"

/**
 * Add what a plan says of a file, and see whether it is still what the plan was made from, and can be replaced.
 * E_BAD_STATE, E_ACCESS.
 */
MUST_CHECK enum code change_set_plan(struct change_set *set, const struct change_file *file,
                                     struct arena *arena, struct err *e);
/** Read the set of a change that was made: manifest and contents. E_DAMAGED. */
MUST_CHECK enum code change_set_load(struct change_set *set, struct arena *arena, struct err *e);
/** False: the change has not begun to write, or a person has given up on it. */
bool change_set_has_manifest(const struct change_set *set);
/**
 * Turn a set that was loaded into `out`, which goes the other way from what the files are now. Files that are as they
 * were before the change are left out. E_BAD_STATE: one was edited since.
 */
MUST_CHECK enum code change_set_turn(const struct change_set *set, struct change_set *out, struct err *e);

/** Old and new contents, then the manifest, into the state directory. */
MUST_CHECK enum code change_set_backup(const struct change_set *set, struct err *e);
/** What the hook has written is from now on what the change has written. */
MUST_CHECK enum code change_set_take_also(struct change_set *set, struct err *e);
/** Remove the change from the state directory, unless something was kept there for a person. */
void change_set_forget(const struct change_set *set);

#endif
