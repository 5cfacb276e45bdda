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

bool rate_take(struct rate *rate, const struct prefix *prefix, int64_t now_ms)
{
    const struct prefix site = prefix_site(prefix);
    struct row *row = lru_note(rate->rows, &site, false);

    if (!row)
        return false;
    /* A thousandth a millisecond for each that there may be in a second. */
    row->left = row->known ? row->left + (now_ms - row->at_ms) * rate->per_s : rate->burst * ONE;
    if (row->left > rate->burst * ONE)
        row->left = rate->burst * ONE;
    row->known = true;
    row->at_ms = now_ms;
    if (row->left < ONE)
        return false;
    row->left -= ONE;
    return true;
}
