#include "lex/hba_disk.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "lex/hba_lex.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static int hba_disk_read_all(int fd, struct buf *out)
{
    enum { CHUNK = 64 * 1024 };

    for (;;) {
        if (!buf_reserve(out, CHUNK))
            return -EFBIG;
        ssize_t n = read(fd, out->p + out->n, CHUNK);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            return 0;
        out->n += (size_t)n;
    }
}

static int disk_read_file(void *ctx, const char *path, struct buf *out)
{
    (void)ctx;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

    if (fd < 0)
        return errno;
    int result = hba_disk_read_all(fd, out);
    (void)close(fd);
    return result;
}

static int disk_list_dir(void *ctx, const char *path, void (*entry)(void *arg, const char *name), void *arg)
{
    (void)ctx;
    DIR *dir = opendir(path);

    if (!dir)
        return errno;
    for (struct dirent *d = readdir(dir); d; d = readdir(dir))
        entry(arg, d->d_name);
    (void)closedir(dir);
    return 0;
}

static int disk_is_dir(void *ctx, const char *path)
{
    (void)ctx;
    struct stat st;

    if (stat(path, &st) != 0)
        return -errno;
    return S_ISDIR(st.st_mode) ? 1 : 0;
}

const struct hba_lex_fs hba_lex_disk = { disk_read_file, disk_list_dir, disk_is_dir, NULL };

/** Write the canonical form of the absolute path `in` to `out` (room for in.n + 1); returns its length. */
static size_t canonical(struct str in, char *out)
{
    struct str part;
    size_t n = 0;

    while (str_split(&in, '/', &part)) {
        if (part.n == 0 || str_is(part, "."))
            continue;
        if (str_is(part, "..")) {
            while (n > 0 && out[--n] != '/')
                ;
            continue;
        }
        out[n++] = '/';
        memcpy(out + n, part.p, part.n);
        n += part.n;
    }
    if (n == 0)
        out[n++] = '/';
    return n;
}

bool hba_lex_path(struct arena *arena, struct str base_dir, struct str path, struct str *out)
{
    struct str joined = path;

    if (!str_starts(path, STR("/")) &&
        !arena_printf(arena, &joined, "%.*s/%.*s", STR_ARG(base_dir), STR_ARG(path)))
        return false;
    char *text = arena_alloc(arena, joined.n + 2);
    if (!text)
        return false;
    *out = str_of(text, canonical(joined, text));
    return true;
}
