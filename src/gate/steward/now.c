#include "gate/steward/now.h"

#include "base/check.h"
#include "client/hosts.h"
#include "gate/steward/steward.h"
#include "net/shares.h"
#include "net/socket.h"
#include "net/turns.h"

#include <stdatomic.h>
#include <string.h>

const enum metric now_metrics[NOW_METRICS] = { METRIC_SESSIONS, METRIC_CONNECTIONS_NOW, METRIC_PENDING_NOW,
                                               METRIC_LOGINS_NOW, METRIC_LOGINS_WAITING };

bool now_is(enum metric metric)
{
    bool found = false;

    for (size_t i = 0; i < NOW_METRICS; i++)
        found = found || now_metrics[i] == metric;
    return found;
}

static void count_pending(const struct gate *g, struct counters *sum)
{
    static const char *const transports[] = { "tcp", "unix" };
    struct shares *const shares[] = { g->shared.pending, g->shared.pending_local };

    for (size_t i = 0; i < COUNT_OF(transports); i++) {
        const struct str label = str_c(transports[i]);
        count_set(count_cell(sum, METRIC_PENDING_NOW, &label), (int64_t)shares_count(shares[i]));
    }
}

static void count_logins_at(void *arg, struct bytes resource, const struct turn_count *count)
{
    struct address addr = { .n = (socklen_t)resource.n };
    char text[TURN_RESOURCE_MAX];

    memcpy(&addr.ss, resource.p, resource.n);
    if (conn_addr_is_unix(&addr))
        conn_addr_text(&addr, text);
    else
        address_text(&addr, text, sizeof text);
    const struct str label = str_c(text);
    count_set(count_cell(arg, METRIC_LOGINS_NOW, &label), (int64_t)count->held);
    count_set(count_cell(arg, METRIC_LOGINS_WAITING, &label), (int64_t)count->waiting);
}

void now_count(const struct gate *g, struct counters *sum)
{
    long connections = atomic_load_explicit(&g->shared.connections, memory_order_relaxed);

    count_set(count_cell(sum, METRIC_CONNECTIONS_NOW, NULL), connections);
    count_pending(g, sum);
    turns_count(g->shared.turns, count_logins_at, sum);
}

void now_add(struct counters *sum, const struct counters *other)
{
    for (size_t i = 0; i < NOW_METRICS; i++)
        for (const struct count_cell *cell = count_first(other, now_metrics[i]); cell;
             cell = count_next(cell))
            count_add(count_same(sum, cell), count_value(cell));
}
