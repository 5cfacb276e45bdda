/**
 * One event per line, key=value, hostile bytes escaped.
 *
 *   2026-11-21 03:10:12.123 UTC [4711] FATAL:  event=refused client=127.0.0.1:40312 user=alice …
 *
 * Values with blanks, quotes or control bytes are quoted; bytes outside printable ASCII appear as \xNN
 * [src: PostgreSQL 18, pg_clean_ascii, as for application_name in the log]. A line leaves in one write(2),
 * so threads never mix theirs. A failing write is counted and otherwise ignored: a full disk stops nobody.
 */
#ifndef PGSEAL_BASE_LOG_H
#define PGSEAL_BASE_LOG_H

#include "base/err.h"

#include <stdatomic.h>

struct env;

struct log {
    int fd;
    _Atomic int min_severity; /* enum severity; see log_wanted() */
    _Atomic unsigned long lost;
};

enum { LOG_LINE_MAX = 4096 };

/** A line being built; on the caller's stack. Longer lines end in "…". */
struct log_line {
    struct log *log;
    size_t n;
    char text[LOG_LINE_MAX];
};

/** True when lines of this severity are written, in the server's order of severities (LOG above ERROR). */
bool log_wanted(const struct log *log, enum severity severity);
/** Begin a line. `env->log` may be NULL; then everything below does nothing. */
void log_begin(struct log_line *line, const struct env *env, enum severity severity, const char *event);
/** Add key=value. Empty values are written as key="". */
void log_str(struct log_line *line, const char *key, struct str value);
void log_c(struct log_line *line, const char *key, const char *value);
void log_int(struct log_line *line, const char *key, long long value);
/** Add sqlstate, message, detail, hint, file and line of an error, as far as it has them. */
void log_err(struct log_line *line, const struct err *e);
void log_diag(struct log_line *line, const struct diag *diag);
/** Write the line. */
void log_end(struct log_line *line);

#endif
