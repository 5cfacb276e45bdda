#include "status/file_rows.h"

#include "conf/hosts_file.h"
#include "policy/policy.h"

/* Texts and lists whose pointer is NULL are NULL. */
static struct cell text(struct str s)
{
    return s.p ? cell_text(s) : (struct cell){ .kind = CELL_NULL };
}

static struct cell texts(struct str_list list)
{
    return list.items ? cell_texts(list.items, list.n) : (struct cell){ .kind = CELL_NULL };
}

static struct cell number(unsigned n)
{
    return n ? cell_int(n) : (struct cell){ .kind = CELL_NULL };
}

void file_row_hba(const struct hba_row *row, struct row_pg_hba_file_rules *out)
{
    *out = (struct row_pg_hba_file_rules){
        .rule_number = number(row->rule_number),
        .file_name = text(row->file_name),
        .line_number = cell_int(row->line_number),
        .type = text(row->type),
        .database = texts(row->database),
        .user_name = texts(row->user_name),
        .address = text(row->address),
        .netmask = text(row->netmask),
        .auth_method = text(row->auth_method),
        .options = texts(row->options),
        .error = text(row->error),
    };
}

void file_row_ident(const struct ident_row *row, struct row_pg_ident_file_mappings *out)
{
    *out = (struct row_pg_ident_file_mappings){
        .map_number = number(row->map_number),
        .file_name = text(row->file_name),
        .line_number = cell_int(row->line_number),
        .map_name = text(row->map_name),
        .sys_name = text(row->sys_name),
        .pg_username = text(row->pg_username),
        .error = text(row->error),
    };
}

void file_row_host(const struct host_line *line, unsigned entry, struct row_pgseal_hosts *out)
{
    *out = (struct row_pgseal_hosts){
        .file_name = text(line->file),
        .line_number = cell_int(line->line),
        .error = text(line->error),
    };
    if (line->error.p)
        return;
    out->host_number = number(entry);
    out->hostnames = cell_texts(line->names, line->n_names);
    out->ssl_cert = text(line->cert);
    out->ssl_key = text(line->key);
    out->ssl_ca = text(line->ca);
    out->passphrase_command = text(line->command);
    out->passphrase_command_reload = cell_bool(line->command_reloads);
}
