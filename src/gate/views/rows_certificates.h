/**
 * Rows about certificates and revocation lists: the files in use, and whether the wire shows the same.
 */
#ifndef PGSEAL_GATE_VIEWS_ROWS_CERTIFICATES_H
#define PGSEAL_GATE_VIEWS_ROWS_CERTIFICATES_H

#include "gate/views/rows.h"

MUST_CHECK enum code rows_make_certificates(struct rows *rows, struct rows_list *out, struct err *e);

#endif
