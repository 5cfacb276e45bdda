/* A hash table with an order of age. */
#include "gate/tally.h"

#include "base/arena.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

enum { TALLY_SLOTS = 512 /* a power of two */ };

struct entry {
    struct tally_row row;
    uint32_t hash;
    LIST_ENTRY(entry) chain;
    TAILQ_ENTRY(entry) age;
};

struct tally {
    LIST_HEAD(, entry) slots[TALLY_SLOTS];
    TAILQ_HEAD(entry_list, entry) ages[2]; /* by kind, the latest first */
    size_t n[2];
};

struct tally *tally_new(void)
{
    struct tally *t = calloc(1, sizeof *t);

    if (!t)
        return NULL;
    TAILQ_INIT(&t->ages[TALLY_FAILURE]);
    TAILQ_INIT(&t->ages[TALLY_CLIENT]);
    return t;
}

static void forget(struct tally *t, struct entry *entry)
{
    LIST_REMOVE(entry, chain);
    TAILQ_REMOVE(&t->ages[entry->row.kind], entry, age);
    t->n[entry->row.kind]--;
    free(entry);
}

void tally_free(struct tally *tally)
{
    struct entry *entry;

    for (int kind = 0; tally && kind < 2; kind++)
        while ((entry = TAILQ_FIRST(&tally->ages[kind])) != NULL)
            forget(tally, entry);
    free(tally);
}

/* ---- keys ---- */

/* FNV-1a: the table is bounded, so chains are short whoever chooses the names. */
static uint32_t hash_text(uint32_t hash, const char *text)
{
    for (; *text; text++)
        hash = (hash ^ (uint8_t)*text) * 16777619u;
    return (hash ^ 0xFF) * 16777619u;
}

static uint32_t hash_of(const struct tally_row *row)
{
    uint32_t hash = hash_text(2166136261u ^ (uint32_t)row->kind, row->address);

    if (row->kind == TALLY_FAILURE)
        return hash_text(hash, row->cause);
    return hash_text(hash_text(hash, row->user), row->application);
}

static bool same_key(const struct tally_row *a, const struct tally_row *b)
{
    if (a->kind != b->kind || strcmp(a->address, b->address) != 0)
        return false;
    if (a->kind == TALLY_FAILURE)
        return strcmp(a->cause, b->cause) == 0;
    return strcmp(a->user, b->user) == 0 && strcmp(a->application, b->application) == 0;
}

/* ---- rows ---- */

/* "TLSv1" < "TLSv1.1" < …: the names sort as the versions do. */
static const char *weaker(const char *a, const char *b)
{
    if (!*a || !*b)
        return *a ? a : b;
    return strcmp(a, b) < 0 ? a : b;
}

int64_t tally_span_of(int64_t unix_us)
{
    return unix_us / 1000000 / TALLY_SPAN_S;
}

void tally_spans_add(struct tally_spans *to, const struct tally_spans *from)
{
    struct tally_spans sum = { .last = to->last > from->last ? to->last : from->last };

    for (size_t i = 0; i < TALLY_SPANS; i++) {
        uint64_t of_to = (uint64_t)(sum.last - to->last) + i, of_from = (uint64_t)(sum.last - from->last) + i;
        if (of_to < TALLY_SPANS)
            sum.counts[of_to] += to->counts[i];
        if (of_from < TALLY_SPANS)
            sum.counts[of_from] += from->counts[i];
    }
    *to = sum;
}

static void merge(struct tally_row *row, const struct tally_row *seen)
{
    struct tally_row before = *row;

    if (seen->last_us >= before.last_us)
        *row = *seen; /* the last time tells most */
    row->count = before.count + seen->count;
    row->plaintext = before.plaintext + seen->plaintext;
    row->direct = before.direct || seen->direct;
    row->first_us = before.first_us < seen->first_us ? before.first_us : seen->first_us;
    row->spans = before.spans;
    tally_spans_add(&row->spans, &seen->spans);
    if (row->kind == TALLY_CLIENT)
        row->tls_version = weaker(before.tls_version, seen->tls_version);
}

void tally_note(struct tally *tally, const struct tally_row *seen, bool limits)
{
    const size_t max = seen->kind == TALLY_FAILURE ? TALLY_FAILURES_MAX : TALLY_CLIENTS_MAX;
    uint32_t hash = hash_of(seen);
    struct entry *entry;

    LIST_FOREACH (entry, &tally->slots[hash & (TALLY_SLOTS - 1)], chain)
        if (entry->hash == hash && same_key(&entry->row, seen))
            break;
    if (entry) {
        merge(&entry->row, seen);
        TAILQ_REMOVE(&tally->ages[seen->kind], entry, age);
        TAILQ_INSERT_HEAD(&tally->ages[seen->kind], entry, age);
        return;
    }
    if (limits && tally->n[seen->kind] == max)
        forget(tally, TAILQ_LAST(&tally->ages[seen->kind], entry_list));
    entry = malloc(sizeof *entry);
    if (!entry)
        return;
    entry->row = *seen;
    entry->hash = hash;
    LIST_INSERT_HEAD(&tally->slots[hash & (TALLY_SLOTS - 1)], entry, chain);
    TAILQ_INSERT_HEAD(&tally->ages[seen->kind], entry, age);
    tally->n[seen->kind]++;
}

bool tally_copy(const struct tally *tally, struct arena *arena, const struct tally_row **out, size_t *out_n)
{
    struct tally_row *rows = arena_array(arena, tally->n[0] + tally->n[1], sizeof *rows);
    const struct entry *entry;
    size_t n = 0;

    if (!rows)
        return false;
    for (int kind = 0; kind < 2; kind++)
        TAILQ_FOREACH (entry, &tally->ages[kind], age)
            rows[n++] = entry->row;
    *out = rows;
    *out_n = n;
    return true;
}
