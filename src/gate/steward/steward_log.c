#include "gate/steward/steward_log.h"

#include "base/log.h"
#include "conf/settings.h"
#include "gate/steward/steward.h"
#include "os/parent.h"

void gate_log(const struct env *env, enum severity severity, const char *event, const char *message)
{
    struct log_line line;

    log_begin(&line, env, severity, event);
    log_c(&line, "message", message);
    log_end(&line);
}

void gate_log_diags(const struct env *env, const struct diags *diags, const char *event)
{
    const struct diag *row;
    struct log_line line;

    STAILQ_FOREACH (row, &diags->list, next) {
        log_begin(&line, env, row->severity == SEV_ERROR ? SEV_LOG : row->severity, event);
        log_diag(&line, row);
        log_end(&line);
    }
}

enum log_format gate_log_format(const struct settings *settings)
{
    return settings->log_destination & 1u << CONF_LOG_JSON ? LOG_JSON : LOG_TEXT;
}

void gate_set_log(const struct gate *g, const struct settings *settings)
{
    g->env->log->min_severity = (int)settings_log_severity(settings);
    g->env->log->format = gate_log_format(settings);
    parent_log_as(g->env->log->format);
}
