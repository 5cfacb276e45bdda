/**
 * The files of a PostgreSQL server: where they are, and which settings they hold.
 *
 * Debian keeps the configuration of the cluster V/C in /etc/postgresql/V/C and its data elsewhere, as
 * data_directory says; the command line of the last start (postmaster.opts) names the other half. What is written
 * counts in this order, the last one winning: postgresql.conf with its includes, postgresql.auto.conf, the command
 * line. Nothing is judged here: `audit`, `monitor` and `rotate` each have their own view of what is wrong or missing.
 * [src: PostgreSQL 18, "Setting Parameters", "File Locations"; guc.c SelectConfigFiles()]
 */
#ifndef PGSEAL_CONF_PGSERVER_H
#define PGSEAL_CONF_PGSERVER_H

#include "lex/conf_lex.h"
#include "lex/postmaster_opts.h"
#include "os/files.h"

#include <sys/types.h>

struct arena;

#define PGSERVER_DEBIAN "/etc/postgresql"

/** A settings file with its includes. */
struct pgserver_file {
    const char *path; /* NULL: there is none */
    struct conf_entries entries;
    struct diags diags;
    enum code code; /* of conf_lex_file() */
};

struct pgserver {
    struct arena *arena;                    /* borrowed; all texts live there */
    const char *data_dir;                   /* NULL: not found */
    const char *named_dir;                  /* the value of data_directory in postgresql.conf; NULL: none */
    const char *base;                       /* where relative paths start: data_dir, or where it should be */
    const char *config_dir;                 /* of postgresql.conf, or data_dir */
    struct pgserver_file config, automatic; /* postgresql.conf, postgresql.auto.conf */
    struct postmaster_opts opts;
    struct err opts_error; /* postmaster.opts is there and tells nothing: why; code OK otherwise */
    unsigned version;      /* 0: not known */
};

/** True for a data directory. */
bool pgserver_is_data(const char *dir);
/** True for a data directory, and for one with a postgresql.conf. */
bool pgserver_is(const char *dir);

/**
 * Find both halves, and read their settings.
 *
 * fs    reads all files. Borrowed for the call.
 * path  the data directory, the directory of postgresql.conf, or that file. Borrowed as long as `out` is used.
 *
 * E_NOMEM. Whatever else is wrong is told in `out`.
 */
MUST_CHECK enum code pgserver_read(const struct conf_fs *fs, const char *path, struct arena *arena,
                                   struct pgserver *out);
/** What counts for a setting; p is NULL where nobody sets it. */
struct str pgserver_value(const struct pgserver *pg, const char *name);
/** The same for a file: absolute, or empty. `otherwise` where nobody sets it. E_LIMIT: it is too long. */
MUST_CHECK enum code pgserver_path(const struct pgserver *pg, const char *name, const char *otherwise,
                                   char out[OS_PATH_MAX], struct err *e);

/** Of postmaster.pid, as far as it says so: 0 and "" otherwise. */
struct pgserver_process {
    pid_t pid; /* whether it runs, and is a postmaster, is for others to find out */
    unsigned port;
    char address[256]; /* of listen_addresses, the first that is bound */
};

/** False: there is no such file, or no pid in it. [src: PostgreSQL 18, pidfile.h] */
bool pgserver_process(const char *data_dir, struct pgserver_process *out);

#endif
