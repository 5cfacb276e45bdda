/* New files beside the old ones, and the renames that put one or the other in force. */
#include "harden/change_moves.h"

#include "base/check.h"

#include <stdio.h>

/* ---- beside the files ---- */

static const char *const beside[] = { "new", "old", "back" };

static enum code name_beside(const struct change_item *item, const char *what, char out[NAME_MAX + 1],
                             struct err *e)
{
    int n = snprintf(out, NAME_MAX + 1, ".%s.pgseal-%s", item->place.name, what);

    return n > 0 && n <= NAME_MAX ? OK
                                  : err_set(e, E_LIMIT, "file name is too long: \"%s\"", item->place.path);
}

/* Of another run, for this one has tidied up: with another --state. It may be at work, or wait for its recovery. */
static enum code refuse_staged(const struct change_item *item, const char *name, struct err *e)
{
    char dir[OS_PATH_MAX];

    TRY(os_dir_of(item->place.path, dir, e));
    (void)err_set(e, E_BAD_STATE, "another change of file \"%s\" is under way, or was interrupted",
                  item->place.path);
    err_detail(e, "It has left \"%s/%s\".", dir, name);
    err_hint(
        e,
        "Run pgseal harden with the --state of that change. Where its state directory is lost, remove the file.");
    return E_BAD_STATE;
}

static enum code stage(struct change_item *item, struct err *e)
{
    char old[NAME_MAX + 1], new[NAME_MAX + 1];

    TRY(name_beside(item, "old", old, e));
    TRY(name_beside(item, "new", new, e));
    if (os_place_has(&item->place, old) || os_place_has(&item->place, new))
        return refuse_staged(item, os_place_has(&item->place, old) ? old : new, e);
    item->staged = true;
    if (item->entry.before.exists)
        (void)!os_place_link(&item->place, old, NULL); /* without it the backup is copied */
    if (item->entry.by_also || !item->entry.after.exists)
        return OK;
    return os_place_write(&item->place, new, buf_bytes(&item->after), &item->entry.after.owned, e);
}

enum code change_set_stage(struct change_set *set, struct err *e)
{
    for (size_t i = 0; i < set->n; i++)
        TRY(stage(&set->items[i], e));
    return OK;
}

static enum code replace(struct change_item *item, struct err *e)
{
    char name[NAME_MAX + 1];

    TRY(change_item_check(item, e));
    if (item->entry.by_also)
        return OK;
    TRY(name_beside(item, "new", name, e));
    item->moved = true;
    if (!item->entry.after.exists)
        TRY(os_place_remove(&item->place, NULL, e));
    else if (item->entry.before.exists)
        TRY(os_place_replace(&item->place, name, e));
    else
        TRY(os_place_settle(&item->place, name, e));
    return os_place_sync(&item->place, e);
}

enum code change_set_replace(struct change_set *set, struct err *e)
{
    for (size_t i = 0; i < set->n; i++)
        TRY(change_item_check(&set->items[i], e));
    for (size_t i = 0; i < set->n; i++)
        TRY(replace(&set->items[i], e));
    return OK;
}

void change_set_expect_also(struct change_set *set)
{
    for (size_t i = 0; i < set->n; i++)
        set->items[i].moved = set->items[i].moved || set->items[i].entry.by_also;
}

/* ---- putting back ---- */

static enum code put_back(const struct change_item *item, struct err *e)
{
    char name[NAME_MAX + 1];

    if (!item->entry.before.exists) {
        TRY(os_place_remove(&item->place, NULL, e));
        return os_place_sync(&item->place, e);
    }
    TRY(name_beside(item, "old", name, e));
    if (!change_item_is_before(item, name)) {
        TRY(name_beside(item, "back", name, e));
        TRY(os_place_remove(&item->place, name, e)); /* of a run that was killed while it did this */
        TRY(os_place_write(&item->place, name, buf_bytes(&item->before), &item->entry.before.owned, e));
    }
    TRY(os_place_replace(&item->place, name, e));
    return os_place_sync(&item->place, e);
}

static enum code refuse_foreign(const struct change_set *set, const struct change_item *item, struct err *e)
{
    char path[OS_PATH_MAX] = "";

    TRY(change_item_backup(set, item, "before", path, e));
    (void)err_set(e, E_BAD_STATE, "file \"%s\" has been changed since the change that did not end",
                  item->place.path);
    if (item->entry.before.exists)
        err_detail(e, "As it was before that change, it is \"%s\".", path);
    err_hint(
        e,
        "Add --force to put the old file back (the present one is kept beside the backup), or leave all files as "
        "they are now: rm -r \"%s\"",
        set->dir);
    return E_BAD_STATE;
}

/* Decide before anything is moved. The item's file is to be put back where `out` is set. */
static enum code judge(const struct change_set *set, const struct change_item *item,
                       enum change_step farthest, bool *out, struct err *e)
{
    AUTO(change_contents) struct buf now = BUF_INIT(OS_FILE_LIMIT);
    struct change_side side;
    enum change_found found;

    *out = false;
    if (!item->moved || (item->entry.by_also && farthest < CHANGE_STEP_ALSO))
        return OK;
    TRY(change_item_classify(item, &now, &side, &found, e));
    *out = found == CHANGE_FOUND_OURS;
    if (found != CHANGE_FOUND_FOREIGN || farthest < CHANGE_STEP_REPLACE)
        return OK;
    if (!set->force)
        return refuse_foreign(set, item, e);
    *out = true;
    return change_item_save(set, item, "found", &now, e);
}

/* The first that could not be put back has the message, all have their backups in the detail. */
static void lost(const struct change_set *set, const struct change_item *item, const struct err *why,
                 struct err *e)
{
    char path[OS_PATH_MAX] = "";
    struct err before = *e;

    if (e->code == OK)
        (void)err_set(e, why->code, "could not put back file \"%s\": %s", item->place.path, err_text(why));
    if (item->entry.before.exists && change_item_backup(set, item, "before", path, NULL) == OK)
        err_detail(e, "%s%sThe backup of \"%s\" is \"%s\".", before.detail, before.detail[0] ? " " : "",
                   item->place.path, path);
    else
        err_detail(e, "%s%s\"%s\" is to be removed.", before.detail, before.detail[0] ? " " : "",
                   item->place.path);
}

enum code change_set_restore(const struct change_set *set, enum change_step farthest, bool *out_any,
                             struct err *e)
{
    bool todo[CHANGE_FILES_MAX] = { false };
    struct err all = { .code = OK };

    *out_any = false;
    for (size_t i = 0; i < set->n; i++) {
        TRY(judge(set, &set->items[i], farthest, &todo[i], e));
        *out_any = *out_any || todo[i];
    }
    for (size_t i = 0; i < set->n; i++) {
        struct err why;
        if (todo[i] && put_back(&set->items[i], &why) != OK)
            lost(set, &set->items[i], &why, &all);
    }
    if (all.code != OK && e)
        *e = all;
    return all.code;
}

void change_set_tidy(const struct change_set *set)
{
    char name[NAME_MAX + 1];

    for (size_t i = 0; i < set->n; i++)
        for (size_t k = 0; k < COUNT_OF(beside); k++)
            if (set->items[i].staged && set->items[i].place.dir >= 0 &&
                name_beside(&set->items[i], beside[k], name, NULL) == OK)
                (void)!os_place_remove(&set->items[i].place, name, NULL);
}
