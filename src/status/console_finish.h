/**
 * A job has come back: what it was for goes on.
 */
#ifndef PGSEAL_STATUS_CONSOLE_FINISH_H
#define PGSEAL_STATUS_CONSOLE_FINISH_H

#include "status/console_impl.h"

/** The job has run: write what it found. */
void console_job_finish(struct console *c, struct buf *out);

#endif
