/**
 * postmaster.opts: the command line with which a server was last started.
 */
#ifndef PGSEAL_LEX_POSTMASTER_OPTS_H
#define PGSEAL_LEX_POSTMASTER_OPTS_H

#include "base/err.h"

struct arena;

/** One setting of the command line. */
struct postmaster_opt {
    struct str name, value;
};

struct postmaster_opts {
    struct str program;        /* as the server was called; empty: a line of nothing */
    struct str data_directory; /* -D; empty: not given */
    const struct postmaster_opt *items;
    size_t n;
};

/**
 * Read the one line of the file: the program, then its arguments in double quotes.
 *
 * text  borrowed.
 * out   its texts live in `arena`.
 *
 * E_CONFIG: the line is not whole; E_NOMEM. [src: PostgreSQL 18, CreateOptsFile(), PostmasterMain()]
 */
MUST_CHECK enum code postmaster_opts_parse(struct str text, struct arena *arena, struct postmaster_opts *out,
                                           struct err *e);

#endif
