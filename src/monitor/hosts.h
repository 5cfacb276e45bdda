/**
 * Certificates by host name: the lines of hosts_file, of a gate or of PostgreSQL 19.
 */
#ifndef PGSEAL_MONITOR_HOSTS_H
#define PGSEAL_MONITOR_HOSTS_H

#include "monitor/target.h"

struct monitor_hosts {
    bool on;               /* ssl_sni */
    const char *path;      /* of hosts_file; NULL: none */
    const char *directory; /* where relative paths in it begin */
};
/** The chains and client CAs of its lines, each file once. out_any: there are some, and they replace ssl_cert_file. */
MUST_CHECK enum code monitor_add_hosts(struct monitor_target *target, const struct monitor_hosts *hosts,
                                       bool *out_any, struct err *e);

#endif
