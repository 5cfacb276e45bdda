/**
 * What `pgseal probe` shows of its reports: for people, as JSON, as one Nagios line.
 */
#ifndef PGSEAL_CMD_PROBE_REPORT_H
#define PGSEAL_CMD_PROBE_REPORT_H

#include "probe/probe.h"

#include <jansson.h>
#include <stdio.h>

struct cmd;

/** One look's end: a report, or why there is none. */
struct probe_result {
    bool done;
    enum code code; /* OK: `report` is set */
    struct err err;
    struct probe_report report;
};

void probe_print(const struct cmd *cmd, const struct probe_report *report);
/** The array that `probe --json` prints. NULL when memory ran out. */
json_t *probe_json(const struct probe_result *results, size_t n, int64_t now_s);
/** The plugin's one line and its status: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN. */
int probe_nagios(const struct cmd *cmd, const struct probe_result *results, size_t n);
/** 0: all safe, nothing graver than a low problem; 1: some finding; 3: nothing answered at all. */
int probe_status(const struct probe_result *results, size_t n);

#endif
