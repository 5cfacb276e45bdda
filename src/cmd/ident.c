/* pgseal ident FILE: the rows of pg_ident_file_mappings. */
#include "base/arena.h"
#include "base/check.h"
#include "cmd/rules.h"
#include "cmd/usage.h"
#include "cmd/view_out.h"
#include "policy/rows.h"
#include "status/file_rows.h"

#define ROWS_ARENA_MAX ((size_t)1 << 30)
enum { ROWS_ARENA_FIRST = 16 * 1024 };

int cmd_ident(struct cmd *cmd)
{
    AUTO(arena) struct arena arena;
    struct policy_params params;
    struct ident_rows rows;
    struct err e = { .code = OK };

    arena_init(&arena, ROWS_ARENA_MAX, ROWS_ARENA_FIRST);
    int status = rules_params(cmd, cmd_value(cmd, OPT_ident_pg_version), &params);
    if (status >= 0)
        return status;
    if (cmd->n_args != 1)
        return cmd_usage(cmd, "give exactly one file");
    params.ident_file = str_c(cmd->args[0]);
    enum code code = policy_ident_rows(&params, &arena, &rows, NULL, &e);
    union view_row *cells = code == OK ? arena_array(&arena, rows.n, sizeof *cells) : NULL;
    if (!cells) {
        e.code = code == OK ? E_NOMEM : code;
        return cmd_error(cmd, &e);
    }
    for (size_t i = 0; i < rows.n; i++)
        file_row_ident(&rows.rows[i], &cells[i].pg_ident_file_mappings);
    if (cmd->json)
        view_out_json(cmd->out, VIEW_PG_IDENT_FILE_MAPPINGS, cells, rows.n);
    else
        view_out_table(cmd, VIEW_PG_IDENT_FILE_MAPPINGS, cells, rows.n);
    return rows.refused ? EXIT_FINDING : EXIT_FINE;
}
