/**
 * Endpoints as people write them.
 */
#ifndef PGSEAL_PROBE_TARGET_H
#define PGSEAL_PROBE_TARGET_H

#include "client/pasted_words.h"
#include "probe/probe.h"

struct arena;

/**
 * HOST, HOST:PORT, [V6], [V6]:PORT, V6, /DIR, /DIR:PORT, a libpq connection string or URI with one host.
 *
 * arena  receives what has to be composed; `out` borrows from `text` besides.
 * E_PARAM.
 */
MUST_CHECK enum code probe_target_parse(struct str text, struct arena *arena, struct probe_target *out,
                                        struct err *e);
/** The same as `driver` reads it, where the text itself does not tell whose it is. */
MUST_CHECK enum code probe_target_parse_for(struct str text, enum pasted_driver driver, struct arena *arena,
                                            struct probe_target *out, struct err *e);

#endif
