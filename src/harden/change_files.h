/**
 * The files of one change: where they are, what they were and what they become, and the moves between the two.
 *
 * Beside a file that is being changed stand, for a while, .NAME.pgseal-new (what it becomes) and .NAME.pgseal-old (the
 * file itself under a second name, so that it can be put back on a full disk). PostgreSQL's include_dir passes over both.
 */
#ifndef PGSEAL_HARDEN_CHANGE_FILES_H
#define PGSEAL_HARDEN_CHANGE_FILES_H

#include "base/buf.h"
#include "harden/change.h"
#include "os/place.h"

struct change_item {
    struct change_entry entry;
    struct os_place place;
    struct buf before, after; /* bytes; wiped at the end */
    bool moved;               /* the file may be what the change made of it */
};

struct change_set {
    char dir[OS_PATH_MAX]; /* of the change in the state directory */
    uid_t uid;
    bool force;
    unsigned undoes;
    struct change_item *items; /* room for CHANGE_FILES_MAX */
    size_t n;
};

void change_set_init(struct change_set *set, struct arena *arena); /* ask for items == NULL */
void change_set_fini(struct change_set *set);
void change_set_auto(struct change_set *set);

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
/** New files beside the old ones. */
MUST_CHECK enum code change_set_stage(const struct change_set *set, struct err *e);
/** New files into their places; each is looked at once more. */
MUST_CHECK enum code change_set_replace(struct change_set *set, struct err *e);
/** The hook `also` is about to be called. */
void change_set_expect_also(struct change_set *set);
/** What the hook has written is from now on what the change has written. */
MUST_CHECK enum code change_set_take_also(struct change_set *set, struct err *e);
/**
 * Old files into their places, as far as the change has moved them away.
 *
 * farthest  how far the change has come for sure: before CHANGE_STEP_REPLACE a file with other contents was not
 *           changed by it.
 * out_any   there was something to put back; set in any case.
 *
 * E_BAD_STATE: a file is neither what it was nor what the change made of it. Nothing was put back then; otherwise
 * everything that can be is, and `e` names what could not.
 */
MUST_CHECK enum code change_set_restore(const struct change_set *set, enum change_step farthest,
                                        bool *out_any, struct err *e);
/** Remove what stands beside the files. */
void change_set_tidy(const struct change_set *set);
/** Remove the change from the state directory, unless something was kept there for a person. */
void change_set_forget(const struct change_set *set);

#endif
