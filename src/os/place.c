/* Paths walked part by part, and files that are reached through the directory that was found. */
#include "os/place.h"

#include "base/buf.h"
#include "base/check.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

enum {
    LINKS_MAX = 40,    /* as the kernel's */
    ACL_MAX = 1 << 16, /* of any extended attribute */
    ACCOUNT_MAX = 256
};

static void fd_auto(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
}

static enum code fail(struct err *e, const char *what, const char *path)
{
    int number = errno;

    return err_set(e, code_from_errno(number), "could not %s \"%s\": %s", what, path, strerror(number));
}

/* ---- the way ---- */

struct way {
    uid_t uid;
    int dir;                 /* where it has come to; O_PATH */
    char path[OS_PATH_MAX];  /* … and that directory's; without a slash at its end: "" is the root */
    char rest[OS_PATH_MAX];  /* still to be walked */
    char name[NAME_MAX + 1]; /* the last part, once it is reached */
    unsigned links;
    bool wants_dir;
};

static const char *dir_of(const struct way *way)
{
    return way->path[0] ? way->path : "/";
}

static enum code unsafe(const struct way *way, const char *path, const char *why, struct err *e)
{
    const struct passwd *row = way->uid == 0 ? NULL : getpwuid(way->uid);

    (void)err_set(e, E_ACCESS, "\"%s\" %s", path, why);
    err_detail(e, "Accounts other than root%s%s must not be able to change where this path leads.",
               row ? " and " : "", row ? row->pw_name : "");
    return E_ACCESS;
}

static bool is_ours(const struct way *way, const struct stat *st)
{
    return st->st_uid == 0 || st->st_uid == way->uid;
}

/* A group of the account alone, as many systems give to each: its members are no others. */
static bool is_own_group(uid_t uid, gid_t gid)
{
    const struct passwd *row = getpwuid(uid);
    char name[ACCOUNT_MAX];

    if (!row || row->pw_gid != gid || !str_to_c(str_c(row->pw_name), name, sizeof name))
        return false;
    const struct group *group = getgrgid(gid);
    for (char **member = group ? group->gr_mem : NULL; member && *member; member++)
        if (!str_is(str_c(*member), name))
            return false;
    return group != NULL;
}

static enum code check_dir(const struct way *way, struct err *e)
{
    const char *path = dir_of(way);
    struct stat st;

    if (fstat(way->dir, &st) < 0)
        return fail(e, "access directory", path);
    if (!is_ours(way, &st))
        return unsafe(way, path, "belongs to another account", e);
    if (st.st_mode & S_ISVTX || !(st.st_mode & (S_IWOTH | S_IWGRP)))
        return OK;
    if (!(st.st_mode & S_IWOTH) && (st.st_gid == 0 || is_own_group(way->uid, st.st_gid)))
        return OK;
    (void)unsafe(way, path, "can be written by other accounts", e);
    err_hint(e, "chmod %s \"%s\"", st.st_mode & S_IWOTH ? "go-w" : "g-w", path);
    return E_ACCESS;
}

/* Into the directory `name`, which becomes a part of the path. */
static enum code enter(struct way *way, const char *name, struct err *e)
{
    char path[OS_PATH_MAX];

    int n = snprintf(path, sizeof path, "%s/%s", way->path, name);
    if (n < 0 || (size_t)n >= sizeof path)
        return err_set(e, E_LIMIT, "path name is too long: \"%s\"", name);
    int dir = openat(way->dir, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (dir < 0)
        return fail(e, "open directory", path);
    (void)close(way->dir);
    way->dir = dir;
    memcpy(way->path, path, (size_t)n + 1);
    return check_dir(way, e);
}

static enum code enter_root(struct way *way, struct err *e)
{
    int dir = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

    if (dir < 0)
        return fail(e, "open directory", "/");
    if (way->dir >= 0)
        (void)close(way->dir);
    way->dir = dir;
    way->path[0] = '\0';
    return check_dir(way, e);
}

/* The directory above, as the path has it: no link was left in it. */
static enum code enter_parent(struct way *way, struct err *e)
{
    char *slash = strrchr(way->path, '/');
    int dir = openat(way->dir, "..", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (dir < 0)
        return fail(e, "open directory above", way->path);
    (void)close(way->dir);
    way->dir = dir;
    if (slash)
        *slash = '\0';
    return check_dir(way, e);
}

/* What a link says comes in front of what is still to be walked. */
static enum code follow(struct way *way, const char *name, const struct stat *st, struct err *e)
{
    char target[OS_PATH_MAX], rest[OS_PATH_MAX], path[OS_PATH_MAX];

    TRY(os_path(dir_of(way), name, path, e));
    if (!is_ours(way, st))
        return unsafe(way, path, "is a link of another account", e);
    if (++way->links > LINKS_MAX)
        return err_set(e, E_IO, "could not open \"%s\": %s", path, strerror(ELOOP));
    ssize_t n = readlinkat(way->dir, name, target, sizeof target - 1);
    if (n < 0)
        return fail(e, "read link", path);
    target[n] = '\0';
    int length = snprintf(rest, sizeof rest, "%s%s%s", target, way->rest[0] ? "/" : "", way->rest);
    if (length < 0 || (size_t)length >= sizeof rest)
        return err_set(e, E_LIMIT, "path name is too long: \"%s\"", path);
    memcpy(way->rest, rest, (size_t)length + 1);
    return target[0] == '/' ? enter_root(way, e) : OK;
}

/* The next part of the path; empty: there is none. */
static enum code next_part(struct way *way, char out[NAME_MAX + 1], bool *out_last, struct err *e)
{
    struct str rest = str_c(way->rest);

    while (rest.n > 0 && rest.p[0] == '/')
        rest = str_from(rest, 1);
    struct str part = str_first(rest, str_find(rest, '/'));
    if (!str_to_c(part, out, NAME_MAX + 1))
        return err_set(e, E_LIMIT, "file name is too long: \"%.*s\"", STR_ARG(part));
    rest = str_from(rest, part.n);
    while (rest.n > 0 && rest.p[0] == '/')
        rest = str_from(rest, 1);
    memmove(way->rest, rest.p, rest.n);
    way->rest[rest.n] = '\0';
    *out_last = rest.n == 0;
    return OK;
}

static enum code walk(struct way *way, struct err *e)
{
    for (;;) {
        char name[NAME_MAX + 1];
        struct stat st;
        bool last = false;

        TRY(next_part(way, name, &last, e));
        if (!name[0])
            return way->wants_dir ? OK : err_set(e, E_IO, "\"%s\" is a directory", dir_of(way));
        if (str_is(str_c(name), "."))
            continue;
        if (str_is(str_c(name), "..")) {
            TRY(enter_parent(way, e));
            continue;
        }
        bool there = fstatat(way->dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
        if (there && S_ISLNK(st.st_mode)) {
            TRY(follow(way, name, &st, e));
        } else if (!last || way->wants_dir || (there && S_ISDIR(st.st_mode))) {
            TRY(enter(way, name, e));
        } else if (!there && errno != ENOENT) {
            return fail(e, "access file", name);
        } else if (there && !is_ours(way, &st)) {
            TRY(os_path(dir_of(way), name, way->rest, e));
            return unsafe(way, way->rest, "belongs to another account", e);
        } else {
            memcpy(way->name, name, sizeof name);
            return OK;
        }
    }
}

static enum code find(struct way *way, const char *path, struct os_place *out, struct err *e)
{
    if (path[0] != '/')
        return err_set(e, E_PARAM, "path \"%s\" is not absolute", path);
    if (!str_to_c(str_c(path), way->rest, sizeof way->rest))
        return err_set(e, E_LIMIT, "path name is too long: \"%s\"", path);
    TRY(enter_root(way, e));
    TRY(walk(way, e));
    struct os_place place = OS_PLACE_INIT;
    TRY(os_path(dir_of(way), way->name, place.path, e));
    if (way->wants_dir)
        (void)str_to_c(str_c(dir_of(way)), place.path, sizeof place.path);
    memcpy(place.name, way->name, sizeof place.name);
    place.dir = openat(way->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (place.dir < 0)
        return fail(e, "open directory", dir_of(way));
    *out = place;
    return OK;
}

enum code os_place_find(const char *path, uid_t uid, struct os_place *out, struct err *e)
{
    struct way way = { .uid = uid, .dir = -1 };
    enum code code = find(&way, path, out, e);

    fd_auto(&way.dir);
    return code;
}

enum code os_place_dir(const char *path, uid_t uid, struct os_place *out, struct err *e)
{
    struct way way = { .uid = uid, .dir = -1, .wants_dir = true };
    enum code code = find(&way, path, out, e);

    fd_auto(&way.dir);
    return code;
}

void os_place_fini(struct os_place *place)
{
    if (place->dir >= 0)
        (void)close(place->dir);
    place->dir = -1;
}

void os_place_auto(struct os_place *place)
{
    os_place_fini(place);
}

/* ---- files ---- */

/* For messages: the path of a file beside the place. */
static const char *beside(const struct os_place *place, const char *name, char room[OS_PATH_MAX])
{
    char dir[OS_PATH_MAX];

    if (!name)
        return place->path;
    return os_dir_of(place->path, dir, NULL) == OK && os_path(dir, name, room, NULL) == OK ? room : name;
}

enum code os_place_check_writable(const struct os_place *place, struct err *e)
{
    char dir[OS_PATH_MAX];

    TRY(os_dir_of(place->path, dir, e));
    return faccessat(place->dir, ".", W_OK | X_OK, AT_EACCESS) == 0 ? OK : fail(e, "write to directory", dir);
}

bool os_place_is_mounted(const struct os_place *place)
{
    struct statx st;

    return statx(place->dir, place->name, AT_SYMLINK_NOFOLLOW, 0, &st) == 0 &&
           st.stx_attributes & STATX_ATTR_MOUNT_ROOT;
}

bool os_place_has(const struct os_place *place, const char *name)
{
    struct stat st;

    return fstatat(place->dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

enum code os_place_read(const struct os_place *place, const char *name, struct buf *out,
                        struct stat *out_stat, struct err *e)
{
    char room[OS_PATH_MAX];
    const char *path = beside(place, name, room);
    AUTO(fd)
    int fd = openat(place->dir, name ? name : place->name,
                    O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

    if (fd < 0 && errno == ELOOP)
        return err_set(e, E_ACCESS, "\"%s\" has become a symbolic link", path);
    if (fd < 0 || fstat(fd, out_stat) < 0)
        return fail(e, "open file", path);
    if (!S_ISREG(out_stat->st_mode))
        return err_set(e, E_ACCESS, "\"%s\" is not a regular file", path);
    return os_read_all(fd, path, out, e);
}

static const char acl_name[] = "system.posix_acl_access";

/*
 * An access list that the new file may have from its directory goes. The mode that is set afterwards gives the mask of
 * the list that stays.
 */
static bool copy_acl(const struct os_place *place, int to)
{
    AUTO(fd)
    int from = openat(place->dir, place->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    uint8_t acl[ACL_MAX];

    if (from < 0)
        return true;
    ssize_t n = fgetxattr(from, acl_name, acl, sizeof acl);
    if (n >= 0)
        return fsetxattr(to, acl_name, acl, (size_t)n, 0) == 0;
    return errno == ENOTSUP || (errno == ENODATA && (fremovexattr(to, acl_name) == 0 || errno == ENODATA));
}

enum code os_place_write(const struct os_place *place, const char *name, struct bytes data,
                         const struct os_owned *owned, struct err *e)
{
    char room[OS_PATH_MAX];
    const char *path = beside(place, name, room);
    AUTO(fd) int fd = openat(place->dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

    if (fd < 0)
        return fail(e, "create file", path);
    enum code code = copy_acl(place, fd) ? os_write_all(fd, path, data, owned, e)
                                         : fail(e, "set access list of file", path);
    if (code != OK)
        (void)unlinkat(place->dir, name, 0);
    return code;
}

enum code os_place_link(const struct os_place *place, const char *name, struct err *e)
{
    char room[OS_PATH_MAX];

    return linkat(place->dir, place->name, place->dir, name, 0) == 0
               ? OK
               : fail(e, "link file", beside(place, name, room));
}

enum code os_place_replace(const struct os_place *place, const char *name, struct err *e)
{
    return renameat(place->dir, name, place->dir, place->name) == 0
               ? OK
               : fail(e, "rename temporary file to", place->path);
}

enum code os_place_settle(const struct os_place *place, const char *name, struct err *e)
{
    if (renameat2(place->dir, name, place->dir, place->name, RENAME_NOREPLACE) == 0)
        return OK;
    if (errno != EINVAL) /* the file system does not know how */
        return fail(e, "rename temporary file to", place->path);
    if (linkat(place->dir, name, place->dir, place->name, 0) < 0)
        return fail(e, "create file", place->path);
    return unlinkat(place->dir, name, 0) == 0 ? OK : fail(e, "remove temporary file of", place->path);
}

enum code os_place_remove(const struct os_place *place, const char *name, struct err *e)
{
    char room[OS_PATH_MAX];

    return unlinkat(place->dir, name ? name : place->name, 0) == 0 || errno == ENOENT
               ? OK
               : fail(e, "remove file", beside(place, name, room));
}

enum code os_place_sync(const struct os_place *place, struct err *e)
{
    char dir[OS_PATH_MAX];

    /* File systems without fsync on directories answer EINVAL; there is nothing better to do there. */
    if (fsync(place->dir) == 0 || errno == EINVAL)
        return OK;
    int number = errno;
    TRY(os_dir_of(place->path, dir, e));
    errno = number;
    return fail(e, "fsync directory", dir);
}
