/**
 * A gate's directory as the subject of an audit.
 */
#ifndef PGSEAL_AUDIT_COLLECT_GATE_H
#define PGSEAL_AUDIT_COLLECT_GATE_H

#include "base/err.h"

struct arena;
struct collected;

/**
 * Read DIR/pgseal.conf and all that it names, as the gate's next start would.
 *
 * dir    borrowed, as written by the user.
 * arena  borrowed; owns what is found.
 * out    set on OK. Rules that are refused are part of the subject.
 *
 * E_CONFIG, E_NO_FILE and kin: the settings are refused, diags says why; E_NOMEM.
 */
MUST_CHECK enum code collect_gate(const char *dir, int64_t now_unix_s, struct arena *arena,
                                  struct collected *out, struct diags *diags);

#endif
