/**
 * What the lines that init prints do to a server that is in use.
 */
#ifndef PGSEAL_CMD_INIT_NOTES_H
#define PGSEAL_CMD_INIT_NOTES_H

#include "cmd/init.h"

/** A paragraph each, into notes. After the upstream is known. */
MUST_CHECK enum code init_plan_notes(struct init_plan *plan, struct err *e);

#endif
