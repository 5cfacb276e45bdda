/**
 * Files as a careful daemon handles them: whole reads with a limit, atomic writes, locks, key permissions.
 *
 * Paths are C strings because every one of them ends in a system call. Messages name the file and the
 * system's reason in PostgreSQL's words, e.g. `could not open file "F": No such file or directory`.
 */
#ifndef PGSEAL_OS_FILES_H
#define PGSEAL_OS_FILES_H

#include "base/err.h"

#include <sys/types.h>

struct buf;
struct env;

enum {
    OS_PATH_MAX = 4096,     /* longest path handled, with its NUL */
    OS_NONCE_SIZE = 32,     /* bytes in pgseal.secret */
    OS_FILE_LIMIT = 1 << 24 /* a sensible limit for configuration and certificate files, 16 MiB */
};

/**
 * dir/name into `out`; an absolute `name` stands alone, an empty `dir` is left out.
 * E_LIMIT when it does not fit.
 */
MUST_CHECK enum code os_path(const char *dir, const char *name, char out[OS_PATH_MAX], struct err *e);
/**
 * Where `path` really is: absolute, links followed. [src: realpath(3)]
 *
 * doing  for the error, "could not DOING "path"": "resolve", "read".
 * E_NO_FILE and the like; E_LIMIT when it does not fit.
 */
MUST_CHECK enum code os_real_path(const char *path, const char *doing, char out[OS_PATH_MAX], struct err *e);

/** The directory that a path names something in, "." if it says none. E_LIMIT. */
MUST_CHECK enum code os_dir_of(const char *path, char out[OS_PATH_MAX], struct err *e);

/**
 * Append the whole file to `out`; reading stops with E_LIMIT at out's limit. Directories are refused.
 *
 * out  borrowed; on failure it may hold a part of the file.
 * E_NO_FILE, E_ACCESS, E_IO, E_LIMIT, E_NOMEM.
 */
MUST_CHECK enum code os_read_file(const char *path, struct buf *out, struct err *e);

/** The same for a file that is open; `path` is for messages. */
MUST_CHECK enum code os_read_all(int fd, const char *path, struct buf *out, struct err *e);

enum os_write_mode {
    OS_WRITE_NEW,    /* E_EXISTS when the file is there, also when it appears meanwhile */
    OS_WRITE_REPLACE /* whatever was there before is replaced as a whole */
};

/**
 * Write a file so that others see the old one or the new one, never a part: a temporary file beside it,
 * fsync, rename, fsync of the directory.
 *
 * mode  of the new file, exactly (umask plays no part). A symbolic link at `path` is replaced, not followed.
 *
 * After a failure the old file is untouched and the temporary one is gone.
 */
MUST_CHECK enum code os_write_file(const char *path, struct bytes data, mode_t mode, enum os_write_mode how,
                                   struct err *e);

/** Whose a file is, and who may do what with it. */
struct os_owned {
    mode_t mode;
    uid_t uid; /* (uid_t)-1: stays as it is */
    gid_t gid; /* (gid_t)-1: stays as it is */
};

/** Fill a new file that is open, down to the disk; `path` is for messages. */
MUST_CHECK enum code os_write_all(int fd, const char *path, struct bytes data, const struct os_owned *owned,
                                  struct err *e);

/** os_write_file() for a file that is to belong to somebody else: it does so before anybody can see it. */
struct os_target {
    const char *path;
    struct os_owned owned;
    enum os_write_mode how;
};
MUST_CHECK enum code os_write_target(const struct os_target *target, struct bytes data, struct err *e);

/** Make one directory with exactly this mode. OK when a directory is there already (its mode is kept). */
MUST_CHECK enum code os_mkdir(const char *path, mode_t mode, struct err *e);
/**
 * True also when `path` does not exist at all. E_IO and the like when it cannot be read or is no directory.
 */
MUST_CHECK enum code os_dir_empty(const char *path, bool *out, struct err *e);
/** True when something (also a dangling link) is there. */
bool os_exists(const char *path);
/** The same for dir/name. */
bool os_has(const char *dir, const char *name);
/** True for a directory, links followed. */
bool os_is_directory(const char *path);
/**
 * True for a file that was mounted by itself, links followed: a Secret's or ConfigMap's `subPath`, or a container's
 * volume of one file. Who replaces the file replaces it elsewhere; here the old one stays.
 */
bool os_is_mounted_alone(const char *path);

/* ---- lock files ---- */

/** A held lock; fd -1: none. */
struct os_lock {
    int fd;
};

#define OS_LOCK_INIT ((struct os_lock){ .fd = -1 })

/**
 * Take an exclusive lock on `path`, made with mode 0600 if need be, and write the owner's pid into it. It waits only
 * for a lock whose owner has died while what it started is still ending, for two seconds at most.
 *
 * The lock dies with the process, so a left-over file is no obstacle; the file stays, for removing it would
 * let two owners lock two different inodes of one name.
 * E_EXISTS: somebody else holds it; the message names the file, the detail the holder's pid if readable.
 */
MUST_CHECK enum code os_lock_take(const char *path, pid_t owner, struct os_lock *out, struct err *e);
/** True where another process holds the lock of an existing file. Makes no file. */
bool os_lock_held(const char *path);
/** Release; harmless on a lock not held. */
void os_lock_release(struct os_lock *lock);
void os_lock_auto(struct os_lock *lock);

/* ---- permissions of private keys ---- */

/**
 * The server's rule: a regular file owned by us (0600 or less) or by root (0640 or less).
 * A process running as root owns root's files, so 0600 applies to it.
 *
 * E_CONFIG, or the code of the errno when stat(2) fails.
 * [src: PostgreSQL 18, "Secure TCP/IP Connections with SSL", ssl_key_file]
 */
MUST_CHECK enum code os_check_key_file(const char *path, struct err *e);
/** The same rule for another file that holds secrets; `what` is in the message, e.g. "auth file". */
MUST_CHECK enum code os_check_secret_file(const char *path, const char *what, struct err *e);
/**
 * The client's rule, in libpq's words: root-owned 0640 or less, others 0600 or less; the owner is not
 * checked. [src: PostgreSQL 18, "SSL Support" of libpq, sslkey]
 */
MUST_CHECK enum code os_check_client_key_file(const char *path, struct err *e);

/* ---- the installation's nonce ---- */

/**
 * Read the 32 bytes of `path`, or make the file (0600) with fresh random bytes when it is not there.
 * Two processes that make it at once end with the same bytes.
 *
 * E_CONFIG when the file has another size.
 */
MUST_CHECK enum code os_nonce_file(const char *path, const struct env *env, uint8_t out[OS_NONCE_SIZE],
                                   struct err *e);
/** Only read them. E_NO_FILE. */
MUST_CHECK enum code os_nonce_read(const char *path, uint8_t out[OS_NONCE_SIZE], struct err *e);

#endif
