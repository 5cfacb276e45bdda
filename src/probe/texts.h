/**
 * Lists of texts in a report, as they grow.
 */
#ifndef PGSEAL_PROBE_TEXTS_H
#define PGSEAL_PROBE_TEXTS_H

#include "probe/probe_run.h"

/** A growing list of texts. */
MUST_CHECK enum code probe_texts_add(struct probe_run *run, struct str_list_of *list, struct str text,
                                     struct err *e);

#endif
