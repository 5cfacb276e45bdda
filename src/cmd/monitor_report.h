/**
 * What `pgseal monitor` found, as text, JSON and a plugin's line.
 */
#ifndef PGSEAL_CMD_MONITOR_REPORT_H
#define PGSEAL_CMD_MONITOR_REPORT_H

#include "cmd/cmd.h"
#include "monitor/exposition.h"

/** The weakest first. False when memory ran out. */
MUST_CHECK bool monitor_print(const struct cmd *cmd, const struct monitor_run *run);
/** An array, in the order of the targets. */
MUST_CHECK enum code monitor_say_json(const struct cmd *cmd, const struct monitor_run *run, struct err *e);
/** One line, and 0, 1, 2 or 3. */
int monitor_nagios(const struct cmd *cmd, const struct monitor_run *run);
/** 0: all is well; 3: nothing could be looked at; else 1. */
int monitor_exit(const struct monitor_run *run);

#endif
