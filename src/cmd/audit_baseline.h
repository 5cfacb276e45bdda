/**
 * An earlier report as the measure: what it held is known, and does not count again.
 */
#ifndef PGSEAL_CMD_AUDIT_BASELINE_H
#define PGSEAL_CMD_AUDIT_BASELINE_H

#include "base/err.h"

struct audit_baseline;
struct finding;

/**
 * Read what `pgseal audit --json` wrote. Free with audit_baseline_free().
 *
 * E_CONFIG: the file is no such report; E_NO_FILE and kin; E_NOMEM.
 */
MUST_CHECK enum code audit_baseline_read(const char *path, struct audit_baseline **out, struct err *e);
/** Is it in the report? Each entry answers for as many findings as it is listed; NULL: nothing is. */
bool audit_baseline_take(struct audit_baseline *baseline, const struct finding *finding);
/** NULL is fine. */
void audit_baseline_free(struct audit_baseline *baseline);
void audit_baseline_auto(struct audit_baseline **baseline);

#endif
