/**
 * Lines of a configuration file: the syntax of postgresql.conf, with includes followed.
 *
 *   name [=] value   # comment
 *   include 'FILE'   include_if_exists 'FILE'   include_dir 'DIR'
 *
 * A value is a word, a number with a unit, or a text in single quotes ('' or a backslash escape inside).
 * A name may be KEY.NAME or, beyond PostgreSQL, KEY."any text". Every syntax error of every file is
 * reported in one pass. [src: PostgreSQL 18, "Parameter Interaction via the Configuration File"; guc-file.l]
 */
#ifndef PGSEAL_LEX_CONF_LEX_H
#define PGSEAL_LEX_CONF_LEX_H

#include "base/err.h"

struct arena;
struct buf;

enum {
    CONF_NESTING_MAX = 10,   /* includes inside includes [src: conffiles.h] */
    CONF_ERRORS_MAX = 100,   /* syntax errors, then a file is abandoned [src: guc-file.l] */
    CONF_FILE_MAX = 8 << 20, /* bytes of one file */
    CONF_FILES_MAX = 1000,   /* files of one load [choice: a bound for includes that multiply] */
};

/** How files are reached; tests and fuzzers need no disk. */
struct conf_fs {
    /** Append the whole file to `out`; on failure fill `e` with code and the errno's text as message. */
    enum code (*read)(void *ctx, const char *path, struct buf *out, struct err *e);
    /** Names (not paths) of the entries of a directory that are no directories, each given to `add`. */
    enum code (*list)(void *ctx, const char *path, bool (*add)(void *add_ctx, struct str name), void *add_ctx,
                      struct err *e);
    void *ctx;
};

/** A setting, or a line in error (then `name.p` is NULL and `error` says what it was). */
struct conf_entry {
    struct str name;  /* KEY."NAME" is written KEY.NAME here, the quotes undone */
    struct str sub;   /* NAME of KEY.NAME, a view into `name`; p is NULL without a dot */
    struct str value; /* escapes undone */
    struct str error; /* p is NULL when there is none */
    struct str file;
    unsigned line;
    STAILQ_ENTRY(conf_entry) next;
};

struct conf_path {
    struct str path;
    STAILQ_ENTRY(conf_path) next;
};

struct conf_entries {
    struct arena *arena; /* borrowed; everything lives there */
    STAILQ_HEAD(, conf_entry) list;
    STAILQ_HEAD(, conf_path) files; /* every file and directory looked at, also missing ones */
    size_t n;
};

/**
 * Fill an entry's name and sub from a name as written: KEY, KEY.NAME or KEY."any text". Nothing is judged.
 */
MUST_CHECK enum code conf_entry_set_name(struct arena *arena, struct str token, struct conf_entry *entry);

void conf_entries_init(struct conf_entries *entries, struct arena *arena);

/**
 * Read a file and all it includes, in order.
 *
 * path     of the main file; relative includes start at the directory of the file that names them.
 * entries  initialised; filled also on failure, with what could be read.
 * diags    a row per error; a skipped include_if_exists is a SEV_LOG row.
 *
 * OK: no error. E_CONFIG: at least one row with SEV_ERROR. E_NOMEM or E_LIMIT: gave up.
 */
MUST_CHECK enum code conf_lex_file(const struct conf_fs *fs, struct str path, struct conf_entries *entries,
                                   struct diags *diags);

#endif
