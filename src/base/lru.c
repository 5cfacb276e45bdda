/* Chains for finding, two queues for forgetting. */
#include "base/lru.h"

#include "base/hash.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

struct entry {
    LIST_ENTRY(entry) chain;
    TAILQ_ENTRY(entry) age;
    uint32_t hash;
    bool high;
    max_align_t row[];
};

LIST_HEAD(chain, entry);
TAILQ_HEAD(queue, entry);

struct lru {
    struct queue ages[2]; /* low and high, the oldest first */
    struct chain *slots;
    size_t n_slots;
    size_t row_size, key_size;
    size_t n, limit;
};

struct lru *lru_new(size_t slots, size_t row_size, size_t key_size, size_t limit)
{
    struct lru *lru = calloc(1, sizeof *lru);

    if (!lru)
        return NULL;
    *lru = (struct lru){ .n_slots = slots, .row_size = row_size, .key_size = key_size, .limit = limit };
    TAILQ_INIT(&lru->ages[0]);
    TAILQ_INIT(&lru->ages[1]);
    lru->slots = calloc(slots, sizeof *lru->slots);
    if (!lru->slots) {
        free(lru);
        return NULL;
    }
    return lru;
}

static void lru_forget(struct lru *lru, struct entry *entry)
{
    LIST_REMOVE(entry, chain);
    TAILQ_REMOVE(&lru->ages[entry->high], entry, age);
    lru->n--;
    free(entry);
}

static void forget_beyond(struct lru *lru, size_t limit)
{
    while (lru->n > limit)
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): it does not follow TAILQ_REMOVE */
        lru_forget(lru, TAILQ_FIRST(&lru->ages[TAILQ_EMPTY(&lru->ages[0])]));
}

void lru_free(struct lru *lru)
{
    if (!lru)
        return;
    forget_beyond(lru, 0);
    free(lru->slots);
    free(lru);
}

size_t lru_count(const struct lru *lru)
{
    return lru->n;
}

void lru_limit(struct lru *lru, size_t limit)
{
    lru->limit = limit;
    forget_beyond(lru, limit);
}

static uint32_t hash_of(const struct lru *lru, const void *key)
{
    return (uint32_t)hash_bytes(HASH_BEGIN, bytes_of(key, lru->key_size));
}

static struct chain *chain_of(const struct lru *lru, uint32_t hash)
{
    return &lru->slots[hash & (uint32_t)(lru->n_slots - 1)];
}

static struct entry *find(const struct lru *lru, const void *key, uint32_t hash)
{
    struct entry *entry;

    LIST_FOREACH (entry, chain_of(lru, hash), chain)
        if (entry->hash == hash && memcmp(entry->row, key, lru->key_size) == 0)
            return entry;
    return NULL;
}

static void move(struct lru *lru, struct entry *entry, bool high)
{
    TAILQ_REMOVE(&lru->ages[entry->high], entry, age);
    entry->high = high;
    TAILQ_INSERT_TAIL(&lru->ages[high], entry, age);
}

void *lru_note(struct lru *lru, const void *key, bool high)
{
    uint32_t hash = hash_of(lru, key);
    struct entry *entry = find(lru, key, hash);

    if (entry) {
        move(lru, entry, entry->high || high);
        return entry->row;
    }
    bool full = lru->n >= lru->limit;
    if (lru->limit == 0 || (full && !high && TAILQ_EMPTY(&lru->ages[0])))
        return NULL;
    entry = calloc(1, sizeof *entry + lru->row_size);
    if (!entry)
        return NULL;
    forget_beyond(lru, lru->limit - 1);
    entry->hash = hash;
    entry->high = high;
    memcpy(entry->row, key, lru->key_size);
    LIST_INSERT_HEAD(chain_of(lru, hash), entry, chain);
    TAILQ_INSERT_TAIL(&lru->ages[high], entry, age);
    lru->n++;
    return entry->row;
}

void *lru_find(const struct lru *lru, const void *key)
{
    struct entry *entry = find(lru, key, hash_of(lru, key));

    return entry ? entry->row : NULL;
}

/* The entry around a row that was handed out. */
static struct entry *entry_of(const void *row)
{
    return (struct entry *)(uintptr_t)((const char *)row - offsetof(struct entry, row));
}

void *lru_next(const struct lru *lru, bool high, const void *row)
{
    struct entry *entry = row ? TAILQ_NEXT(entry_of(row), age) : TAILQ_FIRST(&lru->ages[high]);

    return entry ? entry->row : NULL;
}
