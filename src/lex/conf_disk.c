#include "lex/conf_disk.h"

#include "base/buf.h"
#include "base/check.h"
#include "lex/conf_lex.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static enum code fail_errno(struct err *e)
{
    int saved = errno;

    return err_set(e, code_from_errno(saved), "%s", strerror(saved));
}

static enum code conf_disk_read_all(int fd, struct buf *out, struct err *e)
{
    char chunk[8192];
    ssize_t n;

    while ((n = read(fd, chunk, sizeof chunk)) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail_errno(e);
        if (!buf_append(out, bytes_of(chunk, (size_t)n)))
            return err_set(e, E_LIMIT, "file is too large");
    }
    return OK;
}

static enum code disk_read(void *ctx, const char *path, struct buf *out, struct err *e)
{
    (void)ctx;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return fail_errno(e);
    enum code code = conf_disk_read_all(fd, out, e);
    (void)close(fd);
    return code;
}

static bool is_directory(int dir_fd, const char *name)
{
    struct stat st;

    return fstatat(dir_fd, name, &st, 0) == 0 && S_ISDIR(st.st_mode);
}

static enum code disk_list(void *ctx, const char *path, bool (*add)(void *add_ctx, struct str name),
                           void *add_ctx, struct err *e)
{
    const struct dirent *entry;
    enum code code = OK;

    (void)ctx;
    DIR *dir = opendir(path);
    if (!dir)
        return fail_errno(e);
    while (code == OK && (errno = 0, entry = readdir(dir)) != NULL)
        if (!is_directory(dirfd(dir), entry->d_name) && !add(add_ctx, str_c(entry->d_name)))
            code = err_set(e, E_NOMEM, "out of memory");
    if (code == OK && errno != 0)
        code = fail_errno(e);
    (void)closedir(dir);
    return code;
}

struct conf_fs conf_fs_disk(void)
{
    return (struct conf_fs){ .read = disk_read, .list = disk_list };
}
