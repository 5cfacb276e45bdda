/**
 * Whom a gate has seen, as evidence for a rollover.
 */
#ifndef PGSEAL_CMD_CA_ROLLOVER_SEEN_H
#define PGSEAL_CMD_CA_ROLLOVER_SEEN_H

#include "renew/rollover_ready.h"

struct gate_rows;
struct settings;

/** The statement; its rows are what rollover_clients_of() reads. */
extern const char rollover_clients_sql[];

/** Rows as clients. E_PROTOCOL: they are not those of the statement. E_NOMEM. */
MUST_CHECK enum code rollover_clients_of(const struct gate_rows *rows, struct arena *arena,
                                         struct rollover_client **out, struct err *e);
/**
 * Ask the gate.
 *
 * settings  of its directory.
 * E_CONNECT: it does not run. E_UNSUPPORTED: it is of a version that keeps no such evidence. E_ACCESS, E_PROTOCOL.
 */
MUST_CHECK enum code rollover_clients_ask(const struct settings *settings, struct arena *arena,
                                          struct rollover_client **out, size_t *out_n, struct err *e);
/**
 * Read what a gate that is not asked has left in its state directory.
 *
 * out_as_of_unix_s  when the file was last written.
 * E_NO_FILE: there is none. Otherwise as client_store_load().
 */
MUST_CHECK enum code rollover_clients_load(const struct settings *settings, struct arena *arena,
                                           struct rollover_client **out, size_t *out_n,
                                           int64_t *out_as_of_unix_s, struct err *e);

#endif
