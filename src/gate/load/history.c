/* A ring of rows. */
#include "gate/load/history.h"

struct history_row *history_add(struct history *history, int64_t at_us, unsigned generation,
                                const char *trigger, const char *result)
{
    struct history_row *row = &history->rows[history->n++ % HISTORY_MAX];

    *row = (struct history_row){
        .at_us = at_us, .generation = generation, .trigger = trigger, .result = result
    };
    return row;
}

size_t history_count(const struct history *history)
{
    return history->n < HISTORY_MAX ? history->n : HISTORY_MAX;
}

const struct history_row *history_at(const struct history *history, size_t index)
{
    size_t first = history->n < HISTORY_MAX ? 0 : history->n;

    return &history->rows[(first + index) % HISTORY_MAX];
}
