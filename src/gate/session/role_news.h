/**
 * What upstream_check_url has found out, told to a worker: sessions on a host that is no longer the primary end, and
 * those that wait for a primary go on.
 */
#ifndef PGSEAL_GATE_SESSION_ROLE_NEWS_H
#define PGSEAL_GATE_SESSION_ROLE_NEWS_H

#include "base/err.h"

struct conn_host;
struct worker;

/**
 * From any thread: `host`, copied, has become the primary, or (lost) is it no more. False when memory ran out: the
 * worker does not hear of it.
 */
MUST_CHECK bool role_news_post(struct worker *worker, const struct conn_host *host, bool lost);

#endif
