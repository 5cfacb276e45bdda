/*
 * Files on disk: whole, atomic, locked, and with the permissions PostgreSQL demands.
 *
 * A file is replaced by writing a neighbour and renaming it: rename(2) is atomic, and fsync of the file
 * before and of the directory after it makes the new content, once visible, survive a power cut.
 */
#include "os/files.h"

#include "base/buf.h"
#include "base/check.h"
#include "base/env.h"
#include "base/secret.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    READ_STEP = 65536,
    TEMP_TRIES = 16, /* names tried for a temporary file */
    NONCE_TRIES = 3,
    PID_TEXT_MAX = 32,
    ORPHAN_PAUSES = 200,
    ORPHAN_PAUSE_NS = 10 * 1000 * 1000
};

/* Closing a file that was only read, or is given up, has no result worth knowing. */
static void fd_auto(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
}

static int fd_take(int *fd)
{
    int taken = *fd;

    *fd = -1;
    return taken;
}

static enum code fail_errno(struct err *e, const char *what, const char *path)
{
    int number = errno;

    (void)err_set(e, code_from_errno(number), "could not %s \"%s\": %s", what, path, strerror(number));
    return code_from_errno(number);
}

/* snprintf into a fixed buffer; false when the text does not fit. */
static bool text_fits(int n, size_t size)
{
    return n >= 0 && (size_t)n < size;
}

enum code os_path(const char *dir, const char *name, char out[OS_PATH_MAX], struct err *e)
{
    char path[OS_PATH_MAX];
    bool alone = name[0] == '/' || dir[0] == '\0';
    const char *slash = alone || str_ends(str_c(dir), STR("/")) ? "" : "/";
    int n = snprintf(path, sizeof path, "%s%s%s", alone ? "" : dir, slash, name);

    if (!text_fits(n, sizeof path))
        return err_set(e, E_LIMIT, "path name is too long: \"%s\"", name);
    memcpy(out, path, (size_t)n + 1);
    return OK;
}

enum code os_real_path(const char *path, const char *doing, char out[OS_PATH_MAX], struct err *e)
{
    char *real = realpath(path, NULL);

    if (!real)
        return err_set(e, code_from_errno(errno), "could not %s \"%s\": %m", doing, path);
    enum code code = os_path("", real, out, e);
    free(real);
    return code;
}

/* ---- reading ---- */

enum code os_read_all(int fd, const char *path, struct buf *out, struct err *e)
{
    for (;;) {
        size_t room = out->limit - out->n;
        size_t want = room < READ_STEP ? room + 1 : READ_STEP; /* one more than allowed tells "too large" */
        uint8_t chunk[READ_STEP];
        ssize_t n = read(fd, chunk, want);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail_errno(e, "read file", path);
        if (n == 0)
            return OK;
        if ((size_t)n > room) {
            wipe(chunk, sizeof chunk);
            return err_set(e, E_LIMIT, "file \"%s\" is larger than %zu bytes", path, out->limit);
        }
        bool stored = buf_append(out, bytes_of(chunk, (size_t)n));
        wipe(chunk, (size_t)n); /* it may be a key */
        if (!stored)
            return err_set(e, E_NOMEM, "out of memory while reading file \"%s\"", path);
    }
}

enum code os_read_file(const char *path, struct buf *out, struct err *e)
{
    AUTO(fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0)
        return fail_errno(e, "open file", path);
    if (S_ISDIR(st.st_mode))
        return err_set(e, E_IO, "could not read file \"%s\": %s", path, strerror(EISDIR));
    return os_read_all(fd, path, out, e);
}

/* ---- writing ---- */

static bool write_all(int fd, struct bytes data)
{
    while (data.n > 0) {
        ssize_t n = write(fd, data.p, data.n);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return false;
        data = bytes_from(data, (size_t)n);
    }
    return true;
}

enum code os_dir_of(const char *path, char out[OS_PATH_MAX], struct err *e)
{
    struct str s = str_c(path);

    while (s.n > 0 && s.p[s.n - 1] != '/')
        s.n--;
    while (s.n > 1 && s.p[s.n - 1] == '/')
        s.n--;
    if (!str_to_c(s.n ? s : STR("."), out, OS_PATH_MAX))
        return err_set(e, E_LIMIT, "path name is too long: \"%s\"", path);
    return OK;
}

static enum code sync_dir(const char *path, struct err *e)
{
    char dir[OS_PATH_MAX];

    TRY(os_dir_of(path, dir, e));
    AUTO(fd) int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return fail_errno(e, "open directory", dir);
    /* File systems without fsync on directories answer EINVAL; there is nothing better to do there. */
    if (fsync(fd) < 0 && errno != EINVAL)
        return fail_errno(e, "fsync directory", dir);
    return OK;
}

/* Open a new file beside `path`; its name goes to `temp`. */
static int open_temp(const char *path, char temp[OS_PATH_MAX])
{
    for (unsigned i = 0; i < TEMP_TRIES; i++) {
        int n = snprintf(temp, OS_PATH_MAX, "%s.tmp%ld.%u", path, (long)getpid(), i);
        if (!text_fits(n, OS_PATH_MAX)) {
            errno = ENAMETOOLONG;
            return -1;
        }
        int fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd >= 0 || errno != EEXIST)
            return fd;
    }
    return -1;
}

static bool set_owner(int fd, uid_t uid, gid_t gid)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return false;
    bool is_so = (uid == (uid_t)-1 || uid == st.st_uid) && (gid == (gid_t)-1 || gid == st.st_gid);
    return is_so || fchown(fd, uid, gid) == 0;
}

enum code os_write_all(int fd, const char *path, struct bytes data, const struct os_owned *owned,
                       struct err *e)
{
    if (!write_all(fd, data))
        return fail_errno(e, "write file", path);
    if (!set_owner(fd, owned->uid, owned->gid))
        return fail_errno(e, "set owner of file", path);
    if (fchmod(fd, owned->mode) < 0)
        return fail_errno(e, "set permissions of file", path);
    return fsync(fd) < 0 ? fail_errno(e, "fsync file", path) : OK;
}

enum code os_write_target(const struct os_target *target, struct bytes data, struct err *e)
{
    const char *path = target->path;
    char temp[OS_PATH_MAX];
    AUTO(fd) int fd = open_temp(path, temp);

    if (fd < 0)
        return fail_errno(e, "create file", path);
    enum code code = os_write_all(fd, temp, data, &target->owned, e);
    if (code == OK && target->how == OS_WRITE_NEW && link(temp, path) < 0)
        code = fail_errno(e, "create file", path); /* link(2) never overwrites, rename(2) would */
    if (code == OK && target->how == OS_WRITE_REPLACE && rename(temp, path) < 0)
        code = fail_errno(e, "rename temporary file to", path);
    if (code != OK || target->how == OS_WRITE_NEW)
        (void)unlink(temp);
    return code == OK ? sync_dir(path, e) : code;
}

enum code os_write_file(const char *path, struct bytes data, mode_t mode, enum os_write_mode how,
                        struct err *e)
{
    struct os_target target = { path, { mode, (uid_t)-1, (gid_t)-1 }, how };

    return os_write_target(&target, data, e);
}

/* ---- directories ---- */

enum code os_mkdir(const char *path, mode_t mode, struct err *e)
{
    struct stat st;

    if (mkdir(path, mode) == 0) {
        if (chmod(path, mode) < 0) /* umask may have taken bits */
            return fail_errno(e, "set permissions of directory", path);
        return OK;
    }
    if (errno == EEXIST && stat(path, &st) == 0 && S_ISDIR(st.st_mode))
        return OK;
    return fail_errno(e, "create directory", path);
}

enum code os_dir_empty(const char *path, bool *out, struct err *e)
{
    DIR *dir = opendir(path);

    if (!dir && errno == ENOENT) {
        *out = true;
        return OK;
    }
    if (!dir)
        return fail_errno(e, "open directory", path);
    bool empty = true;
    for (const struct dirent *entry; empty && (entry = readdir(dir));)
        empty = str_is(str_c(entry->d_name), ".") || str_is(str_c(entry->d_name), "..");
    (void)closedir(dir);
    *out = empty;
    return OK;
}

bool os_exists(const char *path)
{
    struct stat st;

    return lstat(path, &st) == 0;
}

bool os_has(const char *dir, const char *name)
{
    char path[OS_PATH_MAX];

    return os_path(dir, name, path, NULL) == OK && os_exists(path);
}

bool os_is_directory(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

bool os_is_mounted_alone(const char *path)
{
    struct statx st;

    return statx(AT_FDCWD, path, AT_STATX_DONT_SYNC, STATX_TYPE, &st) == 0 && S_ISREG(st.stx_mode) &&
           (st.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT) && (st.stx_attributes & STATX_ATTR_MOUNT_ROOT);
}

/* ---- locks ---- */

/* 0: not readable. */
static uint32_t lock_owner(int fd)
{
    char pid[PID_TEXT_MAX];
    ssize_t n = pread(fd, pid, sizeof pid, 0);
    uint32_t value;

    return str_to_u32(str_trim(str_of(pid, n > 0 ? (size_t)n : 0)), 1, INT32_MAX, &value) ? value : 0;
}

static enum code lock_refused(int fd, const char *path, struct err *e)
{
    uint32_t owner = lock_owner(fd);

    (void)err_set(e, E_EXISTS, "lock file \"%s\" is held by another process", path);
    if (owner > 0)
        err_detail(e, "Its process ID is %u.", owner);
    return E_EXISTS;
}

/* A parent that was killed takes its gate along, but is gone a moment earlier. */
static bool lock(int fd)
{
    static const struct timespec pause = { .tv_nsec = ORPHAN_PAUSE_NS };

    for (unsigned i = 0; i < ORPHAN_PAUSES; i++) {
        if (flock(fd, LOCK_EX | LOCK_NB) == 0)
            return true;
        uint32_t owner = errno == EWOULDBLOCK ? lock_owner(fd) : 0;
        if (owner == 0 || kill((pid_t)owner, 0) == 0 || errno != ESRCH)
            break;
        (void)nanosleep(&pause, NULL);
    }
    return flock(fd, LOCK_EX | LOCK_NB) == 0;
}

enum code os_lock_take(const char *path, pid_t owner, struct os_lock *out, struct err *e)
{
    AUTO(fd) int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    char pid[PID_TEXT_MAX];

    if (fd < 0)
        return fail_errno(e, "open lock file", path);
    if (!lock(fd))
        return errno == EWOULDBLOCK ? lock_refused(fd, path, e) : fail_errno(e, "lock file", path);
    int n = snprintf(pid, sizeof pid, "%ld\n", (long)owner);
    if (ftruncate(fd, 0) < 0 || !text_fits(n, sizeof pid) || !write_all(fd, bytes_of(pid, (size_t)n)))
        return fail_errno(e, "write lock file", path);
    out->fd = fd_take(&fd);
    return OK;
}

bool os_lock_held(const char *path)
{
    AUTO(fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

    return fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK;
}

void os_lock_release(struct os_lock *lock)
{
    if (!lock || lock->fd < 0)
        return;
    (void)close(lock->fd);
    lock->fd = -1;
}

void os_lock_auto(struct os_lock *lock)
{
    os_lock_release(lock);
}

/* ---- keys ---- */

enum code os_check_secret_file(const char *path, const char *what, struct err *e)
{
    struct stat st;

    if (stat(path, &st) < 0) {
        enum code code = code_from_errno(errno);
        return err_set(e, code, "could not access %s \"%s\": %s", what, path, strerror(errno));
    }
    if (!S_ISREG(st.st_mode))
        return err_set(e, E_CONFIG, "%s \"%s\" is not a regular file", what, path);
    if (st.st_uid != geteuid() && st.st_uid != 0) {
        (void)err_set(e, E_CONFIG, "%s \"%s\" must be owned by the database user or root", what, path);
        const struct passwd *owner = geteuid() == 0 ? getpwuid(st.st_uid) : NULL;
        if (owner)
            err_hint(e, "It belongs to %s: run this as that user, with runuser -u %s -- COMMAND.",
                     owner->pw_name, owner->pw_name);
        return E_CONFIG;
    }
    mode_t forbidden = st.st_uid == geteuid() ? S_IRWXG | S_IRWXO : S_IWGRP | S_IXGRP | S_IRWXO;
    if (!(st.st_mode & forbidden))
        return OK;
    (void)err_set(e, E_CONFIG, "%s \"%s\" has group or world access", what, path);
    err_detail(e, "File must have permissions u=rw (0600) or less if owned by the database user, or "
                  "permissions u=rw,g=r (0640) or less if owned by root.");
    return E_CONFIG;
}

enum code os_check_key_file(const char *path, struct err *e)
{
    return os_check_secret_file(path, "private key file", e);
}

enum code os_check_client_key_file(const char *path, struct err *e)
{
    struct stat st;

    if (stat(path, &st) < 0 && errno == ENOENT)
        return err_set(e, E_NO_FILE, "certificate present, but not private key file \"%s\"", path);
    if (stat(path, &st) < 0)
        return fail_errno(e, "stat private key file", path);
    if (!S_ISREG(st.st_mode))
        return err_set(e, E_CONFIG, "private key file \"%s\" is not a regular file", path);
    mode_t forbidden = st.st_uid == 0 ? S_IWGRP | S_IXGRP | S_IRWXO : S_IRWXG | S_IRWXO;
    if (!(st.st_mode & forbidden))
        return OK;
    return err_set(
        e, E_CONFIG,
        "private key file \"%s\" has group or world access; file must have permissions u=rw (0600) "
        "or less if owned by the current user, or permissions u=rw,g=r (0640) or less if owned by "
        "root",
        path);
}

/* ---- nonce ---- */

enum code os_nonce_read(const char *path, uint8_t out[OS_NONCE_SIZE], struct err *e)
{
    struct buf data = BUF_INIT(OS_NONCE_SIZE);
    enum code code = os_read_file(path, &data, e);

    if (code == E_LIMIT || (code == OK && data.n != OS_NONCE_SIZE)) {
        code = err_set(e, E_CONFIG, "file \"%s\" must hold exactly %d bytes", path, OS_NONCE_SIZE);
        err_hint(e, "Remove it to have a new one made; password prompts for unknown users then change once.");
    }
    if (code == OK)
        memcpy(out, data.p, OS_NONCE_SIZE);
    buf_fini_secret(&data);
    return code;
}

enum code os_nonce_file(const char *path, const struct env *env, uint8_t out[OS_NONCE_SIZE], struct err *e)
{
    enum code code = E_IO;

    for (unsigned i = 0; i < NONCE_TRIES; i++) {
        uint8_t fresh[OS_NONCE_SIZE];
        code = os_nonce_read(path, out, e);
        if (code != E_NO_FILE)
            return code;
        if (!env_random(env, fresh, sizeof fresh))
            return err_set(e, E_INTERNAL, "could not generate random bytes");
        code = os_write_file(path, bytes_of(fresh, sizeof fresh), 0600, OS_WRITE_NEW, e);
        wipe(fresh, sizeof fresh);
        if (code != OK && code != E_EXISTS) /* E_EXISTS: another process was faster; take its bytes */
            return code;
    }
    return code;
}
