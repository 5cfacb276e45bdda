/**
 * The report of an audit as one page: no script, nothing fetched, everything that was read escaped.
 */
#ifndef PGSEAL_CMD_AUDIT_HTML_H
#define PGSEAL_CMD_AUDIT_HTML_H

#include "base/err.h"

#include <stdint.h>

struct arena;
struct audit_results;
struct buf;

/** Append the page. E_NOMEM. */
MUST_CHECK enum code audit_html(const struct audit_results *results, int64_t now_unix_s, struct arena *arena,
                                struct buf *out);

#endif
