/* Exchanging a pair of files. */
#include "renew/swap.h"

#include "base/buf.h"
#include "base/check.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { NAME_TRIES = 1000 };

static enum code swap_fail(struct err *e, const char *what, const char *path)
{
    int saved = errno;
    enum code code = err_set(e, code_from_errno(saved), "could not %s \"%s\": %s", what, path,
                             strerror(saved));

    if (saved == EACCES || saved == EPERM || saved == EROFS)
        err_hint(
            e, "The account that owns the configuration must be able to write to the directory of the pair.");
    return code;
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

static enum code print(char out[OS_PATH_MAX], struct err *e, const char *fmt, ...) PRINTF_LIKE(3, 4);
static enum code print(char out[OS_PATH_MAX], struct err *e, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    int n = vsnprintf(out, OS_PATH_MAX, fmt, args);
    va_end(args);
    return n >= 0 && n < OS_PATH_MAX ? OK : err_set(e, E_LIMIT, "path name is too long");
}

enum code swap_at(const char *cert_path, const char *key_path, struct str pair, struct swap *out,
                  struct err *e)
{
    struct swap swap;
    char cert_dir[OS_PATH_MAX];

    TRY(os_path("", cert_path, swap.cert_path, e));
    TRY(os_path("", key_path, swap.key_path, e));
    TRY(os_dir_of(cert_path, cert_dir, e));
    TRY(print(swap.name, e, "%.*s.pairs", STR_ARG(pair)));
    TRY(os_path(cert_dir, swap.name, swap.dir, e));
    TRY(print(swap.cert_name, e, "%s", base_name(cert_path)));
    /* Two files of one name in different directories. */
    bool alike = strcmp(base_name(cert_path), base_name(key_path)) == 0 && strcmp(cert_path, key_path) != 0;
    TRY(print(swap.key_name, e, "%s%s", alike ? "key-" : "", base_name(key_path)));
    *out = swap;
    return OK;
}

enum code swap_at_file(const char *path, struct str name, struct swap *out, struct err *e)
{
    char dir[OS_PATH_MAX];

    TRY(swap_at(path, path, name, out, e));
    TRY(os_dir_of(path, dir, e));
    TRY(print(out->name, e, "%.*s.roots", STR_ARG(name)));
    return os_path(dir, out->name, out->dir, e);
}

/* ---- links ---- */

/* Where a link leads, "" for what is none. */
static enum code read_link(const char *path, char out[OS_PATH_MAX], struct err *e)
{
    ssize_t n = readlink(path, out, OS_PATH_MAX - 1);

    if (n < 0 && errno != EINVAL && errno != ENOENT && errno != ENOTDIR)
        return swap_fail(e, "read link", path);
    out[n > 0 ? n : 0] = '\0';
    return OK;
}

static enum code sync_dir(const char *dir, struct err *e)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        return swap_fail(e, "open directory", dir);
    bool ok = fsync(fd) == 0 || errno == EINVAL;
    int saved = errno;
    (void)close(fd);
    errno = saved;
    return ok ? OK : swap_fail(e, "fsync directory", dir);
}

/* A link that is there as a whole or not at all, over whatever was there. */
static enum code put_link(const char *path, const char *target, struct err *e)
{
    char temp[OS_PATH_MAX], dir[OS_PATH_MAX];

    TRY(print(temp, e, "%s.tmp%ld", path, (long)getpid()));
    (void)unlink(temp); /* of a run that was killed */
    if (symlink(target, temp) < 0)
        return swap_fail(e, "create link", temp);
    if (rename(temp, path) < 0) {
        enum code code = swap_fail(e, "rename link to", path);
        (void)unlink(temp);
        return code;
    }
    TRY(os_dir_of(path, dir, e));
    return sync_dir(dir, e);
}

static enum code live_link(const struct swap *swap, char out[OS_PATH_MAX], struct err *e)
{
    return os_path(swap->dir, "live", out, e);
}

enum code swap_live(const struct swap *swap, char out[RENEW_GENERATION_MAX], struct err *e)
{
    char path[OS_PATH_MAX], target[OS_PATH_MAX];

    TRY(live_link(swap, path, e));
    TRY(read_link(path, target, e));
    if (!str_to_c(str_c(target), out, RENEW_GENERATION_MAX))
        return err_set(e, E_CONFIG, "link \"%s\" does not point to a generation", path);
    return OK;
}

enum code swap_set(const struct swap *swap, const char *generation, struct err *e)
{
    char path[OS_PATH_MAX];

    TRY(live_link(swap, path, e));
    return put_link(path, generation, e);
}

/* ---- generations ---- */

enum code swap_cert_of(const struct swap *swap, const char *generation, char out[OS_PATH_MAX], struct err *e)
{
    return print(out, e, "%s/%s/%s", swap->dir, generation, swap->cert_name);
}

enum code swap_key_of(const struct swap *swap, const char *generation, char out[OS_PATH_MAX], struct err *e)
{
    return print(out, e, "%s/%s/%s", swap->dir, generation, swap->key_name);
}

enum code swap_name(const struct swap *swap, int64_t now_unix_s, char out[RENEW_GENERATION_MAX],
                    struct err *e)
{
    time_t now = (time_t)now_unix_s;
    char when[24] = "", path[OS_PATH_MAX];
    struct tm tm;

    if (gmtime_r(&now, &tm))
        (void)strftime(when, sizeof when, "%Y%m%dT%H%M%S", &tm);
    for (unsigned i = 1; i < NAME_TRIES; i++) {
        (void)snprintf(out, RENEW_GENERATION_MAX, "%s-%u", when, i);
        TRY(os_path(swap->dir, out, path, e));
        if (!os_exists(path))
            return OK;
    }
    return err_set(e, E_EXISTS, "too many generations in \"%s\"", swap->dir);
}

static enum code make_generation(const struct swap *swap, const char *generation, struct err *e)
{
    char path[OS_PATH_MAX];

    /* Readers of the certificate pass here; the key has its own mode. */
    TRY(os_mkdir(swap->dir, 0755, e));
    TRY(os_path(swap->dir, generation, path, e));
    return os_mkdir(path, 0755, e);
}

static enum code copy_kept(const char *from, const char *to, struct err *e)
{
    struct buf data = BUF_INIT(OS_FILE_LIMIT);
    struct stat st;

    if (stat(from, &st) < 0)
        return swap_fail(e, "stat file", from);
    enum code code = os_read_file(from, &data, e);
    bool root = geteuid() == 0;
    struct os_owned owned = { st.st_mode & 0777, root ? st.st_uid : (uid_t)-1, root ? st.st_gid : (gid_t)-1 };
    struct os_target target = { to, owned, OS_WRITE_REPLACE };
    if (code == OK)
        code = os_write_target(&target, buf_bytes(&data), e);
    buf_fini_secret(&data);
    return code;
}

/* The links' targets as they must be: beside the generations by name, from elsewhere by their whole path. */
static enum code link_targets(const struct swap *swap, char cert[OS_PATH_MAX], char key[OS_PATH_MAX],
                              struct err *e)
{
    char cert_dir[OS_PATH_MAX], key_dir[OS_PATH_MAX];
    char *real = NULL;

    TRY(print(cert, e, "%s/live/%s", swap->name, swap->cert_name));
    TRY(os_dir_of(swap->cert_path, cert_dir, e));
    TRY(os_dir_of(swap->key_path, key_dir, e));
    if (strcmp(cert_dir, key_dir) == 0)
        return print(key, e, "%s/live/%s", swap->name, swap->key_name);
    real = realpath(cert_dir, NULL);
    if (!real)
        return swap_fail(e, "resolve", cert_dir);
    enum code code = print(key, e, "%s/%s/live/%s", real, swap->name, swap->key_name);
    free(real);
    return code;
}

static enum code is_adopted(const struct swap *swap, const char *cert, const char *key, bool *out,
                            struct err *e)
{
    char now[OS_PATH_MAX];

    TRY(read_link(swap->cert_path, now, e));
    bool ours = strcmp(now, cert) == 0;
    TRY(read_link(swap->key_path, now, e));
    *out = ours && strcmp(now, key) == 0;
    return OK;
}

enum code swap_adopt(const struct swap *swap, const char *first, char out[RENEW_GENERATION_MAX],
                     struct err *e)
{
    char cert[OS_PATH_MAX], key[OS_PATH_MAX], copy[OS_PATH_MAX];
    bool adopted;

    TRY(link_targets(swap, cert, key, e));
    TRY(is_adopted(swap, cert, key, &adopted, e));
    TRY(swap_live(swap, out, e));
    if (adopted && out[0])
        return OK;
    TRY(make_generation(swap, first, e));
    TRY(swap_cert_of(swap, first, copy, e));
    TRY(copy_kept(swap->cert_path, copy, e));
    TRY(swap_key_of(swap, first, copy, e));
    TRY(copy_kept(swap->key_path, copy, e));
    TRY(sync_dir(swap->dir, e));
    TRY(swap_set(swap, first, e));
    TRY(put_link(swap->cert_path, cert, e));
    if (strcmp(swap->cert_path, swap->key_path) != 0)
        TRY(put_link(swap->key_path, key, e));
    return str_to_c(str_c(first), out, RENEW_GENERATION_MAX) ? OK : err_set(e, E_LIMIT, "name is too long");
}

/* Certificate and key in one file. */
static enum code write_together(const struct leaf *leaf, const struct leaf_files *files, struct err *e)
{
    struct buf pem = BUF_INIT(OS_FILE_LIMIT);
    enum code code = key_to_pem(leaf->key, files->passphrase, &pem, e);

    if (code == OK && cert_to_pem(leaf->cert, &pem) != OK)
        code = err_set(e, E_NOMEM, "out of memory");
    for (size_t i = 0; code == OK && files->chain && i < files->chain->n; i++)
        if (cert_to_pem(files->chain->items[i], &pem) != OK)
            code = err_set(e, E_NOMEM, "out of memory");
    if (code == OK)
        code = leaf_write_secret(files->cert_path, buf_bytes(&pem), files, e);
    buf_fini_secret(&pem);
    return code;
}

enum code swap_stage(const struct swap *swap, const char *generation, const struct leaf *leaf,
                     struct leaf_files files, struct err *e)
{
    char cert[OS_PATH_MAX], key[OS_PATH_MAX];

    TRY(make_generation(swap, generation, e));
    TRY(swap_cert_of(swap, generation, cert, e));
    TRY(swap_key_of(swap, generation, key, e));
    files.cert_path = cert;
    files.key_path = key;
    files.replace = true;
    if (strcmp(cert, key) == 0)
        TRY(write_together(leaf, &files, e));
    else
        TRY(leaf_write(leaf, &files, e));
    return sync_dir(swap->dir, e);
}

enum code swap_stage_file(const struct swap *swap, const char *generation, struct bytes data, struct err *e)
{
    char path[OS_PATH_MAX];
    struct stat st;

    if (stat(swap->cert_path, &st) < 0)
        return swap_fail(e, "stat file", swap->cert_path);
    TRY(make_generation(swap, generation, e));
    TRY(swap_cert_of(swap, generation, path, e));
    bool root = geteuid() == 0;
    const struct os_owned owned = { st.st_mode & 0777, root ? st.st_uid : (uid_t)-1,
                                    root ? st.st_gid : (gid_t)-1 };
    struct os_target target = { path, owned, OS_WRITE_REPLACE };
    TRY(os_write_target(&target, data, e));
    return sync_dir(swap->dir, e);
}

/* ---- the end of old ones ---- */

static enum code remove_generation(const struct swap *swap, const char *generation, struct err *e)
{
    char dir[OS_PATH_MAX], path[OS_PATH_MAX];
    const struct dirent *entry;

    TRY(os_path(swap->dir, generation, dir, e));
    DIR *d = opendir(dir);
    if (!d)
        return swap_fail(e, "open directory", dir);
    enum code code = OK;
    while (code == OK && (entry = readdir(d))) {
        if (str_is(str_c(entry->d_name), ".") || str_is(str_c(entry->d_name), ".."))
            continue;
        code = os_path(dir, entry->d_name, path, e);
        if (code == OK && unlink(path) < 0)
            code = swap_fail(e, "remove file", path);
    }
    (void)closedir(d);
    TRY(code);
    return rmdir(dir) == 0 ? OK : swap_fail(e, "remove directory", dir);
}

/* Only what swap_name() makes is removed. */
static bool is_generation(const char *name)
{
    struct str s = str_c(name);

    return s.n > 16 && s.n < RENEW_GENERATION_MAX && s.p[8] == 'T' && s.p[15] == '-' && s.p[0] >= '0' &&
           s.p[0] <= '9';
}

enum code swap_sweep(const struct swap *swap, const char *keep, struct err *e)
{
    char live[RENEW_GENERATION_MAX];
    const struct dirent *entry;
    enum code code = OK;

    TRY(swap_live(swap, live, e));
    DIR *d = opendir(swap->dir);
    if (!d)
        return errno == ENOENT ? OK : swap_fail(e, "open directory", swap->dir);
    while (code == OK && (entry = readdir(d)))
        if (is_generation(entry->d_name) && strcmp(entry->d_name, live) != 0 &&
            !(keep && strcmp(entry->d_name, keep) == 0))
            code = remove_generation(swap, entry->d_name, e);
    (void)closedir(d);
    return code;
}
