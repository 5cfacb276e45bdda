/**
 * pg_hosts.conf of a server, as far as the audit wants it.
 */
#ifndef PGSEAL_AUDIT_COLLECT_HOSTS_H
#define PGSEAL_AUDIT_COLLECT_HOSTS_H

#include "audit/subject.h"

struct arena;
struct hba_lex_fs;
struct host_lines;
struct settings;

/**
 * With ssl_sni = on, read hosts_file; one that is not there counts as empty, as for the server.
 *
 * config_dir  where it is if the setting is not set.
 *
 * E_NOMEM.
 */
MUST_CHECK enum code collect_hosts(const char *config_dir, struct arena *arena,
                                   struct audit_subject *subject);
/** The same of a gate. fs: NULL is the disk. */
MUST_CHECK enum code collect_hosts_gate(const struct settings *settings, const struct hba_lex_fs *fs,
                                        struct arena *arena, struct audit_subject *subject);

#endif
