/**
 * Rows about sessions, from their copies.
 */
#ifndef PGSEAL_GATE_VIEWS_ROWS_SESSIONS_H
#define PGSEAL_GATE_VIEWS_ROWS_SESSIONS_H

#include "gate/views/rows.h"

struct session_card;

/** Order the cards of the gathering. */
MUST_CHECK enum code rows_sort_cards(struct rows *rows, struct err *e);
void rows_fill_ssl(const struct session_card *card, struct row_pg_stat_ssl *out);
void rows_fill_activity(const struct session_card *card, struct row_pg_stat_activity *out);
void rows_fill_gssapi(const struct session_card *card, struct row_pg_stat_gssapi *out);
void rows_fill_sessions(struct rows *rows, const struct session_card *card, struct row_pgseal_sessions *out);

#endif
