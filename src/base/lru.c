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
    struct lru *aged = calloc(1, sizeof *aged);

    if (!aged)
        return NULL;
    *aged = (struct lru){ .n_slots = slots, .row_size = row_size, .key_size = key_size, .limit = limit };
    TAILQ_INIT(&aged->ages[0]);
    TAILQ_INIT(&aged->ages[1]);
    aged->slots = calloc(slots, sizeof *aged->slots);
    if (!aged->slots) {
        free(aged);
        return NULL;
    }
    return aged;
}

static void lru_forget(struct lru *aged, struct entry *entry)
{
    LIST_REMOVE(entry, chain);
    TAILQ_REMOVE(&aged->ages[entry->high], entry, age);
    aged->n--;
    free(entry);
}

static void forget_beyond(struct lru *aged, size_t limit)
{
    while (aged->n > limit)
        lru_forget(aged, TAILQ_FIRST(&aged->ages[TAILQ_EMPTY(&aged->ages[0])]));
}

void lru_free(struct lru *aged)
{
    if (!aged)
        return;
    forget_beyond(aged, 0);
    free(aged->slots);
    free(aged);
}

size_t lru_count(const struct lru *aged)
{
    return aged->n;
}

void lru_limit(struct lru *aged, size_t limit)
{
    aged->limit = limit;
    forget_beyond(aged, limit);
}

static uint32_t hash_of(const struct lru *aged, const void *key)
{
    return (uint32_t)hash_bytes(HASH_BEGIN, bytes_of(key, aged->key_size));
}

static struct chain *chain_of(const struct lru *aged, uint32_t hash)
{
    return &aged->slots[hash & (uint32_t)(aged->n_slots - 1)];
}

static struct entry *find(const struct lru *aged, const void *key, uint32_t hash)
{
    struct entry *entry;

    LIST_FOREACH (entry, chain_of(aged, hash), chain)
        if (entry->hash == hash && memcmp(entry->row, key, aged->key_size) == 0)
            return entry;
    return NULL;
}

static void move(struct lru *aged, struct entry *entry, bool high)
{
    TAILQ_REMOVE(&aged->ages[entry->high], entry, age);
    entry->high = high;
    TAILQ_INSERT_TAIL(&aged->ages[high], entry, age);
}

void *lru_note(struct lru *aged, const void *key, bool high)
{
    uint32_t hash = hash_of(aged, key);
    struct entry *entry = find(aged, key, hash);

    if (entry) {
        move(aged, entry, entry->high || high);
        return entry->row;
    }
    bool full = aged->n >= aged->limit;
    if (aged->limit == 0 || (full && !high && TAILQ_EMPTY(&aged->ages[0])))
        return NULL;
    entry = calloc(1, sizeof *entry + aged->row_size);
    if (!entry)
        return NULL;
    forget_beyond(aged, aged->limit - 1);
    entry->hash = hash;
    entry->high = high;
    memcpy(entry->row, key, aged->key_size);
    LIST_INSERT_HEAD(chain_of(aged, hash), entry, chain);
    TAILQ_INSERT_TAIL(&aged->ages[high], entry, age);
    aged->n++;
    return entry->row;
}

void *lru_find(const struct lru *aged, const void *key)
{
    struct entry *entry = find(aged, key, hash_of(aged, key));

    return entry ? entry->row : NULL;
}

/* The entry around a row that was handed out. */
static struct entry *entry_of(const void *row)
{
    return (struct entry *)(uintptr_t)((const char *)row - offsetof(struct entry, row));
}

void *lru_next(const struct lru *aged, bool high, const void *row)
{
    struct entry *entry = row ? TAILQ_NEXT(entry_of(row), age) : TAILQ_FIRST(&aged->ages[high]);

    return entry ? entry->row : NULL;
}
