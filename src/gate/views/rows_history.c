#include "gate/views/rows_history.h"

#include "gate/load/history.h"
#include "gate/views/rows.h"
#include "gate/work/sql_thread.h"
#include "gate/work/worker.h"

#include <stdlib.h>

struct asked {
    const struct gate_shared *shared;
    struct history history; /* a copy */
};

static void answer(void *arg, size_t loop)
{
    struct asked *asked = arg;

    (void)loop;
    asked->history = *asked->shared->history;
}

static bool rows_history_fill(struct arena *arena, const struct history_row *from,
                              struct row_pgseal_generations *out)
{
    struct str file, error;

    if (!arena_str(arena, str_c(from->file), &file) || !arena_str(arena, str_c(from->error), &error))
        return false;
    out->generation = cell_int(from->generation);
    out->loaded_at = cell_int(from->at_us);
    out->trigger = cell_c(from->trigger);
    out->result = cell_c(from->result);
    out->file_name = cell_text_or_null(file);
    if (from->line > 0)
        out->line_number = cell_int(from->line);
    out->error = cell_text_or_null(error);
    return true;
}

struct wanted {
    struct rows *rows;
    struct rows_list *out;
    bool done;
};

static void rows_history_keep(void *arg, void *out)
{
    const struct asked *asked = arg;
    struct wanted *wanted = out;
    size_t n = history_count(&asked->history);

    wanted->out->at = arena_array(&wanted->rows->arena, n, sizeof(union view_row));
    wanted->done = wanted->out->at != NULL;
    for (size_t i = 0; wanted->done && i < n; i++)
        wanted->done = rows_history_fill(&wanted->rows->arena, history_at(&asked->history, i),
                                         &wanted->out->at[i].pgseal_generations);
    wanted->out->n = n;
}

enum code rows_make_generations(struct rows *rows, struct rows_list *out, struct err *e)
{
    struct asked *asked = calloc(1, sizeof *asked);
    struct wanted wanted = { .rows = rows, .out = out };

    if (!asked)
        return err_set(e, E_NOMEM, "out of memory");
    asked->shared = rows->shared;
    const struct question question = {
        .loops = &rows->shared->steward, .n_loops = 1, .answer = answer, .release = free, .arg = asked
    };
    if (!sql_thread_ask(rows->shared->sql, &question, rows_history_keep, &wanted))
        return err_set(e, E_UNAVAILABLE, "the history of reloads could not be read now");
    return wanted.done ? OK : err_set(e, E_NOMEM, "out of memory");
}
