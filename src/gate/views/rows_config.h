/**
 * Rows about settings and rules: those in force, those the files hold now, and what an audit says of them.
 */
#ifndef PGSEAL_GATE_VIEWS_ROWS_CONFIG_H
#define PGSEAL_GATE_VIEWS_ROWS_CONFIG_H

#include "gate/views/rows.h"

/** True for a setting that ordinary users may not see. */
bool rows_setting_hidden(const struct rows *rows, size_t index);
/** Make the rows of a view that is small and read from files or from the snapshot. */
MUST_CHECK enum code rows_make_settings(struct rows *rows, struct rows_list *out, struct err *e);
MUST_CHECK enum code rows_make_file_settings(struct rows *rows, struct rows_list *out, struct err *e);
MUST_CHECK enum code rows_make_hba(struct rows *rows, struct rows_list *out, struct err *e);
MUST_CHECK enum code rows_make_ident(struct rows *rows, struct rows_list *out, struct err *e);
MUST_CHECK enum code rows_make_hosts(struct rows *rows, struct rows_list *out, struct err *e);
MUST_CHECK enum code rows_make_rules(struct rows *rows, struct rows_list *out, struct err *e);
MUST_CHECK enum code rows_make_findings(struct rows *rows, struct rows_list *out, struct err *e);

#endif
