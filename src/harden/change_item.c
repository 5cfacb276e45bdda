/* What is in a file's place, compared with what the change knows of it. */
#include "harden/change_item.h"

#include "base/arena.h"
#include "base/check.h"

#include <stdio.h>
#include <sys/stat.h>

void change_set_init(struct change_set *set, struct arena *arena)
{
    *set = (struct change_set){ .items = arena_array(arena, CHANGE_FILES_MAX, sizeof *set->items) };
}

void change_set_fini(struct change_set *set)
{
    for (size_t i = 0; i < set->n; i++) {
        os_place_fini(&set->items[i].place);
        buf_fini_secret(&set->items[i].before);
        buf_fini_secret(&set->items[i].after);
    }
    set->n = 0;
}

void change_set_auto(struct change_set *set)
{
    change_set_fini(set);
}

void change_contents_auto(struct buf *b)
{
    buf_fini_secret(b);
}

/* ---- what is there ---- */

enum code change_item_look(const struct change_item *item, const char *name, struct buf *out,
                           struct change_side *out_side, struct err *e)
{
    struct stat st;
    enum code code = item->place.dir < 0 ? E_NO_FILE : os_place_read(&item->place, name, out, &st, e);

    *out_side = (struct change_side){ .exists = code == OK };
    if (code == OK)
        out_side->owned = (struct os_owned){ st.st_mode & 07777, st.st_uid, st.st_gid };
    return code == E_NO_FILE ? OK : code;
}

static bool same(const struct change_side *a, const struct change_side *b)
{
    return a->exists == b->exists &&
           (!a->exists ||
            (a->owned.mode == b->owned.mode && a->owned.uid == b->owned.uid && a->owned.gid == b->owned.gid));
}

static bool holds(bool exists, const struct buf *bytes, const struct change_side *side,
                  const struct buf *wanted)
{
    return exists == side->exists && (!exists || bytes_equal(buf_bytes(bytes), buf_bytes(wanted)));
}

enum code change_item_classify(const struct change_item *item, struct buf *now, struct change_side *side,
                               enum change_found *out, struct err *e)
{
    const struct change_entry *entry = &item->entry;

    buf_reset(now);
    TRY(change_item_look(item, NULL, now, side, e));
    bool old = holds(side->exists, now, &entry->before, &item->before);
    if (old && same(side, &entry->before))
        *out = CHANGE_FOUND_OLD;
    else if (old || !side->exists || entry->by_also || holds(true, now, &entry->after, &item->after))
        *out = CHANGE_FOUND_OURS;
    else
        *out = CHANGE_FOUND_FOREIGN;
    return OK;
}

bool change_item_is_before(const struct change_item *item, const char *name)
{
    AUTO(change_contents) struct buf bytes = BUF_INIT(OS_FILE_LIMIT);
    struct change_side side;

    return change_item_look(item, name, &bytes, &side, NULL) == OK && same(&side, &item->entry.before) &&
           holds(side.exists, &bytes, &item->entry.before, &item->before);
}

enum code change_item_edited(const char *path, struct err *e)
{
    (void)err_set(e, E_BAD_STATE, "file \"%s\" has been changed in the meantime", path);
    err_hint(e, "Run the command again: it starts from the file as it is now.");
    return E_BAD_STATE;
}

enum code change_item_check(const struct change_item *item, struct err *e)
{
    AUTO(change_contents) struct buf now = BUF_INIT(OS_FILE_LIMIT);
    struct change_side side;
    enum change_found found;

    TRY(change_item_classify(item, &now, &side, &found, e));
    return found == CHANGE_FOUND_OLD ? OK : change_item_edited(item->place.path, e);
}

/* ---- beside the record ---- */

enum code change_item_backup(const struct change_set *set, const struct change_item *item, const char *what,
                             char out[OS_PATH_MAX], struct err *e)
{
    char name[64];

    (void)snprintf(name, sizeof name, "%zu.%s", (size_t)(item - set->items), what);
    return os_path(set->dir, name, out, e);
}

enum code change_item_save(const struct change_set *set, const struct change_item *item, const char *what,
                           const struct buf *bytes, struct err *e)
{
    char path[OS_PATH_MAX];

    TRY(change_item_backup(set, item, what, path, e));
    return os_write_file(path, buf_bytes(bytes), 0600, OS_WRITE_REPLACE, e);
}
