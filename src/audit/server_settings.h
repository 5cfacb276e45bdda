/**
 * A server's settings as `struct settings`: those that a gate has under the same name, with the server's own
 * defaults.
 */
#ifndef PGSEAL_AUDIT_SERVER_SETTINGS_H
#define PGSEAL_AUDIT_SERVER_SETTINGS_H

#include "audit/subject.h"

struct arena;
struct settings;

/**
 * Mark of several lines for one name the one that counts: the last of the strongest source.
 * [src: PostgreSQL 18, "Setting Parameters"; guc.c, GucSource]
 */
MUST_CHECK enum code server_settings_rank(struct subject_setting *raw, size_t n, struct arena *arena);

/**
 * Make the settings of what is in force.
 *
 * raw      ranked. A value that a server would refuse gets its `error` and does not count.
 * subject  `version` and `dir` are read; `raw`, `n_raw`, `settings`, `settings_seen` and what is broken are set.
 * out      returned to the caller.
 *
 * E_NOMEM; E_CONFIG: something is wrong that is in no line.
 */
MUST_CHECK enum code server_settings_make(struct subject_setting *raw, size_t n,
                                          struct audit_subject *subject, struct arena *arena,
                                          struct settings **out);

/** A gate's settings with nothing written: for a subject whose own were not seen. */
MUST_CHECK enum code server_settings_none(struct str dir, struct arena *arena, struct settings **out);

#endif
