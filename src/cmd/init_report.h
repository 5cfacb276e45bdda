/**
 * What init says at the end: the files, the server's side, the clients' side.
 */
#ifndef PGSEAL_CMD_INIT_REPORT_H
#define PGSEAL_CMD_INIT_REPORT_H

#include "cmd/init.h"

/** The report, as text or JSON. */
MUST_CHECK enum code init_report(const struct cmd *cmd, const struct init_plan *plan, struct err *e);

#endif
