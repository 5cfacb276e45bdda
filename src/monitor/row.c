/* Rows and what is said against them. */
#include "monitor/row.h"

#include "base/arena.h"

const char *monitor_status_name(enum monitor_status status)
{
    static const char *const names[] = { [MONITOR_OK] = "ok",
                                         [MONITOR_WARNING] = "warning",
                                         [MONITOR_UNKNOWN] = "unknown",
                                         [MONITOR_CRITICAL] = "critical" };

    return names[status];
}

bool monitor_row_is_dated(const struct monitor_row *row)
{
    return row->cert || row->is_crl;
}

bool monitor_row_blame(struct monitor_row *row, struct arena *arena, enum monitor_status status,
                       const char *fmt, ...)
{
    struct str reason, all;
    va_list args;

    va_start(args, fmt);
    bool ok = arena_vprintf(arena, &reason, fmt, args);
    va_end(args);
    if (!ok)
        return false;
    all = reason;
    if (row->error.n > 0 && !arena_printf(arena, &all, "%.*s; %.*s", STR_ARG(row->error), STR_ARG(reason)))
        return false;
    row->error = all;
    if (status > row->status)
        row->status = status;
    return true;
}

void monitor_rows_fini(struct monitor_rows *rows)
{
    struct monitor_row *row;

    STAILQ_FOREACH (row, rows, next) {
        cert_free(row->cert);
        row->cert = NULL;
    }
}
