/**
 * The files of one change: where they are, what they were and what they become.
 */
#ifndef PGSEAL_HARDEN_CHANGE_ITEM_H
#define PGSEAL_HARDEN_CHANGE_ITEM_H

#include "base/buf.h"
#include "harden/change.h"
#include "os/place.h"

struct arena;

struct change_item {
    struct change_entry entry;
    struct os_place place;
    struct buf before, after; /* bytes; wiped at the end */
    bool staged;              /* what is beside the file is this change's */
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

/** Bytes of a file are wiped: there may be passwords in them (primary_conninfo). */
void change_contents_auto(struct buf *b);

/**
 * Read what is there now.
 *
 * name  beside the file; NULL: the file itself.
 *
 * OK also where there is nothing: out_side->exists tells.
 */
MUST_CHECK enum code change_item_look(const struct change_item *item, const char *name, struct buf *out,
                                      struct change_side *out_side, struct err *e);

enum change_found {
    CHANGE_FOUND_OLD,    /* as it was, all of it */
    CHANGE_FOUND_OURS,   /* what the change made of it, or nothing that would be lost */
    CHANGE_FOUND_FOREIGN /* somebody has edited it */
};

/** What is it that is there now? `now` and `out_side` as of change_item_look(). */
MUST_CHECK enum code change_item_classify(const struct change_item *item, struct buf *now,
                                          struct change_side *out_side, enum change_found *out,
                                          struct err *e);
/** True when the file `name` beside the place is as the file was before, all of it. */
bool change_item_is_before(const struct change_item *item, const char *name);
/** E_BAD_STATE: it is not as it was when the plan was made. */
MUST_CHECK enum code change_item_check(const struct change_item *item, struct err *e);
/** The error for that. */
enum code change_item_edited(const char *path, struct err *e);

/** The path of the item's file in the state directory: "before", "after", "found". E_LIMIT. */
MUST_CHECK enum code change_item_backup(const struct change_set *set, const struct change_item *item,
                                        const char *what, char out[OS_PATH_MAX], struct err *e);
/** Write it: 0600. */
MUST_CHECK enum code change_item_save(const struct change_set *set, const struct change_item *item,
                                      const char *what, const struct buf *bytes, struct err *e);

#endif
