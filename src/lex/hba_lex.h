/**
 * Tokens of pg_hba.conf and pg_ident.conf: files in, logical lines of fields out.
 *
 * Quotes, comments, continuation lines, `@file` references and `include…` records are settled here, so the
 * parsers above see plain lists of tokens. Nothing stops at the first error: a bad line becomes a line with
 * `error` set, in its place, and the rest of all files is read as well.
 * [src: PostgreSQL 18, "The pg_hba.conf File"; hba.c tokenize_auth_file]
 */
#ifndef PGSEAL_LEX_HBA_LEX_H
#define PGSEAL_LEX_HBA_LEX_H

#include "base/err.h"

struct arena;
struct buf;

/** Deepest nesting of `@` and `include`; the top file is 0. */
enum { HBA_LEX_DEPTH_MAX = 10 };
/** Most bytes one file may have; a guard against devices and accidents, far above any real file. */
#define HBA_LEX_FILE_MAX ((size_t)64 * 1024 * 1024)

/**
 * Most files one load may read. The server knows no limit, and goes through a file that includes itself
 * several times until it has no memory left. [choice: an accident must not take a gate's memory]
 */
enum { HBA_LEX_FILES_MAX = 4096 };

struct hba_token {
    struct str s;
    bool quoted; /* the first character was a quote: keywords lose their meaning */
};

struct hba_field {
    const struct hba_token *tokens;
    size_t n; /* at least 1 */
};

/** One logical line that is not blank, or one that could not be read. */
struct hba_line {
    struct str file; /* absolute, as PostgreSQL's views print it */
    unsigned line;   /* first physical line, from 1 */
    struct str raw;  /* continuations joined, comments kept */
    const struct hba_field *fields;
    size_t n;         /* at least 1, unless `error` is set */
    struct str error; /* text for the view's `error` column; empty: none. `fields` is then meaningless */
    STAILQ_ENTRY(hba_line) next;
};

/** A file or directory that was looked at, whether or not it could be opened: what a watcher watches. */
struct hba_lex_path {
    struct str path;
    bool is_dir;
    STAILQ_ENTRY(hba_lex_path) next;
};

/** Access to files, replaceable so that tests and fuzzers need no disk. */
struct hba_lex_fs {
    /**
     * Append the file's bytes to `out`. Returns 0; or an errno if it could not be opened; or -errno if it was
     * opened but not (wholly) read.
     */
    int (*read_file)(void *ctx, const char *path, struct buf *out);
    /**
     * Call `entry` for each name in the directory, in any order. Returns 0, or an errno if it could not be
     * opened.
     */
    int (*list_dir)(void *ctx, const char *path, void (*entry)(void *arg, const char *name), void *arg);
    /** 1: directory, 0: something else (links followed), or -errno. */
    int (*is_dir)(void *ctx, const char *path);
    void *ctx;
};

/** The real disk. */
extern const struct hba_lex_fs hba_lex_disk;

/** What came out; everything lives in the arena given to hba_lex_file(). */
struct hba_lines {
    STAILQ_HEAD(, hba_line) list;
    size_t n;
    STAILQ_HEAD(, hba_lex_path) paths; /* without duplicates, the top file first */
    bool failed;                       /* some line has an error */
};

struct hba_lex_params {
    const struct hba_lex_fs *fs; /* NULL: the real disk */
    unsigned pg_version;         /* major version whose reading is wanted, e.g. 18; 0 means 18 */
    /** Errors go here with the words PostgreSQL logs (the view's differ at places); may be NULL. */
    struct diags *diags;
};

/**
 * Read `path` (made absolute and canonical first) and all that it includes.
 *
 * params  borrowed.
 * arena   borrowed; owns the result, and must outlive it.
 * out     set also on failure; then only `paths` counts.
 *
 * OK even if lines are bad, see out->failed. Else the top file could not be opened, and `e` says
 * `could not open file "F": …`, with E_NO_FILE, E_ACCESS or E_IO; or E_LIMIT: more than HBA_LEX_FILES_MAX
 * files; or E_NOMEM. `e` may be NULL.
 */
MUST_CHECK enum code hba_lex_file(const struct hba_lex_params *params, struct str path, struct arena *arena,
                                  struct hba_lines *out, struct err *e);

/**
 * The same over bytes in memory that stand for the file `name` (an absolute path; relative references start
 * at its directory). E_LIMIT and E_NOMEM as above.
 */
MUST_CHECK enum code hba_lex_bytes(const struct hba_lex_params *params, struct str name, struct bytes text,
                                   struct arena *arena, struct hba_lines *out);

#endif
