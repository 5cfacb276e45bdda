/**
 * Lists of texts in a report, as they grow.
 */
#ifndef PGSEAL_PROBE_TEXTS_H
#define PGSEAL_PROBE_TEXTS_H

#include "probe/look.h"

/** A growing list of texts. */
MUST_CHECK enum code look_add(struct look *look, struct str_list_of *list, struct str text, struct err *e);

#endif
