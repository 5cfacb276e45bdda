/* Buckets of thousandths. */
#include "net/rate.h"

#include "base/lru.h"

#include <stdlib.h>

enum { ROWS_MAX = 4096, SLOTS = 1024, ONE = 1000 };

struct row {
    struct prefix prefix;
    bool known;
    int64_t left; /* thousandths */
    int64_t at_ms;
    uint64_t refused;
};

struct rate {
    struct lru *rows;
    int64_t burst, per_s;
};

struct rate *rate_new(unsigned burst, unsigned per_s)
{
    struct rate *rate = calloc(1, sizeof *rate);

    if (!rate)
        return NULL;
    *rate = (struct rate){ .burst = burst, .per_s = per_s };
    rate->rows = lru_new(SLOTS, sizeof(struct row), sizeof(struct prefix), ROWS_MAX);
    if (rate->rows)
        return rate;
    free(rate);
    return NULL;
}

void rate_free(struct rate *rate)
{
    if (!rate)
        return;
    lru_free(rate->rows);
    free(rate);
}

void rate_set(struct rate *rate, unsigned burst, unsigned per_s)
{
    rate->burst = burst;
    rate->per_s = per_s;
}

/* A thousandth a millisecond for each that there may be in a second. */
static int64_t left_now(const struct rate *rate, const struct row *row, int64_t now_ms)
{
    int64_t left = row->known ? row->left + (now_ms - row->at_ms) * rate->per_s : rate->burst * ONE;

    return left < rate->burst * ONE ? left : rate->burst * ONE;
}

bool rate_take(struct rate *rate, const struct prefix *prefix, int64_t now_ms)
{
    const struct prefix site = prefix_site(prefix);
    struct row *row = lru_note(rate->rows, &site, false);

    if (!row)
        return false;
    row->left = left_now(rate, row, now_ms);
    row->known = true;
    row->at_ms = now_ms;
    if (row->left < ONE) {
        row->refused++;
        return false;
    }
    row->left -= ONE;
    return true;
}

void rate_each(const struct rate *rate, int64_t now_ms,
               void (*each)(void *arg, const struct prefix *prefix, const struct rate_count *count),
               void *arg)
{
    for (const struct row *row = lru_next(rate->rows, false, NULL); row;
         row = lru_next(rate->rows, false, row)) {
        int64_t taken = rate->burst - left_now(rate, row, now_ms) / ONE;
        const struct rate_count count = { taken > 0 ? (uint64_t)taken : 0, row->refused };
        each(arg, &row->prefix, &count);
    }
}
