/**
 * The pairs of hosts_file, where a target chooses certificates by host name.
 */
#ifndef PGSEAL_RENEW_HOSTS_H
#define PGSEAL_RENEW_HOSTS_H

#include "base/err.h"

struct arena;

/** A line. Texts live in the arena. */
struct renew_host {
    struct str pair; /* its name: that of the certificate's file without .crt, the same for the same file */
    const char *cert, *key; /* absolute */
    bool any;               /* of HOSTS_ANY: whatever name is asked for */
    const char *name;       /* to ask for; "": none */
};

struct renew_hosts {
    struct renew_host *at;
    size_t n;
};

/**
 * Read the file; one that is not there has none.
 *
 * dir  where relative paths in it begin.
 * E_CONFIG with the first bad line.
 */
MUST_CHECK enum code renew_hosts_read(const char *path, const char *dir, struct arena *arena,
                                      struct renew_hosts *out, struct err *e);
/** The i-th host of a certificate's file, from 0; NULL after the last. */
const struct renew_host *renew_hosts_of(const struct renew_hosts *hosts, const char *cert, size_t i);

#endif
