/**
 * The findings of an audit as SARIF 2.1.0, which code-scanning services and editors read.
 */
#ifndef PGSEAL_CMD_AUDIT_SARIF_H
#define PGSEAL_CMD_AUDIT_SARIF_H

#include <jansson.h>

struct audit_results;

/** NULL when memory ran out. */
json_t *audit_sarif(const struct audit_results *results);

#endif
