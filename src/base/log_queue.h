/**
 * A thread that writes the log: whoever logs never waits for a pipe, a disk or a journal that is slow.
 *
 * The queue is bounded. A line that does not fit is dropped and counted, by its cause (or event) and its
 * client's network; when there is room again, a line for each of these says how many there were:
 *
 *   … WARNING:  event=log_dropped cause=no_rule prefix=192.0.2.7/32 lines=4211
 */
#ifndef PGSEAL_BASE_LOG_QUEUE_H
#define PGSEAL_BASE_LOG_QUEUE_H

#include "base/err.h"

struct env;
struct log;
struct log_line;
struct log_queue;

enum {
    LOG_QUEUE_MAX = 1 << 20, /* bytes that wait */
    LOG_DROPPED_MAX = 64,    /* kinds of dropped lines that are told apart */
    LOG_PREFIX_MAX = 64,
    LOG_FLUSH_MS = 1000 /* that the last lines are waited for */
};

/** Logs that lines of a cause, about clients of a prefix, were dropped: log_dropped() of log.h. */
typedef void log_queue_tell(const struct env *env, const char *cause, const char *prefix, long long lines);

/**
 * From now on a thread writes the lines of env->log, which must not be in use by other threads yet. env:
 * borrowed, until log_queue_stop().
 */
MUST_CHECK enum code log_queue_start(const struct env *env, log_queue_tell *tell, struct err *e);
/** Wait until everything that has been logged so far is written, for at most LOG_FLUSH_MS. False: it is not. */
bool log_queue_flush(const struct log *log);
/**
 * Flush, and end the thread; later lines are written by whoever logs. A thread that is stuck in a write is left
 * behind, and later lines are lost. No other thread may log any more. Harmless without a queue.
 */
void log_queue_stop(struct log *log);

/* ---- for log.c ---- */

/** A whole line. */
void log_queue_put(struct log_queue *queue, const struct log_line *line);
/** Lines that were dropped or could not be written. */
unsigned long log_queue_lost(struct log_queue *queue);
/** All of it to a descriptor, however slow. False: an error. */
bool log_write(int fd, const char *text, size_t n);

/** "192.0.2.7/32", "2001:db8::/64" (of "ADDRESS:PORT"), or the text itself: "[local]", "". */
void log_prefix(const char *client, char out[LOG_PREFIX_MAX]);

#endif
