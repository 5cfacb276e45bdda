/*
 * Places by prefix: a heap of sites, and in each a heap of its networks, the heaviest on top.
 *
 * Sites and networks are the same kind of thing, a group; a share is in one of each. A heap is mended
 * whenever the number of a group's shares, or the oldest of them, has changed.
 */
#include "net/shares.h"

#include "base/check.h"
#include "base/hash.h"
#include "net/loop.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

enum level { LEVEL_SITE, LEVEL_NETWORK, LEVEL_COUNT };

enum { SLOTS = 1024 /* a power of two */, HEAP_FIRST = 8 };

struct group;

struct heap {
    struct group **at;
    size_t n, size;
};

struct share {
    struct shares *shares;
    struct share_owner owner;     /* arg NULL: has left, only touched on the loop */
    struct loop_message *message; /* tells the owner; NULL once sent: the place is taken away */
    struct group *group[LEVEL_COUNT];
    TAILQ_ENTRY(share) entry[LEVEL_COUNT];
    uint64_t number; /* the older, the smaller */
};

TAILQ_HEAD(share_list, share);

struct group {
    struct prefix prefix;
    enum level level;
    struct heap *home;
    size_t index;         /* in home */
    struct heap networks; /* of a site */
    struct share_list list;
    size_t n;
    LIST_ENTRY(group) chain;
};

LIST_HEAD(group_list, group);

struct shares {
    pthread_mutex_t lock; /* is held before a loop's own */
    struct heap sites;
    struct group_list slots[LEVEL_COUNT][SLOTS];
    uint64_t numbers;
    size_t n;
};

/* ---- heaps ---- */

static bool heavier(const struct group *a, const struct group *b)
{
    if (a->n != b->n)
        return a->n > b->n;
    return a->n > 0 && TAILQ_FIRST(&a->list)->number < TAILQ_FIRST(&b->list)->number;
}

static void shares_put(struct heap *heap, size_t index, struct group *group)
{
    heap->at[index] = group;
    group->index = index;
}

/* The weight of the group has changed. */
static void heap_mend(struct heap *heap, struct group *group)
{
    size_t i = group->index;

    while (i > 0 && heavier(group, heap->at[(i - 1) / 2])) {
        shares_put(heap, i, heap->at[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    for (;;) {
        size_t child = 2 * i + 1;
        if (child + 1 < heap->n && heavier(heap->at[child + 1], heap->at[child]))
            child++;
        if (child >= heap->n || !heavier(heap->at[child], group))
            break;
        shares_put(heap, i, heap->at[child]);
        i = child;
    }
    shares_put(heap, i, group);
}

static bool heap_add(struct heap *heap, struct group *group)
{
    if (heap->n == heap->size) {
        size_t size = heap->size ? 2 * heap->size : HEAP_FIRST;
        struct group **at = reallocarray(heap->at, size, sizeof *at);
        if (!at)
            return false;
        heap->at = at;
        heap->size = size;
    }
    shares_put(heap, heap->n++, group); /* it weighs nothing yet: the end is its place */
    group->home = heap;
    return true;
}

static void heap_remove(struct heap *heap, const struct group *group)
{
    struct group *last = heap->at[--heap->n];

    if (last == group)
        return;
    shares_put(heap, group->index, last);
    heap_mend(heap, last);
}

/* ---- groups ---- */

static struct group_list *slot_of(struct shares *shares, enum level level, const struct prefix *prefix)
{
    uint64_t hash = hash_byte(HASH_BEGIN, (uint8_t)prefix->kind); /* no more groups than places */

    hash = hash_bytes(hash, bytes_of(prefix->bytes, sizeof prefix->bytes));
    return &shares->slots[level][hash & (SLOTS - 1)];
}

/* The group of this prefix, empty where there was none; NULL when memory ran out. */
static struct group *group_of(struct shares *shares, enum level level, const struct prefix *prefix,
                              struct heap *home)
{
    struct group_list *slot = slot_of(shares, level, prefix);
    struct group *group;

    LIST_FOREACH (group, slot, chain)
        if (prefix_equal(&group->prefix, prefix))
            return group;
    group = calloc(1, sizeof *group);
    if (!group)
        return NULL;
    group->prefix = *prefix;
    group->level = level;
    TAILQ_INIT(&group->list);
    if (!heap_add(home, group)) {
        free(group);
        return NULL;
    }
    LIST_INSERT_HEAD(slot, group, chain);
    return group;
}

static void drop_if_empty(struct group *group)
{
    if (!group || group->n > 0)
        return;
    heap_remove(group->home, group);
    LIST_REMOVE(group, chain);
    free(group->networks.at);
    free(group);
}

static void group_add(struct group *group, struct share *share)
{
    share->group[group->level] = group;
    TAILQ_INSERT_TAIL(&group->list, share, entry[group->level]);
    group->n++;
    heap_mend(group->home, group);
}

static void group_remove(struct group *group, struct share *share)
{
    TAILQ_REMOVE(&group->list, share, entry[group->level]);
    group->n--;
    heap_mend(group->home, group);
}

/* ---- places ---- */

struct shares *shares_new(void)
{
    struct shares *shares = calloc(1, sizeof *shares);

    if (shares)
        (void)pthread_mutex_init(&shares->lock, NULL);
    return shares;
}

void shares_free(struct shares *shares)
{
    if (!shares)
        return;
    CHECK(shares->n == 0);
    free(shares->sites.at);
    (void)pthread_mutex_destroy(&shares->lock);
    free(shares);
}

static void on_yield(void *arg)
{
    struct share *share = arg;

    if (share->owner.arg)
        share->owner.yield(share->owner.arg);
    free(share);
}

static bool join(struct shares *shares, const struct prefix *prefix, struct share *share)
{
    const struct prefix around = prefix_site(prefix);
    struct group *site = group_of(shares, LEVEL_SITE, &around, &shares->sites);
    struct group *network = site ? group_of(shares, LEVEL_NETWORK, prefix, &site->networks) : NULL;

    if (!network) {
        drop_if_empty(site);
        return false;
    }
    share->number = shares->numbers++;
    group_add(site, share);
    group_add(network, share);
    shares->n++;
    return true;
}

static void leave(struct share *share)
{
    struct group *site = share->group[LEVEL_SITE], *network = share->group[LEVEL_NETWORK];

    /* NOLINTBEGIN(clang-analyzer-unix.Malloc): it does not follow group_remove() */
    group_remove(network, share);
    group_remove(site, share);
    /* NOLINTEND(clang-analyzer-unix.Malloc) */
    drop_if_empty(network);
    drop_if_empty(site);
    share->shares->n--;
}

struct share *shares_take(struct shares *shares, const struct prefix *prefix, const struct share_owner *owner)
{
    struct share *share = calloc(1, sizeof *share);

    if (!share)
        return NULL;
    share->shares = shares;
    share->owner = *owner;
    share->message = loop_message_new(on_yield, share);
    (void)pthread_mutex_lock(&shares->lock);
    bool joined = share->message && join(shares, prefix, share);
    (void)pthread_mutex_unlock(&shares->lock);
    if (joined)
        return share;
    loop_message_free(share->message);
    free(share);
    return NULL;
}

void share_leave(struct share *share)
{
    if (!share)
        return;
    (void)pthread_mutex_lock(&share->shares->lock);
    struct loop_message *message = share->message;
    if (message)
        leave(share);
    (void)pthread_mutex_unlock(&share->shares->lock);
    share->owner.arg = NULL;
    if (!message)
        return; /* it has been taken away, and its loop been told */
    loop_message_free(message);
    free(share);
}

static void take_away(struct share *share)
{
    struct loop_message *message = share->message;

    leave(share);
    share->message = NULL;
    loop_send(share->owner.loop, message); /* under the lock: who leaves later finds its loop told */
}

static struct share *heaviest(const struct shares *shares)
{
    const struct group *site = shares->sites.n > 0 ? shares->sites.at[0] : NULL;

    return site ? TAILQ_FIRST(&site->networks.at[0]->list) : NULL;
}

void shares_trim(struct shares *shares, size_t limit)
{
    (void)pthread_mutex_lock(&shares->lock);
    struct share *share;
    while (shares->n > limit && (share = heaviest(shares)) != NULL)
        take_away(share);
    (void)pthread_mutex_unlock(&shares->lock);
}

bool shares_make_room(struct shares *shares)
{
    (void)pthread_mutex_lock(&shares->lock);
    struct share *share = heaviest(shares);
    if (share)
        take_away(share);
    (void)pthread_mutex_unlock(&shares->lock);
    return share != NULL;
}

size_t shares_count(struct shares *shares)
{
    (void)pthread_mutex_lock(&shares->lock);
    size_t n = shares->n;
    (void)pthread_mutex_unlock(&shares->lock);
    return n;
}
