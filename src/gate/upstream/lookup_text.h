/**
 * What a server writes for times and truths, read.
 */
#ifndef PGSEAL_GATE_UPSTREAM_LOOKUP_TEXT_H
#define PGSEAL_GATE_UPSTREAM_LOOKUP_TEXT_H

#include "base/slice.h"

/** A timestamptz in ISO style, or "infinity" and "-infinity" (*out_finite false). False: it is none. */
bool lookup_read_time(struct str text, bool *out_finite, int64_t *out_us);
/** "t", "f", "true", "false". False: it is none of them. */
bool lookup_read_bool(struct str text, bool *out);

#endif
