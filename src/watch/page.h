/**
 * /status and /status.json: a page for people, and what it is drawn from.
 *
 * The page carries no data, so it is shown to everybody; the report is asked of the gate at most once at a
 * time and kept for a second or longer, so that many open pages cost as much as one. All on the loop's
 * thread.
 */
#ifndef PGSEAL_WATCH_PAGE_H
#define PGSEAL_WATCH_PAGE_H

#include "base/err.h"

struct env;
struct http_reply;
struct page;

/** A report as JSON, borrowed for the call; or why there is none. */
typedef void page_report_fn(void *arg, struct bytes json, const struct err *why);

struct page_params {
    const struct env *env; /* borrowed */
    /** Make a report and call `done` once, now or later. Not called again before that. */
    void (*ask)(void *ctx, page_report_fn *done, void *arg);
    void *ctx;
};

/** NULL when memory ran out. */
struct page *page_new(const struct page_params *params);
/** Not while a report is awaited. NULL is fine. */
void page_free(struct page *page);
/** Answer with the page itself. `reply` is taken. */
void page_send_html(struct http_reply *reply);
/** Answer with the report: 200, or 503 and {"error": "…"}. `reply` is taken. */
void page_send_report(struct page *page, struct http_reply *reply);

#endif
