/**
 * A change of a server's configuration files: whole or not at all, proved, and taken back on demand.
 *
 *   STATE/                       0755, may hold other files, which are left alone
 *   STATE/private/               0700  lock, journal
 *   STATE/private/changes/3/     0700  manifest, 0.before, 0.after, 1.before, … (0600: they may hold passwords)
 *
 * A change walks through the steps of harden/record.h; each is in the journal before it is taken. Whatever fails, or
 * kills the process, between "replace" and "done" has all files put back, bytes, mode and owner: at once, or by the next
 * change_open(). Taking a change back is a change, too, whose new files are the old ones.
 *
 * The process acts as the account that owns the server's files already (os/owner.h): root must have become it before it
 * reads what the change is made of. No path leads through a link or a directory that other accounts could move
 * (os/place.h).
 */
#ifndef PGSEAL_HARDEN_CHANGE_H
#define PGSEAL_HARDEN_CHANGE_H

#include "base/err.h"
#include "harden/record.h"

struct buf;
struct change;
struct env;

enum { CHANGE_FILES_MAX = 64 };

/** What becomes of one file. Borrowed. */
struct change_file {
    const char *path; /* absolute; a link is followed, the link itself stays */
    bool existed;     /* false: the file is new */
    bool stays;       /* false: the file is removed */
    bool by_also; /* the hook `also` writes it, `after` is not used (postgresql.auto.conf and ALTER SYSTEM) */
    struct bytes before; /* what the plan was made from */
    struct bytes after;
    mode_t mode; /* of a new file, which belongs to who makes it; others keep theirs */
};

/**
 * What only the caller can do, in the order of the calls; each may be NULL. On the way back reload_back(), or where there
 * is none reload(), is called alone, once the old files are in their places: perhaps nobody can log in just then. A server
 * that does not run has nothing to reload: that is OK.
 */
struct change_hooks {
    enum code (*also)(void *ctx, struct err *e); /* change by other ways: ALTER SYSTEM */
    enum code (*check)(void *ctx,
                       struct err *e); /* how does the server see the files, before it uses them? */
    enum code (*reload)(void *ctx, struct err *e); /* … and be sure that it has done so */
    enum code (*prove)(void *ctx, struct err *e);  /* does it do now what it should? */
    enum code (*reload_back)(void *ctx, struct err *e);
    void *ctx;
};

struct change_params {
    const char *state; /* directory, absolute; made if need be, its parent must be there */
    uid_t uid;         /* of the account that owns the server's files */
    const struct env *env;
    struct change_hooks hooks;
    bool
        force; /* put a file back also where somebody has edited it since; what was there is kept beside the backup */
};

/** How a change ended. */
enum change_end {
    CHANGE_UNTOUCHED, /* no file was changed: OK where there was nothing to do, else `e` says why */
    CHANGE_DONE,      /* all is as it was asked for */
    CHANGE_BACK,      /* it failed, or was killed, and all files are as before */
    CHANGE_LOST /* it failed, and not all could be put back: `e` says which file, and where its backup is */
};

struct change_report {
    enum change_end end;
    unsigned number;         /* of the change; 0: it got none */
    enum change_step failed; /* the step that failed; of CHANGE_BACK and CHANGE_LOST */
};

/**
 * Make the state directory if need be, lock it, and put back what a run that did not end has left behind.
 *
 * out         returned to caller, for change_close().
 * out_report  CHANGE_UNTOUCHED, or CHANGE_BACK where something was put back: the caller should say so.
 *
 * Plans are made after this call, since it may change files. E_EXISTS: another process holds the lock. E_ACCESS: the
 * process acts as another account, or others could move the directory. E_BAD_STATE: a file that has to be put back was
 * edited since. E_DAMAGED: the record of the run cannot be read.
 */
MUST_CHECK enum code change_open(const struct change_params *params, struct change **out,
                                 struct change_report *out_report, struct err *e);
void change_close(struct change *change);
void change_auto(struct change **change);

/**
 * Apply a change. Where it fails, `e` has the cause, and its detail ends with what became of the files. SIGINT, SIGTERM
 * and SIGHUP wait until the step is over; then the files are put back, and the code is E_CANCELED.
 *
 * out  is set in any case.
 *
 * E_BAD_STATE: a file is not what the plan was made from; nothing was changed.
 */
MUST_CHECK enum code change_apply(struct change *change, const struct change_file *files, size_t n,
                                  struct change_report *out, struct err *e);
/**
 * Take the last applied change back: files, modes and owners; new files are removed. check(), reload() and prove() are
 * called as for any change.
 *
 * E_NO_FILE: there is none. E_BAD_STATE: a file was edited since (see `force`); nothing was changed.
 */
MUST_CHECK enum code change_undo(struct change *change, struct change_report *out, struct err *e);

/** What a look from outside tells, without lock and without a change to any file. */
struct change_status {
    unsigned applied; /* the change that change_undo() would take back; 0: none */
    int64_t applied_unix_s;
    unsigned open; /* a change that has not ended; 0: none. The next change_open() puts it back, unless… */
    bool running;  /* … a process is at work on it */
    enum change_step step; /* how far the open one has come */
};

/** No state directory is no error: nothing was applied. E_ACCESS: the process acts as another account. */
MUST_CHECK enum code change_look(const struct change_params *params, struct change_status *out,
                                 struct err *e);

/** What the report of change_open(), and a status, mean for who runs the command: a sentence or two, or nothing. */
void change_say_report(const struct change_report *report, struct buf *out);
void change_say_status(const struct change_status *status, struct buf *out);

#endif
