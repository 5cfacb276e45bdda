#include "audit/careful.h"

#include "lex/conf_disk.h"
#include "os/files.h"

#include <errno.h>
#include <sys/stat.h>

bool careful_is_special(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode);
}

enum code careful_read(const char *path, struct buf *out, struct err *e)
{
    if (careful_is_special(path))
        return err_set(e, E_IO, "\"%s\" is not a regular file", path);
    return os_read_file(path, out, e);
}

static enum code conf_read(void *ctx, const char *path, struct buf *out, struct err *e)
{
    const struct conf_fs disk = conf_fs_disk();

    (void)ctx;
    if (careful_is_special(path))
        return err_set(e, E_IO, "not a regular file");
    return disk.read(disk.ctx, path, out, e);
}

struct conf_fs careful_conf_fs(void)
{
    struct conf_fs fs = conf_fs_disk();

    fs.read = conf_read;
    return fs;
}

static int hba_read(void *ctx, const char *path, struct buf *out)
{
    (void)ctx;
    if (careful_is_special(path))
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

const struct hba_lex_fs careful_hba_fs = { hba_read, hba_list, hba_is_dir, NULL };
