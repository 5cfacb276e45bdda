/**
 * What pg_hosts.conf makes of a connection that `pgseal explain` is asked about.
 */
#ifndef PGSEAL_CMD_EXPLAIN_HOST_H
#define PGSEAL_CMD_EXPLAIN_HOST_H

#include "base/err.h"

struct arena;
struct settings;

/** Texts; empty where there is nothing to say. */
struct explain_host {
    struct str refuses_tls; /* no line is for the client */
    struct str signed_by;   /* who has to have signed the client's certificate */
    struct str refuses_certificate;
};

/** `signed_by` where one pair serves all. */
extern const struct str explain_host_common;

/**
 * Find the line that serves a client.
 *
 * settings  borrowed; NULL: none are known.
 * sni       the host name that it asks for, empty for none; p == NULL: not known.
 * arena     borrowed; owns the texts.
 * out       set on OK.
 *
 * E_CONFIG and kin: the file cannot be read, `e` says why. E_NOMEM.
 */
MUST_CHECK enum code explain_host_find(const struct settings *settings, struct str sni, struct arena *arena,
                                       struct explain_host *out, struct err *e);

#endif
