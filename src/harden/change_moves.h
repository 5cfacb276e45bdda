/**
 * The moves of a change: new files into the places of the old ones, and back.
 *
 * Beside a file that is being changed stand, for a while, .NAME.pgseal-new (what it becomes) and .NAME.pgseal-old (the
 * file itself under a second name, so that it can be put back on a full disk). PostgreSQL's include_dir passes over both.
 */
#ifndef PGSEAL_HARDEN_CHANGE_MOVES_H
#define PGSEAL_HARDEN_CHANGE_MOVES_H

#include "harden/change_item.h"

/** New files beside the old ones. E_BAD_STATE: those of another change are there. */
MUST_CHECK enum code change_set_stage(struct change_set *set, struct err *e);
/** New files into their places; each is looked at once more. */
MUST_CHECK enum code change_set_replace(struct change_set *set, struct err *e);
/** The hook `also` is about to be called. */
void change_set_expect_also(struct change_set *set);
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
/** Remove what is beside the files. */
void change_set_tidy(const struct change_set *set);

#endif
