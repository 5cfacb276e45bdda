/**
 * Lines of pg_hba.conf, pg_ident.conf and pg_hosts.conf as rows of their views: for SQL, and for `pgseal hba`,
 * `pgseal ident` and `pgseal hosts`.
 */
#ifndef PGSEAL_STATUS_FILE_ROWS_H
#define PGSEAL_STATUS_FILE_ROWS_H

#include "status/rows.h"

struct hba_row;
struct host_line;
struct ident_row;

/** Texts stay borrowed from `row`. */
void file_row_hba(const struct hba_row *row, struct row_pg_hba_file_rules *out);
void file_row_ident(const struct ident_row *row, struct row_pg_ident_file_mappings *out);
/** number  from 1; of a bad line it does not count. */
void file_row_host(const struct host_line *line, unsigned number, struct row_pgseal_hosts *out);

#endif
