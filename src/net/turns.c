/*
 * Turns by resource and prefix.
 *
 * A resource has the sites that use it, and two rings of those in which somebody waits: for another turn, or for a
 * first one. What becomes free is given away at once, by whoever gave it back, to one that waits: nobody is woken in
 * vain.
 */
#include "net/turns.h"

#include "base/check.h"
#include "base/hash.h"
#include "net/loop.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

enum {
    SLOTS = 64,        /* of a table by hash: a power of two */
    SITE_PART = 4,     /* a site holds one turn of so many */
    REFUSED_MS = 10,   /* after the first refusal; then twice as long each time */
    REFUSED_DOUBLE = 6 /* so many times: 640 ms */
};

/* Where a turn stands: only under the lock. */
enum turn_standing { TURN_WAITING, TURN_GIVEN /* and not heard of yet */, TURN_HELD };

/* In which order those that wait are served. */
enum line { LINE_AGAIN, LINE_FRESH, LINE_COUNT };

struct site;
struct resource;

struct turn {
    struct turns *turns;
    struct site *site;
    struct loop *loop;
    void (*go)(void *arg);
    void *arg;
    struct loop_message *message; /* tells the owner; NULL: sent, or not needed */
    enum turn_standing standing;
    enum line line;
    bool left;
    TAILQ_ENTRY(turn) entry; /* while it waits */
};

TAILQ_HEAD(turn_list, turn);

struct site {
    struct resource *resource;
    struct prefix prefix;
    struct turn_list waiting[LINE_COUNT];
    size_t held, n_waiting;
    LIST_ENTRY(site) chain;
    TAILQ_ENTRY(site) entry[LINE_COUNT]; /* while somebody waits in it */
};

LIST_HEAD(site_list, site);
TAILQ_HEAD(site_ring, site);

struct resource {
    uint8_t name[TURN_RESOURCE_MAX];
    size_t name_n;
    size_t limit;
    size_t narrow; /* so many at once since it refused; 0: as many as the limit says */
    unsigned refusals;
    size_t held, n_waiting;
    struct site_list sites[SLOTS];
    struct site_ring rings[LINE_COUNT];
    LIST_ENTRY(resource) chain;
};

LIST_HEAD(resource_list, resource);

struct turns {
    pthread_mutex_t lock; /* is held before a loop's own */
    struct resource_list resources;
};

/* ---- resources and sites ---- */

static struct bytes name_of(const struct resource *resource)
{
    return bytes_of(resource->name, resource->name_n);
}

static struct resource *resource_of(struct turns *turns, struct bytes name)
{
    struct resource *resource;

    LIST_FOREACH (resource, &turns->resources, chain)
        if (bytes_equal(name_of(resource), name))
            return resource;
    CHECK(name.n <= TURN_RESOURCE_MAX);
    resource = calloc(1, sizeof *resource);
    if (!resource)
        return NULL;
    memcpy(resource->name, name.p, name.n);
    resource->name_n = name.n;
    for (size_t i = 0; i < LINE_COUNT; i++)
        TAILQ_INIT(&resource->rings[i]);
    LIST_INSERT_HEAD(&turns->resources, resource, chain);
    return resource;
}

static struct site *site_of(struct resource *resource, const struct prefix *prefix)
{
    uint64_t hash = hash_byte(HASH_BEGIN, (uint8_t)prefix->kind);
    struct site_list *slot;
    struct site *site;

    hash = hash_bytes(hash, bytes_of(prefix->bytes, sizeof prefix->bytes));
    slot = &resource->sites[hash & (SLOTS - 1)];
    LIST_FOREACH (site, slot, chain)
        if (prefix_equal(&site->prefix, prefix))
            return site;
    site = calloc(1, sizeof *site);
    if (!site)
        return NULL;
    site->resource = resource;
    site->prefix = *prefix;
    for (size_t i = 0; i < LINE_COUNT; i++)
        TAILQ_INIT(&site->waiting[i]);
    LIST_INSERT_HEAD(slot, site, chain);
    return site;
}

static void drop_if_unused(struct resource *resource, struct site *site)
{
    if (site && site->held + site->n_waiting == 0) {
        LIST_REMOVE(site, chain);
        free(site);
    }
    if (resource && resource->held + resource->n_waiting == 0) {
        struct resource *unused = resource;
        for (size_t i = 0; i < SLOTS; i++)
            CHECK(LIST_EMPTY(&unused->sites[i]));
        LIST_REMOVE(unused, chain);
        free(unused);
    }
}

/* ---- giving and taking ---- */

static size_t at_once(const struct resource *resource)
{
    return resource->narrow && resource->narrow < resource->limit ? resource->narrow : resource->limit;
}

static bool may_hold_more(const struct site *site)
{
    size_t part = site->resource->limit / SITE_PART;

    return site->held < (part > 0 ? part : 1);
}

static void hold(struct turn *turn)
{
    turn->site->held++;
    turn->site->resource->held++;
}

static void release(struct turn *turn)
{
    turn->site->held--;
    turn->site->resource->held--;
}

static void line_up(struct turn *turn)
{
    struct site *site = turn->site;
    enum line line = turn->line;

    if (TAILQ_EMPTY(&site->waiting[line]))
        TAILQ_INSERT_TAIL(&site->resource->rings[line], site, entry[line]);
    TAILQ_INSERT_TAIL(&site->waiting[line], turn, entry);
    turn->standing = TURN_WAITING;
    site->n_waiting++;
    site->resource->n_waiting++;
}

static void step_out(struct turn *turn)
{
    struct site *site = turn->site;
    enum line line = turn->line;

    TAILQ_REMOVE(&site->waiting[line], turn, entry);
    site->n_waiting--;
    site->resource->n_waiting--;
    if (TAILQ_EMPTY(&site->waiting[line]))
        TAILQ_REMOVE(&site->resource->rings[line], site, entry[line]);
}

/* A site that may hold no more keeps its place. */
static struct turn *next_in_line(struct resource *resource)
{
    struct site *site;

    for (int line = 0; line < LINE_COUNT; line++)
        TAILQ_FOREACH (site, &resource->rings[line], entry[line])
            if (may_hold_more(site))
                return TAILQ_FIRST(&site->waiting[line]);
    return NULL;
}

static void give(struct turn *turn)
{
    struct site *site = turn->site;
    struct site_ring *ring = &site->resource->rings[turn->line];
    struct loop_message *message = turn->message;

    step_out(turn);
    if (!TAILQ_EMPTY(&site->waiting[turn->line])) { /* the others first */
        TAILQ_REMOVE(ring, site, entry[turn->line]);
        TAILQ_INSERT_TAIL(ring, site, entry[turn->line]);
    }
    hold(turn);
    turn->standing = TURN_GIVEN;
    turn->message = NULL;
    loop_send(turn->loop, message); /* under the lock: who leaves later finds its loop told */
}

static void give_away(struct resource *resource)
{
    struct turn *turn;

    while (resource->held < at_once(resource) && (turn = next_in_line(resource)) != NULL)
        give(turn);
}

/* ---- for the owner ---- */

struct turns *turns_new(void)
{
    struct turns *turns = calloc(1, sizeof *turns);

    if (turns)
        (void)pthread_mutex_init(&turns->lock, NULL);
    return turns;
}

void turns_free(struct turns *turns)
{
    if (!turns)
        return;
    CHECK(LIST_EMPTY(&turns->resources));
    (void)pthread_mutex_destroy(&turns->lock);
    free(turns);
}

static void on_given(void *arg)
{
    struct turn *turn = arg;

    (void)pthread_mutex_lock(&turn->turns->lock);
    bool left = turn->left;
    turn->standing = TURN_HELD;
    (void)pthread_mutex_unlock(&turn->turns->lock);
    if (left)
        free(turn);
    else
        turn->go(turn->arg);
}

/* Under the lock. False: memory ran out. */
static bool join(struct turns *turns, const struct turn_wish *wish, struct turn *turn)
{
    const struct prefix around = prefix_site(&wish->prefix);
    struct resource *resource = resource_of(turns, wish->resource);
    struct site *site = resource ? site_of(resource, &around) : NULL;

    if (!site) {
        drop_if_unused(resource, NULL);
        return false;
    }
    turn->site = site;
    resource->limit = wish->limit;
    give_away(resource); /* where the limit is a higher one now; else there is nobody to give to */
    if (resource->held < at_once(resource) && may_hold_more(site)) {
        hold(turn);
        turn->standing = TURN_HELD;
        return true;
    }
    turn->message = loop_message_new(on_given, turn);
    if (turn->message) {
        line_up(turn);
        return true;
    }
    drop_if_unused(resource, site);
    return false;
}

struct turn *turn_take(struct turns *turns, const struct turn_wish *wish)
{
    struct turn *turn = calloc(1, sizeof *turn);

    if (!turn)
        return NULL;
    turn->turns = turns;
    turn->loop = wish->loop;
    turn->go = wish->go;
    turn->arg = wish->arg;
    turn->line = wish->again ? LINE_AGAIN : LINE_FRESH;
    (void)pthread_mutex_lock(&turns->lock);
    bool joined = join(turns, wish, turn);
    (void)pthread_mutex_unlock(&turns->lock);
    if (joined)
        return turn;
    free(turn);
    return NULL;
}

bool turn_waits(const struct turn *turn)
{
    (void)pthread_mutex_lock(&turn->turns->lock);
    bool waits = turn->standing != TURN_HELD;
    (void)pthread_mutex_unlock(&turn->turns->lock);
    return waits;
}

void turn_leave(struct turn *turn)
{
    if (!turn)
        return;
    (void)pthread_mutex_lock(&turn->turns->lock);
    struct site *site = turn->site;
    struct resource *resource = site->resource;
    bool told = turn->standing == TURN_GIVEN;
    if (turn->standing == TURN_WAITING)
        step_out(turn);
    else
        release(turn);
    turn->left = true;
    give_away(resource);
    drop_if_unused(resource, site);
    (void)pthread_mutex_unlock(&turn->turns->lock);
    if (told)
        return; /* its loop frees it */
    loop_message_free(turn->message);
    free(turn);
}

void turn_worked(struct turn *turn)
{
    (void)pthread_mutex_lock(&turn->turns->lock);
    struct resource *resource = turn->site->resource;
    resource->refusals = 0;
    resource->narrow = 2 * resource->narrow < resource->limit ? 2 * resource->narrow : 0;
    give_away(resource);
    (void)pthread_mutex_unlock(&turn->turns->lock);
}

int64_t turn_refused(struct turn *turn)
{
    int64_t wait_ms = -1;

    (void)pthread_mutex_lock(&turn->turns->lock);
    struct resource *resource = turn->site->resource;
    CHECK(turn->standing == TURN_HELD);
    resource->narrow = 1;
    turn->message = resource->held > 1 ? loop_message_new(on_given, turn) : NULL;
    if (turn->message) {
        release(turn);
        turn->line = LINE_AGAIN;
        line_up(turn);
    } else {
        unsigned doubled = resource->refusals < REFUSED_DOUBLE ? resource->refusals : REFUSED_DOUBLE;
        wait_ms = (int64_t)REFUSED_MS << doubled;
        resource->refusals++;
    }
    (void)pthread_mutex_unlock(&turn->turns->lock);
    return wait_ms;
}

void turns_count(struct turns *turns,
                 void (*each)(void *arg, struct bytes resource, const struct turn_count *count), void *arg)
{
    struct resource *resource;

    (void)pthread_mutex_lock(&turns->lock);
    LIST_FOREACH (resource, &turns->resources, chain)
        each(arg, name_of(resource), &(struct turn_count){ resource->held, resource->n_waiting });
    (void)pthread_mutex_unlock(&turns->lock);
}
