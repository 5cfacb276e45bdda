/* Backups, new files, and the renames that put one or the other in force. */
#include "harden/change_files.h"

#include "base/arena.h"
#include "base/check.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MANIFEST_LIMIT = 1 << 20 };

static const char manifest_name[] = "manifest";

/* There may be passwords in them: primary_conninfo. */
static void contents_auto(struct buf *b)
{
    buf_fini_secret(b);
}

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

static enum code add_item(struct change_set *set, struct change_item **out, struct err *e)
{
    if (set->n == CHANGE_FILES_MAX)
        return err_set(e, E_LIMIT, "a change of more than %d files", CHANGE_FILES_MAX);
    struct change_item *item = &set->items[set->n++];
    *item = (struct change_item){ .place = OS_PLACE_INIT,
                                  .before = BUF_INIT(OS_FILE_LIMIT),
                                  .after = BUF_INIT(OS_FILE_LIMIT) };
    *out = item;
    return OK;
}

/* ---- what is there ---- */

/* Not there: OK, and not `exists`. */
static enum code look(const struct change_item *item, const char *name, struct buf *out,
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

enum found {
    FOUND_OLD,    /* as it was, all of it */
    FOUND_OURS,   /* what the change made of it, or nothing that would be lost */
    FOUND_FOREIGN /* somebody has edited it */
};

static enum code classify(const struct change_item *item, struct buf *now, struct change_side *side,
                          enum found *out, struct err *e)
{
    const struct change_entry *entry = &item->entry;

    buf_reset(now);
    TRY(look(item, NULL, now, side, e));
    bool old = holds(side->exists, now, &entry->before, &item->before);
    if (old && same(side, &entry->before))
        *out = FOUND_OLD;
    else if (old || !side->exists || entry->by_also || holds(true, now, &entry->after, &item->after))
        *out = FOUND_OURS;
    else
        *out = FOUND_FOREIGN;
    return OK;
}

static enum code backup_path(const struct change_set *set, const struct change_item *item, const char *what,
                             char out[OS_PATH_MAX], struct err *e)
{
    char name[64];

    (void)snprintf(name, sizeof name, "%zu.%s", (size_t)(item - set->items), what);
    return os_path(set->dir, name, out, e);
}

/* ---- making a set ---- */

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

static enum code edited(const char *path, struct err *e)
{
    (void)err_set(e, E_BAD_STATE, "file \"%s\" has been changed in the meantime", path);
    err_hint(e, "Run the command again: it begins with what the file is now.");
    return E_BAD_STATE;
}

static enum code check_unchanged(const struct change_item *item, struct err *e)
{
    AUTO(contents) struct buf now = BUF_INIT(OS_FILE_LIMIT);
    struct change_side side;
    enum code code = look(item, NULL, &now, &side, e);

    if (code == OK &&
        !(holds(side.exists, &now, &item->entry.before, &item->before) && same(&side, &item->entry.before)))
        code = edited(item->place.path, e);
    return code;
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
        (void)err_set(e, E_ACCESS, "file \"%s\" belongs to root, and would no longer do so", path);
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
    struct change_item *item;
    struct change_side side;

    TRY(add_item(set, &item, e));
    struct change_entry *entry = &item->entry;
    entry->path = arena_c(arena, str_c(file->path));
    entry->by_also = file->by_also;
    if (!entry->path)
        return err_set(e, E_NOMEM, "out of memory");
    TRY(find_place(set, item, entry->path, e));
    entry->place = arena_c(arena, str_c(item->place.path));
    if (!entry->place)
        return err_set(e, E_NOMEM, "out of memory");
    TRY(look(item, NULL, &item->before, &side, e));
    entry->before = side;
    if (side.exists != file->existed || (side.exists && !bytes_equal(buf_bytes(&item->before), file->before)))
        return edited(item->place.path, e);
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

    TRY(backup_path(set, item, what, path, e));
    enum code code = os_read_file(path, out, e);
    return code == E_NO_FILE ? err_set(e, E_DAMAGED, "backup \"%s\" is missing", path) : code;
}

static enum code led_elsewhere(const struct change_entry *entry, const char *now, struct err *e)
{
    (void)err_set(e, E_BAD_STATE, "\"%s\" has become a link to another file", entry->path);
    err_detail(e, "The change was made to \"%s\"; now it is \"%s\".", entry->place, now);
    return E_BAD_STATE;
}

static enum code load_item(struct change_set *set, const struct change_entry *entry, struct err *e)
{
    struct change_item *item;

    TRY(add_item(set, &item, e));
    item->entry = *entry;
    item->moved = true;
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
    enum found found;

    if (item->place.dir < 0) /* gone, and not there before */
        return OK;
    TRY(check_way(set, item, e));
    TRY(add_item(out, &turned, e));
    turned->entry = (struct change_entry){ .path = item->entry.path,
                                           .place = item->entry.place,
                                           .after = item->entry.before };
    TRY(copy_place(&item->place, &turned->place, e));
    TRY(classify(item, &turned->before, &turned->entry.before, &found, e));
    if (found == FOUND_FOREIGN && !set->force) {
        char path[OS_PATH_MAX];
        TRY(backup_path(set, item, "after", path, e));
        (void)err_set(e, E_BAD_STATE, "file \"%s\" has been changed since it was hardened", item->place.path);
        err_detail(e, "As it was hardened, it is \"%s\".", path);
        err_hint(
            e,
            "Take the later edits out of the file, or add --force: the old file is put back, and the present "
            "one is kept.");
        return E_BAD_STATE;
    }
    if (found == FOUND_OLD) {
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

/* ---- backups ---- */

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

static enum code save(const struct change_set *set, const struct change_item *item, const char *what,
                      const struct buf *bytes, struct err *e)
{
    char path[OS_PATH_MAX];

    TRY(backup_path(set, item, what, path, e));
    return os_write_file(path, buf_bytes(bytes), 0600, OS_WRITE_REPLACE, e);
}

enum code change_set_backup(const struct change_set *set, struct err *e)
{
    TRY(os_mkdir(set->dir, 0700, e));
    for (size_t i = 0; i < set->n; i++) {
        const struct change_item *item = &set->items[i];
        if (item->entry.before.exists)
            TRY(save(set, item, "before", &item->before, e));
        if (item->entry.after.exists && !item->entry.by_also)
            TRY(save(set, item, "after", &item->after, e));
    }
    return write_manifest(set, e);
}

/* ---- beside the files ---- */

static const char *const beside[] = { "new", "old", "back" };

static enum code name_beside(const struct change_item *item, const char *what, char out[NAME_MAX + 1],
                             struct err *e)
{
    int n = snprintf(out, NAME_MAX + 1, ".%s.pgseal-%s", item->place.name, what);

    return n > 0 && n <= NAME_MAX ? OK
                                  : err_set(e, E_LIMIT, "file name is too long: \"%s\"", item->place.path);
}

/* What a run that was killed has left there is in the way. */
static enum code write_beside(const struct change_item *item, const char *name, const struct buf *bytes,
                              const struct os_owned *owned, struct err *e)
{
    TRY(os_place_remove(&item->place, name, e));
    return os_place_write(&item->place, name, buf_bytes(bytes), owned, e);
}

static enum code stage(const struct change_item *item, struct err *e)
{
    char name[NAME_MAX + 1];

    TRY(name_beside(item, "old", name, e));
    TRY(os_place_remove(&item->place, name, e));
    if (item->entry.before.exists)
        (void)!os_place_link(&item->place, name, NULL); /* without it the backup is copied */
    if (item->entry.by_also || !item->entry.after.exists)
        return OK;
    TRY(name_beside(item, "new", name, e));
    return write_beside(item, name, &item->after, &item->entry.after.owned, e);
}

enum code change_set_stage(const struct change_set *set, struct err *e)
{
    for (size_t i = 0; i < set->n; i++)
        TRY(stage(&set->items[i], e));
    return OK;
}

static enum code replace(struct change_item *item, struct err *e)
{
    char name[NAME_MAX + 1];

    TRY(check_unchanged(item, e));
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
        TRY(check_unchanged(&set->items[i], e));
    for (size_t i = 0; i < set->n; i++)
        TRY(replace(&set->items[i], e));
    return OK;
}

void change_set_expect_also(struct change_set *set)
{
    for (size_t i = 0; i < set->n; i++)
        set->items[i].moved = set->items[i].moved || set->items[i].entry.by_also;
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
        TRY(look(item, NULL, &item->after, &item->entry.after, e));
        if (item->entry.after.exists)
            TRY(save(set, item, "after", &item->after, e));
        item->entry.by_also = false;
    }
    return any ? write_manifest(set, e) : OK;
}

/* ---- putting back ---- */

/* True when the file under its second name is the one that was there, untouched. */
static bool old_is_good(const struct change_item *item, const char *name)
{
    AUTO(contents) struct buf bytes = BUF_INIT(OS_FILE_LIMIT);
    struct change_side side;

    return look(item, name, &bytes, &side, NULL) == OK && same(&side, &item->entry.before) &&
           holds(side.exists, &bytes, &item->entry.before, &item->before);
}

static enum code put_back(const struct change_item *item, struct err *e)
{
    char name[NAME_MAX + 1];

    if (!item->entry.before.exists) {
        TRY(os_place_remove(&item->place, NULL, e));
        return os_place_sync(&item->place, e);
    }
    TRY(name_beside(item, "old", name, e));
    if (!old_is_good(item, name)) {
        TRY(name_beside(item, "back", name, e));
        TRY(write_beside(item, name, &item->before, &item->entry.before.owned, e));
    }
    TRY(os_place_replace(&item->place, name, e));
    return os_place_sync(&item->place, e);
}

static enum code refuse_foreign(const struct change_set *set, const struct change_item *item, struct err *e)
{
    char path[OS_PATH_MAX] = "";

    TRY(backup_path(set, item, "before", path, e));
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
    AUTO(contents) struct buf now = BUF_INIT(OS_FILE_LIMIT);
    struct change_side side;
    enum found found;

    *out = false;
    if (!item->moved || (item->entry.by_also && farthest < CHANGE_STEP_ALSO))
        return OK;
    TRY(classify(item, &now, &side, &found, e));
    *out = found == FOUND_OURS;
    if (found != FOUND_FOREIGN || farthest < CHANGE_STEP_REPLACE)
        return OK;
    if (!set->force)
        return refuse_foreign(set, item, e);
    *out = true;
    return save(set, item, "found", &now, e);
}

/* The first that could not be put back has the message, all have their backups in the detail. */
static void lost(const struct change_set *set, const struct change_item *item, const struct err *why,
                 struct err *e)
{
    char path[OS_PATH_MAX] = "";
    struct err before = *e;

    if (e->code == OK)
        (void)err_set(e, why->code, "could not put back file \"%s\": %s", item->place.path, err_text(why));
    if (item->entry.before.exists && backup_path(set, item, "before", path, NULL) == OK)
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
            if (set->items[i].place.dir >= 0 && name_beside(&set->items[i], beside[k], name, NULL) == OK)
                (void)!os_place_remove(&set->items[i].place, name, NULL);
}

void change_set_forget(const struct change_set *set)
{
    static const char *const files[] = { "before", "after" };
    char path[OS_PATH_MAX];

    if (os_path(set->dir, manifest_name, path, NULL) == OK)
        (void)unlink(path);
    for (size_t i = 0; i < set->n; i++)
        for (size_t k = 0; k < COUNT_OF(files); k++)
            if (backup_path(set, &set->items[i], files[k], path, NULL) == OK)
                (void)unlink(path);
    (void)rmdir(set->dir); /* with something in it, it stays */
}
