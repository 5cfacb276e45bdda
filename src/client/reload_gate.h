/**
 * Reload a running gate, and get the result.
 *
 * The gate is asked in its status database, over a Unix-domain socket: there its own account and root are let
 * in, and pg_reload_conf() tells in a notice what a signal could not.
 */
#ifndef PGSEAL_CLIENT_RELOAD_GATE_H
#define PGSEAL_CLIENT_RELOAD_GATE_H

#include "client/login.h"

struct arena;
struct settings;

/** What the gate said. */
struct reload_answer {
    struct server_error told; /* the last notice or error; texts live in the arena */
    bool loaded;              /* the files are in force */
    bool refused;             /* they are not, what was in force stays */
};

/**
 * settings  of the gate's directory: where it listens.
 * Neither loaded nor refused: the gate did not carry it out, `told` says why. Blocks for up to a minute.
 * E_CONNECT, E_ACCESS, E_PROTOCOL.
 */
MUST_CHECK enum code reload_gate(const struct settings *settings, struct arena *arena,
                                 struct reload_answer *out, struct err *e);

#endif
