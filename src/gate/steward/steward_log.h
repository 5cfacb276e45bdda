/**
 * Lines of the steward, and the form of all lines.
 */
#ifndef PGSEAL_GATE_STEWARD_STEWARD_LOG_H
#define PGSEAL_GATE_STEWARD_STEWARD_LOG_H

#include "gate/steward/steward.h"

enum log_format gate_log_format(const struct settings *settings);
/** What is logged from now on, and in which form. */
void gate_set_log(const struct gate *g, const struct settings *settings);
/** One line for each row. */
void gate_log_diags(const struct env *env, const struct diags *diags, const char *event);
void gate_log(const struct env *env, enum severity severity, const char *event, const char *message);

#endif
