/**
 * What a start needs beside files that load, asked without leaving a trace: for `serve --check`.
 */
#ifndef PGSEAL_GATE_STEWARD_REHEARSE_H
#define PGSEAL_GATE_STEWARD_REHEARSE_H

#include "base/err.h"

struct settings;

/** Can the gate's own files be written in `dir`? The code and words that opening them would fail with, and what
 * to do about it. */
MUST_CHECK enum code rehearse_state(const char *dir, struct err *e);
/**
 * Everything that serve would do after the load, up to its first listener: its own files, addresses, socket
 * directories. A gate that runs on these files holds its addresses itself: they are not tried then. Complaints
 * are appended to `diags`; the code of the first.
 */
MUST_CHECK enum code rehearse_start(const struct settings *settings, struct diags *diags);

#endif
