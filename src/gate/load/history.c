/* A ring of rows. */
#include "gate/load/history.h"

#include "base/check.h"

#include <stdio.h>
#include <string.h>

/* Every trigger and every result. */
static const char *const words[] = {
    "start",  "SIGHUP",  "pg_reload_conf", "certificates changed", "files replaced", "upgrade",
    "loaded", "refused", "restored",
};

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

void history_save(const struct history_row *row, struct history_saved *out)
{
    *out = (struct history_saved){ .at_us = row->at_us, .generation = row->generation, .line = row->line };
    (void)snprintf(out->trigger, sizeof out->trigger, "%s", row->trigger);
    (void)snprintf(out->result, sizeof out->result, "%s", row->result);
    (void)snprintf(out->file, sizeof out->file, "%s", row->file);
    (void)snprintf(out->error, sizeof out->error, "%s", row->error);
}

/* The one of ours that reads the same. */
static const char *word_of(const char *text, size_t size)
{
    for (size_t i = 0; i < COUNT_OF(words); i++)
        if (strncmp(words[i], text, size) == 0)
            return words[i];
    return "";
}

void history_restore(struct history *history, const struct history_saved *saved)
{
    const char *trigger = word_of(saved->trigger, sizeof saved->trigger);
    struct history_row *row = history_add(history, saved->at_us, saved->generation, trigger,
                                          word_of(saved->result, sizeof saved->result));

    row->line = saved->line;
    (void)snprintf(row->file, sizeof row->file, "%.*s", (int)sizeof saved->file, saved->file);
    (void)snprintf(row->error, sizeof row->error, "%.*s", (int)sizeof saved->error, saved->error);
}
