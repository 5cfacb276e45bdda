#include "gate/session/role_news.h"

#include "base/arena.h"
#include "base/log.h"
#include "client/conninfo.h"
#include "gate/load/snapshot.h"
#include "gate/session/meters.h"
#include "gate/session/session.h"
#include "gate/session/upstream.h"
#include "gate/upstream/lookup.h"
#include "gate/upstream/server_conn.h"
#include "gate/work/worker.h"
#include "net/loop.h"

#include <stdlib.h>

enum { NEWS_ARENA_MAX = 4096 };

struct role_news {
    struct worker *worker;
    struct arena arena;
    struct conn_host host;
    bool lost;
};

static void role_news_free(struct role_news *news)
{
    arena_fini(&news->arena);
    free(news);
}

/* A session of the status database has no upstream, one in relay has a route to its server. */
static bool is_at(const struct session *s, const struct conn_host *host)
{
    return s->state == STATE_RELAY && s->upstream && s->upstream->checked && s->cancel_route &&
           conn_host_equal(&s->upstream->info.hosts[s->cancel_route->host], host);
}

static void end_lost(struct session *s)
{
    s->reason = "upstream_check_url: the server is no longer the primary.";
    meters_lost(s);
    session_drain(s, true);
}

static void take_news(void *arg)
{
    struct role_news *news = arg;
    struct worker *worker = news->worker;
    struct session *s, *next;

    for (s = worker->ended ? NULL : TAILQ_FIRST(&worker->sessions); s; s = next) {
        next = TAILQ_NEXT(s, entry);
        if (news->lost && is_at(s, &news->host))
            end_lost(s);
        else
            upstream_news(s, &news->host, news->lost);
    }
    if (!worker->ended)
        lookups_news(worker->lookups, &news->host, news->lost);
    role_news_free(news);
}

bool role_news_post(struct worker *worker, const struct conn_host *host, bool lost)
{
    struct role_news *news = calloc(1, sizeof *news);

    if (!news)
        return false;
    news->worker = worker;
    news->lost = lost;
    arena_init(&news->arena, NEWS_ARENA_MAX, 256);
    news->host.kind = host->kind;
    news->host.port = host->port;
    if (arena_str(&news->arena, host->host, &news->host.host) &&
        arena_str(&news->arena, host->hostaddr, &news->host.hostaddr) &&
        arena_str(&news->arena, host->port_text, &news->host.port_text) &&
        loop_post(worker->loop, take_news, news))
        return true;
    role_news_free(news);
    return false;
}
