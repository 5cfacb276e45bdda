/* Names in chains, addresses in a table of rates, one lock: it is taken once when a connection begins and ends. */
#include "net/limits.h"

#include "base/check.h"
#include "base/hash.h"
#include "net/rate.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

enum {
    SLOTS = 256,    /* a power of two */
    IDLE_MAX = 1000 /* names without a connection, of which a refusal is remembered */
};

struct limited {
    enum limit_kind kind;
    char name[LIMIT_NAME_MAX];
    size_t name_n;
    uint64_t used, refused;
    LIST_ENTRY(limited) chain;
};

LIST_HEAD(limited_list, limited);

struct limits {
    pthread_mutex_t lock;
    struct limited_list slots[SLOTS];
    size_t n_idle;
    struct rate *rate;
};

struct limits *limits_new(void)
{
    struct limits *limits = calloc(1, sizeof *limits);

    if (!limits)
        return NULL;
    limits->rate = rate_new(1, 1);
    if (!limits->rate || pthread_mutex_init(&limits->lock, NULL) != 0) {
        rate_free(limits->rate);
        free(limits);
        return NULL;
    }
    return limits;
}

void limits_free(struct limits *limits)
{
    struct limited *name;

    if (!limits)
        return;
    for (size_t i = 0; i < SLOTS; i++)
        while ((name = LIST_FIRST(&limits->slots[i])) != NULL) {
            LIST_REMOVE(name, chain);
            free(name);
        }
    rate_free(limits->rate);
    (void)pthread_mutex_destroy(&limits->lock);
    free(limits);
}

/* ---- names ---- */

static struct limited_list *slot_of(struct limits *limits, enum limit_kind kind, struct str name)
{
    uint64_t hash = hash_str(hash_byte(HASH_BEGIN, (uint8_t)kind), name);

    return &limits->slots[hash & (SLOTS - 1)];
}

static struct limited *find(struct limits *limits, enum limit_kind kind, struct str name)
{
    struct limited *at;

    LIST_FOREACH (at, slot_of(limits, kind, name), chain)
        if (at->kind == kind && str_equal(str_of(at->name, at->name_n), name))
            return at;
    return NULL;
}

static struct limited *limits_add(struct limits *limits, enum limit_kind kind, struct str name)
{
    struct limited *at = calloc(1, sizeof *at);

    if (!at)
        return NULL;
    at->kind = kind;
    at->name_n = name.n;
    if (name.n > 0)
        memcpy(at->name, name.p, name.n);
    limits->n_idle++;
    LIST_INSERT_HEAD(slot_of(limits, kind, name), at, chain);
    return at;
}

static void settle(struct limits *limits, struct limited *at)
{
    if (at->used > 0 || (at->refused > 0 && limits->n_idle <= IDLE_MAX))
        return;
    limits->n_idle--;
    LIST_REMOVE(at, chain);
    free(at);
}

static enum code take(struct limits *limits, enum limit_kind kind, struct str name, unsigned limit)
{
    struct limited *at = find(limits, kind, name);

    if (!at)
        at = limits_add(limits, kind, name);
    if (!at)
        return E_NOMEM;
    if (limit > 0 && at->used >= limit) {
        at->refused++;
        return E_TOO_MANY;
    }
    limits->n_idle -= at->used == 0;
    at->used++;
    return OK;
}

enum code limits_take(struct limits *limits, enum limit_kind kind, struct str name, unsigned limit)
{
    name = str_first(name, LIMIT_NAME_MAX);
    (void)pthread_mutex_lock(&limits->lock);
    enum code code = take(limits, kind, name, limit);
    (void)pthread_mutex_unlock(&limits->lock);
    return code;
}

void limits_leave(struct limits *limits, enum limit_kind kind, struct str name)
{
    (void)pthread_mutex_lock(&limits->lock);
    struct limited *at = find(limits, kind, str_first(name, LIMIT_NAME_MAX));
    CHECK(at && at->used > 0);
    at->used--;
    limits->n_idle += at->used == 0;
    settle(limits, at);
    (void)pthread_mutex_unlock(&limits->lock);
}

/* ---- addresses ---- */

bool limits_begin(struct limits *limits, const struct prefix *prefix, unsigned per_s, int64_t now_ms)
{
    (void)pthread_mutex_lock(&limits->lock);
    rate_set(limits->rate, per_s, per_s);
    bool may = rate_take(limits->rate, prefix, now_ms);
    (void)pthread_mutex_unlock(&limits->lock);
    return may;
}

/* ---- all ---- */

struct addresses {
    void (*each)(void *arg, const struct limit_count *count);
    void *arg;
};

static void tell_address(void *arg, const struct prefix *prefix, const struct rate_count *count)
{
    const struct addresses *addresses = arg;
    char text[PREFIX_TEXT_MAX];

    prefix_text(prefix, text);
    const struct limit_count told = { LIMIT_ADDRESS, str_c(text), count->taken, count->refused };
    if (count->refused > 0)
        addresses->each(addresses->arg, &told);
}

void limits_each(struct limits *limits, int64_t now_ms,
                 void (*each)(void *arg, const struct limit_count *count), void *arg)
{
    struct addresses addresses = { each, arg };
    struct limited *at;

    (void)pthread_mutex_lock(&limits->lock);
    for (size_t i = 0; i < SLOTS; i++)
        LIST_FOREACH (at, &limits->slots[i], chain) {
            const struct limit_count count = { at->kind, str_of(at->name, at->name_n), at->used,
                                               at->refused };
            each(arg, &count);
        }
    rate_each(limits->rate, now_ms, tell_address, &addresses);
    (void)pthread_mutex_unlock(&limits->lock);
}
