/**
 * A file of lines, TIME WORDS, to which each step is added before it is taken, so that the next run knows where one
 * that was killed had come to.
 *
 *   2026-11-29T23:30:00.123456Z server swap 20261129T233000-1 20260901T221500-1
 *
 * The fraction may be missing: older journals have none. A last line without its end was not finished and counts for nothing.
 */
#ifndef PGSEAL_OS_JOURNAL_H
#define PGSEAL_OS_JOURNAL_H

#include "base/err.h"

struct buf;
struct env;

enum {
    OS_JOURNAL_LIMIT = 4 << 20, /* longest journal that is read */
    OS_JOURNAL_LINE = 4096      /* longest line that is written */
};

/**
 * Append a line to the file `path` (0600, made if need be) and wait until the disk has it. Control bytes in `words`
 * become blanks; what is too long is cut.
 */
MUST_CHECK enum code os_journal_add(const char *path, struct str words, const struct env *env, struct err *e);
/** The file's text, appended to `out`; nothing where there is none. */
MUST_CHECK enum code os_journal_load(const char *path, struct buf *out, struct err *e);
/** Cut the next whole line off the front of `rest`, without its end. False: there is none. */
bool os_journal_next(struct str *rest, struct str *out_line);
/** Cut the time off the front of a line. False: it does not begin with one. */
bool os_journal_time_us(struct str *line, int64_t *out_unix_us);
/** The same, in whole seconds. */
bool os_journal_time(struct str *line, int64_t *out_unix_s);

#endif
