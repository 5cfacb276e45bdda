/**
 * What `pgseal explain` reads: rules and maps, and which line of pg_hosts.conf serves the client.
 */
#ifndef PGSEAL_CMD_EXPLAIN_LOAD_H
#define PGSEAL_CMD_EXPLAIN_LOAD_H

#include "base/err.h"

struct cmd;
struct explain_host;
struct policy;

/**
 * Read what the options name. Returns -1 to go on, else the exit status (what is wrong has been said).
 *
 * sni       as of explain_host_find().
 * diags     borrowed; its arena owns the texts of `out_host`.
 * out       one reference, returned to the caller.
 */
int explain_load(const struct cmd *cmd, struct str sni, struct policy **out, struct explain_host *out_host,
                 struct diags *diags);

#endif
