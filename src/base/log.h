/**
 * One event per line, as key=value or as a JSON object, hostile bytes escaped.
 *
 *   2026-11-21 03:10:12.123 UTC [4711] FATAL:  event=refused client=127.0.0.1:40312 user=alice …
 *   {"timestamp":"2026-11-21 03:10:12.123 UTC","pid":4711,"error_severity":"FATAL","event":"refused",…}
 *
 * As text, values with blanks, quotes or control bytes are quoted, and bytes outside printable ASCII appear as
 * \xNN [src: PostgreSQL 18, pg_clean_ascii, as for application_name in the log]. As JSON, members have the names
 * of PostgreSQL's jsonlog where it has them, and bytes that are not UTF-8 appear as \xNN.
 *
 * A line leaves in one write(2), so threads never mix theirs: at once, or by the thread of log_queue.h. A write
 * that fails is counted and otherwise ignored: a full disk stops no session.
 */
#ifndef PGSEAL_BASE_LOG_H
#define PGSEAL_BASE_LOG_H

#include "base/err.h"

#include <stdatomic.h>

struct env;
struct log_queue;

enum log_format { LOG_TEXT, LOG_JSON };

struct log {
    int fd;
    _Atomic int min_severity;       /* enum severity; see log_enabled() */
    _Atomic enum log_format format; /* of the lines that are begun from now on */
    bool levels;                    /* each line begins with its syslog level, as sd-daemon(3) has it: <6> */
    _Atomic unsigned long lost;     /* lines that could not be written; see log_lost() */
    struct log_queue *queue;        /* NULL: whoever logs writes */
};

enum { LOG_LINE_MAX = 4096, LOG_CLIENT_MAX = 64 };

/** A line being built; on the caller's stack. Longer lines end in "…". */
struct log_line {
    struct log *log;
    enum log_format format;
    bool cut;
    const char *event;
    char cause[LOG_CLIENT_MAX]; /* for the count of what is dropped: cause and client of this line */
    char client[LOG_CLIENT_MAX];
    size_t n;
    char text[LOG_LINE_MAX];
};

/** True when lines of this severity are written, in the server's order of severities (LOG above ERROR). */
bool log_enabled(const struct log *log, enum severity severity);
/** Lines that were dropped or could not be written. */
unsigned long log_lost(const struct log *log);
/** Begin a line. `env->log` may be NULL; then everything below does nothing. `event`: static. */
void log_begin(struct log_line *line, const struct env *env, enum severity severity, const char *event);
/** Add key=value. Empty values are written as key="". */
void log_str(struct log_line *line, const char *key, struct str value);
void log_c(struct log_line *line, const char *key, const char *value);
void log_int(struct log_line *line, const char *key, long long value);
/** Add sqlstate, message, detail, hint, file and line of an error, as far as it has them. */
void log_err(struct log_line *line, const struct err *e);
void log_diag(struct log_line *line, const struct diag *diag);
/** Write the line, or hand it to the queue. Never waits for a queue. */
void log_end(struct log_line *line);

/** One line: so many were dropped (log_queue.h). */
void log_dropped(const struct env *env, const char *cause, const char *prefix, long long lines);

#endif
