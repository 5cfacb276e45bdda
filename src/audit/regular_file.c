#include "audit/regular_file.h"

#include "base/buf.h"
#include "lex/conf_disk.h"
#include "os/files.h"

#include <errno.h>
#include <sys/stat.h>

bool regular_file_is_special(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode);
}

enum code regular_file_read(const char *path, struct buf *out, struct err *e)
{
    if (regular_file_is_special(path))
        return err_set(e, E_IO, "\"%s\" is not a regular file", path);
    return os_read_file(path, out, e);
}

/* ---- drafts ---- */

static const struct regular_file_draft *draft_of(void *ctx, const char *path)
{
    const struct regular_file_drafts *drafts = ctx;

    for (size_t i = 0; drafts && i < drafts->n; i++)
        if (str_is(drafts->items[i].path, path))
            return &drafts->items[i];
    return NULL;
}

/* The name of a draft that is to be made in this directory; empty: it is not, or is there. */
static struct str new_name(const struct regular_file_draft *draft, const char *dir)
{
    struct str path = draft->path;
    size_t slash = path.n;
    char c[OS_PATH_MAX];

    while (slash > 0 && path.p[slash - 1] != '/')
        slash--;
    bool inside = slash > 0 && str_equal(str_first(path, slash - 1), str_c(dir));
    return inside && str_to_c(path, c, sizeof c) && !os_exists(c) ? str_from(path, slash) : STR("");
}

/* ---- settings ---- */

static enum code conf_read(void *ctx, const char *path, struct buf *out, struct err *e)
{
    const struct regular_file_draft *draft = draft_of(ctx, path);
    const struct conf_fs disk = conf_fs_disk();

    if (draft)
        return buf_append_str(out, draft->text) ? OK : err_set(e, E_NOMEM, "out of memory");
    if (regular_file_is_special(path))
        return err_set(e, E_IO, "not a regular file");
    return disk.read(disk.ctx, path, out, e);
}

static enum code conf_list(void *ctx, const char *path, bool (*add)(void *add_ctx, struct str name),
                           void *add_ctx, struct err *e)
{
    const struct regular_file_drafts *drafts = ctx;
    const struct conf_fs disk = conf_fs_disk();

    TRY(disk.list(disk.ctx, path, add, add_ctx, e));
    for (size_t i = 0; drafts && i < drafts->n; i++) {
        struct str name = new_name(&drafts->items[i], path);
        if (name.n > 0 && !add(add_ctx, name))
            return err_set(e, E_NOMEM, "out of memory");
    }
    return OK;
}

struct conf_fs regular_file_conf_fs(const struct regular_file_drafts *drafts)
{
    return (struct conf_fs){ conf_read, conf_list, (void *)(uintptr_t)drafts };
}

/* ---- rules ---- */

static int hba_read(void *ctx, const char *path, struct buf *out)
{
    const struct regular_file_draft *draft = draft_of(ctx, path);

    if (draft)
        return buf_append_str(out, draft->text) ? 0 : ENOMEM;
    if (regular_file_is_special(path))
        return EINVAL;
    return hba_lex_disk.read_file(hba_lex_disk.ctx, path, out);
}

static int hba_list(void *ctx, const char *path, void (*entry)(void *arg, const char *name), void *arg)
{
    (void)ctx;
    return hba_lex_disk.list_dir(hba_lex_disk.ctx, path, entry, arg);
}

static int hba_is_dir(void *ctx, const char *path)
{
    (void)ctx;
    return hba_lex_disk.is_dir(hba_lex_disk.ctx, path);
}

struct hba_lex_fs regular_file_hba_fs(const struct regular_file_drafts *drafts)
{
    return (struct hba_lex_fs){ hba_read, hba_list, hba_is_dir, (void *)(uintptr_t)drafts };
}
