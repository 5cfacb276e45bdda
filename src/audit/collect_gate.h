/**
 * A gate's directory as the subject of an audit.
 */
#ifndef PGSEAL_AUDIT_COLLECT_GATE_H
#define PGSEAL_AUDIT_COLLECT_GATE_H

#include "base/err.h"

struct arena;
struct collect_source;
struct collected;

/**
 * Read DIR/pgseal.conf and all that it names, as the gate's next start would.
 *
 * source  its path is the directory, as written by the user.
 * arena   borrowed; owns what is found.
 * out     set on OK. Settings and rules that are refused are part of the subject.
 *
 * E_NO_FILE, E_ACCESS and kin: the settings cannot be read; E_NOMEM.
 */
MUST_CHECK enum code collect_gate(const struct collect_source *source, struct arena *arena,
                                  struct collected *out, struct err *e);

#endif
