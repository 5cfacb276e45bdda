/* pgseal hosts FILE: the rows of pgseal_hosts. */
#include "base/arena.h"
#include "base/check.h"
#include "cmd/cmd.h"
#include "cmd/usage.h"
#include "cmd/view_out.h"
#include "conf/hosts_file.h"
#include "lex/hba_lex.h"
#include "status/file_rows.h"

#define ROWS_ARENA_MAX ((size_t)1 << 30)
enum { ROWS_ARENA_FIRST = 16 * 1024 };

int cmd_hosts(struct cmd *cmd)
{
    AUTO(arena) struct arena arena;
    const struct hba_lex_params lex = { 0 };
    struct hba_lines lines;
    struct host_lines hosts;
    struct err e = { .code = OK };
    unsigned number = 0;

    arena_init(&arena, ROWS_ARENA_MAX, ROWS_ARENA_FIRST);
    if (cmd->n_args != 1)
        return cmd_usage(cmd, "give exactly one file");
    enum code code = hosts_file_read(&lex, str_c(cmd->args[0]), &arena, &lines, &hosts, &e);
    union view_row *cells = code == OK ? arena_array(&arena, hosts.n, sizeof *cells) : NULL;
    if (!cells) {
        e.code = code == OK ? E_NOMEM : code;
        return cmd_error(cmd, &e);
    }
    for (size_t i = 0; i < hosts.n; i++)
        file_row_host(&hosts.at[i], number += !hosts.at[i].error.p, &cells[i].pgseal_hosts);
    if (cmd->json)
        view_out_json(cmd->out, VIEW_PGSEAL_HOSTS, cells, hosts.n);
    else
        view_out_table(cmd, VIEW_PGSEAL_HOSTS, cells, hosts.n);
    if (hosts.n == 0)
        (void)fputs("pgseal: the file contains no entries, so ssl_cert_file is served to everybody\n",
                    cmd->err);
    return hosts.n_bad > 0 ? EXIT_FINDING : EXIT_FINE;
}
