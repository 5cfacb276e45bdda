/* Failures by cause and address. */
#include "gate/stats/tally.h"

#include "base/arena.h"
#include "base/lru.h"

#include <stdlib.h>

enum { TALLY_SLOTS = 512 };

struct tally {
    struct lru *rows;
};

struct tally *tally_new(size_t limit)
{
    struct tally *t = calloc(1, sizeof *t);

    if (!t)
        return NULL;
    t->rows = lru_new(TALLY_SLOTS, sizeof(struct tally_row), sizeof(struct tally_key), limit);
    if (t->rows)
        return t;
    free(t);
    return NULL;
}

void tally_free(struct tally *tally)
{
    if (!tally)
        return;
    lru_free(tally->rows);
    free(tally);
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
    row->first_us = before.first_us < seen->first_us ? before.first_us : seen->first_us;
    row->spans = before.spans;
    tally_spans_add(&row->spans, &seen->spans);
}

void tally_note(struct tally *tally, const struct tally_row *seen)
{
    struct tally_row *row = lru_note(tally->rows, &seen->key, false);

    if (row && row->count == 0)
        *row = *seen;
    else if (row)
        merge(row, seen);
}

bool tally_copy(const struct tally *tally, struct arena *arena, const struct tally_row **out, size_t *out_n)
{
    size_t n = lru_count(tally->rows);
    struct tally_row *rows = arena_array(arena, n, sizeof *rows);
    const struct tally_row *row = NULL;

    if (!rows)
        return false;
    *out_n = n;
    while ((row = lru_next(tally->rows, false, row)) != NULL)
        rows[--n] = *row;
    *out = rows;
    return true;
}
