/**
 * The reports of an audit, as text and as JSON.
 */
#ifndef PGSEAL_CMD_AUDIT_REPORT_H
#define PGSEAL_CMD_AUDIT_REPORT_H

#include "audit/audit.h"

#include <jansson.h>

struct audit_rehearsal;
struct cmd;

/** One target, and the result. */
struct audit_result {
    const char *target;
    struct err error; /* E_…: it could not be looked at; the report is empty then */
    struct audit_report report;
    bool *known; /* one per finding: it is in the baseline */
};

struct audit_results {
    const struct audit_result *items;
    size_t n;
    enum audit_profile profile;
    const struct audit_rehearsal *rehearsal; /* NULL: none was asked for */
};

/** A point of the checklist over all targets. */
struct checklist_item audit_results_item(const struct audit_results *results, unsigned item);
void audit_report_print(const struct cmd *cmd, const struct audit_result *result);
/** Of all targets; NULL when memory ran out. */
json_t *audit_report_json(const struct audit_results *results);

#endif
