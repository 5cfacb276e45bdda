/* Who connects how, on one worker: counted here, handed over now and then. */
#include "gate/stats/client_counts.h"

#include "base/lru.h"
#include "gate/stats/clients.h"
#include "net/loop.h"

enum { TABLES_UNDER_WAY = 8 /* when the SQL thread is busy for long */ };

void client_counts_note(struct worker *worker, const struct client_row *seen)
{
    if (!worker->clients.table) {
        worker->clients.table = clients_table();
        if (!worker->clients.table)
            return;
        timer_set(worker->clients.timer, CLIENTS_HAND_OVER_MS);
    }
    struct client_row *row = lru_note(worker->clients.table, &seen->key, seen->sessions > 0);
    if (row)
        client_merge(row, seen);
}

void client_counts_hand_over(struct worker *worker)
{
    if (!worker->clients.table)
        return;
    if (atomic_load_explicit(&worker->clients.under_way, memory_order_relaxed) < TABLES_UNDER_WAY &&
        clients_hand_over(worker->shared->clients, worker->clients.table, &worker->clients.under_way)) {
        worker->clients.table = NULL;
        timer_stop(worker->clients.timer);
        return;
    }
    timer_set(worker->clients.timer, CLIENTS_HAND_OVER_MS);
}

static void on_clients_timer(void *arg)
{
    client_counts_hand_over(arg);
}

bool client_counts_init(struct worker *worker)
{
    worker->clients.timer = timer_new(worker->loop, on_clients_timer, worker);
    return worker->clients.timer != NULL;
}

void client_counts_fini(struct worker *worker)
{
    lru_free(worker->clients.table);
    timer_close(worker->clients.timer);
}
