/**
 * A job: the part of a statement that waits for the clerk.
 */
#ifndef PGSEAL_STATUS_CONSOLE_JOB_H
#define PGSEAL_STATUS_CONSOLE_JOB_H

#include "status/console.h"

struct console_job;

/** VIEW_BIT set of the views it may read and that a source must provide; 0 when it needs none. */
uint64_t console_job_views(const struct console_job *job);
/** Hand rows over; `source` is taken. Without this call all views are empty. */
void console_job_rows(struct console_job *job, struct row_source source);
/** On the SQL thread: ask the clerk. Touches the job, its rows, the line and the actions, nothing else. */
void console_job_run(struct console_job *job);

#endif
