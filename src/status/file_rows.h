/**
 * Lines of pg_hba.conf and pg_ident.conf as rows of their views: for SQL, and for `pgseal hba` and `pgseal ident`.
 */
#ifndef PGSEAL_STATUS_FILE_ROWS_H
#define PGSEAL_STATUS_FILE_ROWS_H

#include "status/rows.h"

struct hba_row;
struct ident_row;

/** Texts stay borrowed from `row`. */
void file_row_hba(const struct hba_row *row, struct row_pg_hba_file_rules *out);
void file_row_ident(const struct ident_row *row, struct row_pg_ident_file_mappings *out);

#endif
