/**
 * What `pgseal ca rollover` prints.
 */
#ifndef PGSEAL_CMD_CA_ROLLOVER_REPORT_H
#define PGSEAL_CMD_CA_ROLLOVER_REPORT_H

#include "cmd/cmd.h"
#include "renew/rollover_obstacles.h"
#include "renew/rollover_ready.h"

#include <jansson.h>

/** All borrowed. */
struct rollover_report {
    const struct rollover *state;
    const struct rollover_verdicts *verdicts; /* NULL: the gate was not asked, or did not answer */
    struct err unseen;                        /* … and why; code OK: it was not asked */
    int64_t as_of_unix_s;                     /* they are from its file, last written then; 0: it told them */
    const struct rollover_obstacles *obstacles; /* NULL: not looked for */
    struct str *client_files;                   /* certificates of clients that the old CA has issued */
    size_t n_client_files;
    bool full; /* the gate may have forgotten clients */
    unsigned seen_days;
    int64_t now_unix_s;
};

/** The whole state. */
void rollover_print_status(const struct cmd *cmd, const struct rollover_report *report);
/** The same; returned to caller. NULL: out of memory. */
json_t *rollover_json(const struct rollover_report *report);
/** After `start`: settings to set, and what each driver needs. */
void rollover_print_started(const struct cmd *cmd, const struct rollover_report *report);
/** Who and what is not ready, each in a line. `forced`: what breaks now. */
void rollover_print_unready(const struct cmd *cmd, const struct rollover_report *report, bool forced);

#endif
