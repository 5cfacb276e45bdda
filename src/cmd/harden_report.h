/**
 * What `pgseal harden` says: the diff with its reasons, what stays, who would be refused, what others need.
 */
#ifndef PGSEAL_CMD_HARDEN_REPORT_H
#define PGSEAL_CMD_HARDEN_REPORT_H

#include "base/err.h"

#include <jansson.h>

struct buf;
struct harden_run;

/** The changes: unified diffs, and ALTER SYSTEM where it was asked for. E_LIMIT. */
MUST_CHECK enum code harden_report_diff(const struct harden_run *run, struct buf *out);
/** All but the diff, for people. */
void harden_report_print(const struct harden_run *run);
/** Who stops an --apply, on standard error. */
void harden_report_blocked(const struct harden_run *run);
/** What the change proved, and what is next. */
void harden_report_done(const struct harden_run *run);
/** All of it, but how a change ended. NULL: out of memory. */
json_t *harden_report_json(const struct harden_run *run);
/** What the change proved. NULL: out of memory. */
json_t *harden_report_proofs(const struct harden_run *run);

#endif
