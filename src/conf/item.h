/**
 * One value of a load: its name in messages, and its text understood.
 */
#ifndef PGSEAL_CONF_ITEM_H
#define PGSEAL_CONF_ITEM_H

#include "conf/load.h"

/** A value of `item` into `member`; a complaint becomes a row with the item's place. */
MUST_CHECK enum code load_parse(struct load *load, struct load_item *item, void *member,
                                struct setting_state *state);

#endif
