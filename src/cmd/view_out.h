/**
 * Rows of a view (tables/views.def) on standard output: as JSON or as a text table. And JSON texts as such.
 */
#ifndef PGSEAL_CMD_VIEW_OUT_H
#define PGSEAL_CMD_VIEW_OUT_H

#include "cmd/cmd.h"
#include "status/rows.h"

#include <stdio.h>

/**
 * A JSON string with its quotes. Bytes that are not ASCII pass through as they are, also where they are not
 * UTF-8: the files we report on have no encoding, and Jansson would refuse them.
 */
void json_text(FILE *out, struct str text);

/** An array of objects with exactly the view's columns; `[]` for no rows. */
void view_out_json(FILE *out, enum view view, const union view_row *rows, size_t n);
/**
 * Columns side by side under their names, control bytes as \xNN, NULL as nothing; a column "error" in colour
 * where the command wants colours.
 */
void view_out_table(const struct cmd *cmd, enum view view, const union view_row *rows, size_t n);

#endif
