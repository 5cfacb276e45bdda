/**
 * The status report: fixed queries over the status database's own views, answered as one JSON object.
 *
 * tables/report.def is the list; the page and whoever reads /status.json see what SQL shows. A report is
 * asked again and again, by one thread at a time; nothing a client wrote takes part in it.
 */
#ifndef PGSEAL_CLERK_REPORT_H
#define PGSEAL_CLERK_REPORT_H

#include "base/err.h"
#include "status/rows.h"

struct buf;
struct env;
struct report;

enum { REPORT_ROWS_MAX = 200 /* of one query; its own LIMIT is lower */ };

struct report_request {
    struct row_source *rows; /* borrowed */
    int64_t loaded_us;       /* what pg_conf_load_time() says */
    int64_t budget_us;       /* of all queries together */
};

/** `env` is borrowed for the report's life, and asked on the thread that runs it. NULL: no memory. */
struct report *report_new(const struct env *env, int64_t started_us);
/** NULL is fine. */
void report_free(struct report *report);
/**
 * Run all queries and append the object: a member per query of tables/report.def, an object (or null) or an
 * array of objects; and `errors`, an object of query: message for those that failed, which are null then.
 * Booleans and numbers are JSON's, times RFC 3339 in UTC, arrays arrays; numerics that a double cannot
 * hold, and all else, texts.
 *
 * E_NOMEM, E_LIMIT: longer than the limit of `out`.
 */
MUST_CHECK enum code report_run(struct report *report, const struct report_request *request, struct buf *out,
                                struct err *e);

#endif
