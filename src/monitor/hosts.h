/**
 * Certificates by host name: the lines of hosts_file, of a gate or of PostgreSQL 19.
 */
#ifndef PGSEAL_MONITOR_HOSTS_H
#define PGSEAL_MONITOR_HOSTS_H

#include "conf/hosts_file.h"
#include "monitor/ask.h"

enum { MONITOR_HOSTS_ASKED = 512 }; /* by name, of one target [choice: a look must not be a flood] */

struct monitor_hosts {
    bool on;               /* ssl_sni */
    const char *path;      /* of hosts_file; NULL: none */
    const char *directory; /* where relative paths in it begin */
};

/** Its lines. Where there are some, they replace ssl_cert_file. */
struct monitor_hosted {
    struct host_lines lines;
    struct monitor_row **leaves; /* for each line; NULL: it has none that could be read */
};

/** The chains and client CAs of its lines, each file once. Everything lives in the target. */
MUST_CHECK enum code monitor_add_hosts(struct monitor_target *target, const struct monitor_hosts *hosts,
                                       struct monitor_hosted *out, struct err *e);
/** Does a listener serve each line's certificate to its clients? Beyond MONITOR_HOSTS_ASKED they are not asked for. */
MUST_CHECK enum code monitor_ask_hosts(struct monitor_target *target, const struct monitor_hosted *hosted,
                                       struct monitor_listener listener, struct err *e);

#endif
