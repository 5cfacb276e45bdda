/**
 * What is written down of changes: the journal's lines, and the manifest of a change. Text in, values out, no files.
 *
 *   2026-11-29T23:30:00Z begin 3 apply
 *   2026-11-29T23:30:01Z replace 3
 *   2026-11-29T23:30:02Z failed 3 check: line 7 of pg_hba.conf: …
 *   2026-11-29T23:30:02Z back 3
 *
 * Numbers ascend. A change whose last line is neither "done" nor "back" has not ended.
 */
#ifndef PGSEAL_HARDEN_RECORD_H
#define PGSEAL_HARDEN_RECORD_H

#include "os/files.h"

struct arena;
struct buf;

/*  step     word        what is done after the line is on the disk */
#define CHANGE_STEPS(X)                                                                                      \
    X(BEGIN, "begin")     /* what is there is compared with what the plan was made from */                   \
    X(BACKUP, "backup")   /* old and new contents, and the manifest, into the state directory */             \
    X(STAGE, "stage")     /* the new files, under other names, beside the old ones */                        \
    X(REPLACE, "replace") /* the new files into their places */                                              \
    X(ALSO, "also")                                                                                          \
    X(CHECK, "check")                                                                                        \
    X(RELOAD, "reload")                                                                                      \
    X(PROVE, "prove")                                                                                        \
    X(DONE, "done")     /* nothing but tidying up */                                                         \
    X(FAILED, "failed") /* the old files into their places, and a reload */                                  \
    X(BACK, "back")     /* nothing but tidying up */

enum change_step {
#define X(step, word) CHANGE_STEP_##step,
    CHANGE_STEPS(X)
#undef X
};

/** "begin", "backup", … */
const char *change_step_name(enum change_step step);

/** One change, as the journal has it. */
struct change_row {
    unsigned number;
    enum change_step step;     /* of its last line */
    enum change_step farthest; /* before it failed, if it did */
    unsigned undoes;           /* number of the change that it takes back; 0: it takes none back */
    int64_t unix_s;            /* of its last line */
    bool undone;               /* by a later one */
};

struct change_rows {
    struct change_row *rows; /* ascending */
    size_t n;
};

/** Lines that cannot be read are passed over. E_NOMEM. */
MUST_CHECK enum code change_rows_read(struct str text, struct arena *arena, struct change_rows *out,
                                      struct err *e);
/** The last change that was done and not undone; NULL: none. */
const struct change_row *change_rows_applied(const struct change_rows *rows);
/** True when nothing remains to be done or put back. */
bool change_row_ended(const struct change_row *row);

/* ---- the manifest ---- */

/** A file before or after a change. */
struct change_side {
    bool exists;
    struct os_owned owned;
};

struct change_entry {
    const char *path;  /* as it was given */
    const char *place; /* without links */
    struct change_side before, after;
    bool
        by_also; /* `after` says that the hook writes it; what it wrote is known once there is a second manifest */
};

struct change_manifest {
    unsigned undoes;
    struct change_entry *entries;
    size_t n;
};

/** Append the text. */
void change_manifest_write(const struct change_manifest *manifest, struct buf *out);
/**
 * Parse the whole text; everything lives in `arena`.
 *
 * file  for messages only.
 * E_DAMAGED with file and line, E_NOMEM.
 */
MUST_CHECK enum code change_manifest_read(struct str text, const char *file, struct arena *arena,
                                          struct change_manifest *out, struct err *e);

#endif
