/* Sets of files that a plan, or the record of a change, is made into; and that record. */
#include "harden/change_files.h"

#include "base/arena.h"
#include "base/check.h"

#include <stdio.h>
#include <unistd.h>

enum { MANIFEST_LIMIT = 1 << 20 };

static const char manifest_name[] = "manifest";

/* ---- making a set ---- */

/* NULL: there are too many. */
static struct change_item *add_item(struct change_set *set, struct err *e)
{
    if (set->n == CHANGE_FILES_MAX) {
        (void)err_set(e, E_LIMIT, "a change of more than %d files", CHANGE_FILES_MAX);
        return NULL;
    }
    struct change_item *item = &set->items[set->n++];
    *item = (struct change_item){ .place = OS_PLACE_INIT,
                                  .before = BUF_INIT(OS_FILE_LIMIT),
                                  .after = BUF_INIT(OS_FILE_LIMIT) };
    return item;
}

/* path  the entry's, or its place. */
static enum code find_place(struct change_set *set, struct change_item *item, const char *path, struct err *e)
{
    TRY(os_place_find(path, set->uid, &item->place, e));
    for (const struct change_item *other = set->items; other < item; other++)
        if (str_is(str_c(other->place.path), item->place.path))
            return err_set(e, E_PARAM, "\"%s\" and \"%s\" are the same file", other->entry.path,
                           item->entry.path);
    return OK;
}

/* Told before anything is written. `before` is what the file is. */
static enum code check_replaceable(const struct change_item *item, const struct change_side *before,
                                   struct err *e)
{
    const char *path = item->place.path;
    char dir[OS_PATH_MAX];

    TRY(os_dir_of(path, dir, e));
    enum code code = os_place_check_writable(&item->place, e);
    if (code == E_ACCESS) {
        err_hint(
            e,
            "\"%s\" must be writable for the account that owns the server's files: chown it, or edit the file "
            "by hand as pgseal harden prints it.",
            dir);
        return code;
    }
    TRY(code);
    if (before->exists && geteuid() != 0 && before->owned.uid != geteuid()) {
        (void)err_set(e, E_ACCESS, "file \"%s\" belongs to root, and would change its owner", path);
        err_hint(
            e,
            "Give it to the account that owns the server's files (chown), or edit it by hand as pgseal harden "
            "prints it.");
        return E_ACCESS;
    }
    if (before->exists && os_place_is_mounted(&item->place)) {
        (void)err_set(e, E_BAD_STATE, "file \"%s\" is a mount point and cannot be replaced", path);
        err_hint(e, "Mount the directory instead of the file, or edit the file where it is mounted from.");
        return E_BAD_STATE;
    }
    return OK;
}

enum code change_set_plan(struct change_set *set, const struct change_file *file, struct arena *arena,
                          struct err *e)
{
    struct change_item *item = add_item(set, e);
    struct change_side side;

    if (!item)
        return E_LIMIT;
    struct change_entry *entry = &item->entry;
    entry->path = arena_c(arena, str_c(file->path));
    entry->by_also = file->by_also;
    if (!entry->path)
        return err_set(e, E_NOMEM, "out of memory");
    TRY(find_place(set, item, entry->path, e));
    entry->place = arena_c(arena, str_c(item->place.path));
    if (!entry->place)
        return err_set(e, E_NOMEM, "out of memory");
    TRY(change_item_look(item, NULL, &item->before, &side, e));
    entry->before = side;
    if (side.exists != file->existed || (side.exists && !bytes_equal(buf_bytes(&item->before), file->before)))
        return change_item_edited(item->place.path, e);
    TRY(check_replaceable(item, &side, e));
    entry->after.exists = file->stays;
    entry->after.owned = side.exists ? side.owned : (struct os_owned){ file->mode, geteuid(), getegid() };
    return buf_append(&item->after, file->after)
               ? OK
               : err_set(e, E_LIMIT, "file \"%s\" is too large", file->path);
}

static enum code load_bytes(const struct change_set *set, const struct change_item *item, const char *what,
                            struct buf *out, struct err *e)
{
    char path[OS_PATH_MAX];

    TRY(change_item_backup(set, item, what, path, e));
    enum code code = os_read_file(path, out, e);
    return code == E_NO_FILE ? err_set(e, E_DAMAGED, "backup \"%s\" is missing", path) : code;
}

static enum code led_elsewhere(const struct change_entry *entry, const char *now, struct err *e)
{
    (void)err_set(e, E_BAD_STATE, "\"%s\" has become a symbolic link to another file", entry->path);
    err_detail(e, "The change was made to \"%s\"; now it is \"%s\".", entry->place, now);
    return E_BAD_STATE;
}

static enum code load_item(struct change_set *set, const struct change_entry *entry, struct err *e)
{
    struct change_item *item = add_item(set, e);

    if (!item)
        return E_LIMIT;
    item->entry = *entry;
    item->staged = item->moved = true;
    enum code code = find_place(set, item, entry->place, e);
    if (code == E_NO_FILE && !entry->before.exists) /* the new file's directory is gone, and so is the file */
        return OK;
    TRY(code);
    if (!str_is(str_c(item->place.path), entry->place))
        return led_elsewhere(entry, item->place.path, e);
    if (entry->before.exists)
        TRY(load_bytes(set, item, "before", &item->before, e));
    if (entry->after.exists && !entry->by_also)
        TRY(load_bytes(set, item, "after", &item->after, e));
    return OK;
}

enum code change_set_load(struct change_set *set, struct arena *arena, struct err *e)
{
    AUTO(buf) struct buf text = BUF_INIT(MANIFEST_LIMIT);
    struct change_manifest manifest;
    char path[OS_PATH_MAX];

    TRY(os_path(set->dir, manifest_name, path, e));
    TRY(os_read_file(path, &text, e));
    TRY(change_manifest_read(buf_str(&text), path, arena, &manifest, e));
    set->undoes = manifest.undoes;
    for (size_t i = 0; i < manifest.n; i++)
        TRY(load_item(set, &manifest.entries[i], e));
    return OK;
}

bool change_set_has_manifest(const struct change_set *set)
{
    char path[OS_PATH_MAX];

    return os_path(set->dir, manifest_name, path, NULL) == OK && os_exists(path);
}

/* The same place, held twice. */
static enum code copy_place(const struct os_place *place, struct os_place *out, struct err *e)
{
    int dir = dup(place->dir);

    if (dir < 0)
        return err_set(e, E_IO, "could not duplicate a file descriptor: %m");
    *out = *place;
    out->dir = dir;
    return OK;
}

/* Is it still the file that the server reads? */
static enum code check_way(const struct change_set *set, const struct change_item *item, struct err *e)
{
    AUTO(os_place) struct os_place place = OS_PLACE_INIT;

    TRY(os_place_find(item->entry.path, set->uid, &place, e));
    return str_is(str_c(place.path), item->entry.place) ? OK : led_elsewhere(&item->entry, place.path, e);
}

static enum code turn_item(const struct change_set *set, const struct change_item *item,
                           struct change_set *out, struct err *e)
{
    struct change_item *turned;
    enum change_found found;

    if (item->place.dir < 0) /* gone, and not there before */
        return OK;
    TRY(check_way(set, item, e));
    turned = add_item(out, e);
    if (!turned)
        return E_LIMIT;
    turned->entry = (struct change_entry){ .path = item->entry.path,
                                           .place = item->entry.place,
                                           .after = item->entry.before };
    TRY(copy_place(&item->place, &turned->place, e));
    TRY(change_item_classify(item, &turned->before, &turned->entry.before, &found, e));
    if (found == CHANGE_FOUND_FOREIGN && !set->force) {
        char path[OS_PATH_MAX];
        TRY(change_item_backup(set, item, "after", path, e));
        (void)err_set(e, E_BAD_STATE, "file \"%s\" has been changed since it was hardened", item->place.path);
        err_detail(e, "As it was hardened, it is \"%s\".", path);
        err_hint(
            e,
            "Remove the later edits from the file, or add --force: the old file is restored, and the present one is kept.");
        return E_BAD_STATE;
    }
    if (found == CHANGE_FOUND_OLD) {
        os_place_fini(&turned->place);
        buf_fini_secret(&turned->before);
        out->n--;
        return OK;
    }
    TRY(check_replaceable(turned, &turned->entry.before, e));
    return buf_append_buf(&turned->after, &item->before) ? OK : err_set(e, E_NOMEM, "out of memory");
}

enum code change_set_turn(const struct change_set *set, struct change_set *out, struct err *e)
{
    for (size_t i = 0; i < set->n; i++)
        TRY(turn_item(set, &set->items[i], out, e));
    return OK;
}

/* ---- the record ---- */

static enum code write_manifest(const struct change_set *set, struct err *e)
{
    struct change_entry entries[CHANGE_FILES_MAX];
    struct change_manifest manifest = { set->undoes, entries, set->n };
    AUTO(buf) struct buf text = BUF_INIT(MANIFEST_LIMIT);
    char path[OS_PATH_MAX];

    for (size_t i = 0; i < set->n; i++)
        entries[i] = set->items[i].entry;
    change_manifest_write(&manifest, &text);
    if (!buf_ok(&text))
        return err_set(e, E_LIMIT, "the record of the change is too large");
    TRY(os_path(set->dir, manifest_name, path, e));
    return os_write_file(path, buf_bytes(&text), 0600, OS_WRITE_REPLACE, e);
}

enum code change_set_backup(const struct change_set *set, struct err *e)
{
    TRY(os_mkdir(set->dir, 0700, e));
    for (size_t i = 0; i < set->n; i++) {
        const struct change_item *item = &set->items[i];
        if (item->entry.before.exists)
            TRY(change_item_save(set, item, "before", &item->before, e));
        if (item->entry.after.exists && !item->entry.by_also)
            TRY(change_item_save(set, item, "after", &item->after, e));
    }
    return write_manifest(set, e);
}

enum code change_set_take_also(struct change_set *set, struct err *e)
{
    bool any = false;

    for (size_t i = 0; i < set->n; i++) {
        struct change_item *item = &set->items[i];
        if (!item->entry.by_also)
            continue;
        any = true;
        buf_reset(&item->after);
        TRY(change_item_look(item, NULL, &item->after, &item->entry.after, e));
        if (item->entry.after.exists)
            TRY(change_item_save(set, item, "after", &item->after, e));
        item->entry.by_also = false;
    }
    return any ? write_manifest(set, e) : OK;
}

void change_set_forget(const struct change_set *set)
{
    static const char *const files[] = { "before", "after" };
    char path[OS_PATH_MAX];

    if (os_path(set->dir, manifest_name, path, NULL) == OK)
        (void)unlink(path);
    for (size_t i = 0; i < set->n; i++)
        for (size_t k = 0; k < COUNT_OF(files); k++)
            if (change_item_backup(set, &set->items[i], files[k], path, NULL) == OK)
                (void)unlink(path);
    (void)rmdir(set->dir); /* with something in it, it stays */
}
