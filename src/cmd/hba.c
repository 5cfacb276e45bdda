/* pgseal hba FILE: the rows of pg_hba_file_rules. */
#include "base/arena.h"
#include "base/check.h"
#include "cmd/rules.h"
#include "cmd/usage.h"
#include "cmd/view_out.h"
#include "policy/rows.h"
#include "status/file_rows.h"

#define ROWS_ARENA_MAX ((size_t)1 << 30)
enum { ROWS_ARENA_FIRST = 16 * 1024 };

/** What PostgreSQL's view hides goes to standard error, and into the table only. */
static void tell_hidden(const struct cmd *cmd, const struct hba_row *row, struct row_pg_hba_file_rules *out)
{
    if (!row->hidden.p)
        return;
    (void)fprintf(cmd->err, "pgseal: %.*s:%u: %.*s\n", STR_ARG(row->file_name), row->line_number,
                  STR_ARG(row->hidden));
    if (!cmd->json)
        out->error = cell_text(row->hidden);
}

static int print_rows(const struct cmd *cmd, struct arena *arena, const struct hba_rows *rows)
{
    union view_row *cells = arena_array(arena, rows->n, sizeof *cells);

    if (!cells)
        return cmd_error(cmd, &(struct err){ .code = E_NOMEM });
    for (size_t i = 0; i < rows->n; i++) {
        file_row_hba(&rows->rows[i], &cells[i].pg_hba_file_rules);
        tell_hidden(cmd, &rows->rows[i], &cells[i].pg_hba_file_rules);
    }
    if (cmd->json)
        view_out_json(cmd->out, VIEW_PG_HBA_FILE_RULES, cells, rows->n);
    else
        view_out_table(cmd, VIEW_PG_HBA_FILE_RULES, cells, rows->n);
    if (rows->n == 0)
        (void)fputs("pgseal: the file contains no entries, so a server would not load it\n", cmd->err);
    return rows->refused ? EXIT_FINDING : EXIT_FINE;
}

int cmd_hba(struct cmd *cmd)
{
    AUTO(arena) struct arena arena;
    struct policy_params params;
    struct hba_rows rows;
    struct err e = { .code = OK };

    arena_init(&arena, ROWS_ARENA_MAX, ROWS_ARENA_FIRST);
    int status = rules_params(cmd, cmd_value(cmd, OPT_hba_pg_version), &params);
    if (status >= 0)
        return status;
    if (cmd->n_args != 1)
        return cmd_usage(cmd, "give exactly one file");
    params.hba_file = str_c(cmd->args[0]);
    enum code code = policy_hba_rows(&params, &arena, &rows, NULL, &e);
    if (code != OK) {
        e.code = code;
        return cmd_error(cmd, &e);
    }
    return print_rows(cmd, &arena, &rows);
}
