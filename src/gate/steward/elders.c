#include "gate/steward/elders.h"

#include "base/count.h"
#include "gate/steward/asks.h"
#include "gate/steward/figures.h"
#include "gate/steward/now.h"
#include "gate/steward/passes.h"
#include "gate/work/link.h"
#include "net/loop.h"

#include <stdlib.h>
#include <unistd.h>

enum { TELL_MS = 1000, ROOM = OS_PACKET_MAX + 2 /* its type, and a NUL */ };

struct elder {
    struct gate *gate;
    struct link link;
    struct poll *poll;
    struct passes *passes;
    struct asks *asks;
    struct counters *now;       /* as it said last; NULL: it has not */
    void (*written)(void *arg); /* NULL: was called */
    void *arg;
    LIST_ENTRY(elder) entry;
};

static void tell_written(struct elder *elder)
{
    void (*written)(void *arg) = elder->written;

    elder->written = NULL;
    if (written)
        written(elder->arg);
}

static void elder_free(struct elder *elder)
{
    struct gate *g = elder->gate;

    LIST_REMOVE(elder, entry);
    atomic_store(&g->shared.elder, !LIST_EMPTY(&g->elders));
    passes_end(elder->passes);
    asks_end(elder->asks);
    counters_free(elder->now);
    poll_close(elder->poll);
    (void)close(elder->link.fd);
    free(elder);
}

/* What makes no sense is left out, and an answer may be for who had the link before. */
static void take_word(struct elder *elder, const struct os_packet *packet)
{
    link_set_limit(&elder->link, TELL_MS);
    (void)!asks_hear(elder->asks, packet);
    if (packet->type == LINK_WRITTEN)
        tell_written(elder);
    else if (packet->type == LINK_CANCEL || packet->type == LINK_CANCELED)
        (void)!passes_take(elder->passes, packet);
    else if (packet->type == LINK_COUNTERS)
        (void)!figures_take(elder->gate, packet, elder->now);
}

static void elder_on_link(void *arg, unsigned events)
{
    struct elder *elder = arg;
    char room[ROOM];
    struct os_packet packet;

    (void)events;
    switch (os_packet_receive(elder->link.fd, room, sizeof room, &packet, false)) {
    case OS_PACKET_NONE:
        return;
    case OS_PACKET_FULL:
    case OS_PACKET_END:
        tell_written(elder);
        elder_free(elder);
        return;
    case OS_PACKET_GOT:
        break;
    }
    os_packet_close(&packet);
    take_word(elder, &packet);
}

bool elders_add(struct gate *g, int link, void (*written)(void *arg), void *arg)
{
    struct elder *elder = calloc(1, sizeof *elder);

    if (!elder) {
        (void)close(link);
        return false;
    }
    *elder = (struct elder){
        .gate = g, .link = { .fd = link, .env = g->env }, .written = written, .arg = arg
    };
    LIST_INSERT_HEAD(&g->elders, elder, entry);
    elder->passes = passes_new(&g->shared, &elder->link, false);
    elder->asks = asks_new(&g->shared, &elder->link);
    elder->poll = poll_new(g->loop, link, elder_on_link, elder);
    if (!elder->passes || !elder->asks || !elder->poll) {
        elder_free(elder);
        return false;
    }
    poll_set(elder->poll, POLL_READ);
    atomic_store(&g->shared.elder, true);
    return true;
}

size_t elders_links(const struct gate *g, int out[ELDERS_MAX])
{
    const struct elder *elder;
    size_t n = 0;

    LIST_FOREACH (elder, &g->elders, entry)
        if (n < ELDERS_MAX)
            out[n++] = elder->link.fd;
    return n;
}

void elders_close(struct gate *g)
{
    struct elder *elder;

    while ((elder = LIST_FIRST(&g->elders)) != NULL)
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): it does not follow LIST_REMOVE */
        elder_free(elder);
}

void elders_leave(struct gate *g)
{
    struct elder *elder;

    LIST_FOREACH (elder, &g->elders, entry)
        tell_written(elder);
    elders_close(g);
}

/* ---- asking all of them ---- */

struct asking {
    unsigned left; /* that have not answered; and one, until all are asked */
    bool known;
    cancel_answered *answered;
    void *arg;
};

static void one_answered(void *arg, bool known)
{
    struct asking *asking = arg;

    asking->known = asking->known || known;
    if (--asking->left > 0)
        return;
    asking->answered(asking->arg, asking->known);
    free(asking);
}

bool elders_ask(struct gate *g, const struct cancel_request *request, cancel_answered *answered, void *arg)
{
    struct asking *asking = malloc(sizeof *asking);
    struct elder *elder;

    if (!asking)
        return false;
    *asking = (struct asking){ .left = 1, .answered = answered, .arg = arg };
    LIST_FOREACH (elder, &g->elders, entry) {
        link_set_limit(&elder->link, TELL_MS);
        if (passes_ask(elder->passes, request, one_answered, asking))
            asking->left++;
    }
    bool asked = asking->left > 1;
    if (asked)
        one_answered(asking, false);
    else
        free(asking);
    return asked;
}

struct query {
    unsigned left; /* as above */
    struct elder_listener listener;
};

static bool one_told(void *arg, struct bytes piece)
{
    const struct query *query = arg;

    return query->listener.take && query->listener.take(query->listener.arg, piece);
}

static void one_done(void *arg)
{
    struct query *query = arg;

    if (--query->left > 0)
        return;
    query->listener.done(query->listener.arg);
    free(query);
}

bool elders_query(struct gate *g, enum elder_question what, struct bytes details,
                  const struct elder_listener *listener)
{
    struct query *query = malloc(sizeof *query);
    struct elder *elder;

    if (!query)
        return false;
    *query = (struct query){ .left = 1, .listener = *listener };
    const struct elder_listener one = { .take = one_told, .done = one_done, .arg = query };
    LIST_FOREACH (elder, &g->elders, entry) {
        link_set_limit(&elder->link, TELL_MS);
        if (asks_put(elder->asks, what, details, &one))
            query->left++;
    }
    bool asked = query->left > 1;
    if (asked)
        one_done(query);
    else
        free(query);
    return asked;
}

bool elders_count(struct gate *g, void (*done)(void *arg), void *arg)
{
    const struct elder_listener listener = { .take = NULL, .done = done, .arg = arg };
    struct elder *elder;

    LIST_FOREACH (elder, &g->elders, entry) { /* what it does not say again is so no more */
        counters_free(elder->now);
        elder->now = counters_new(COUNT_CELLS_MAX);
    }
    return elders_query(g, ELDER_FIGURES, bytes_of(NULL, 0), &listener);
}

void elders_add_now(const struct gate *g, struct counters *sum)
{
    const struct elder *elder;

    LIST_FOREACH (elder, &g->elders, entry)
        if (elder->now)
            now_add(sum, elder->now);
}
