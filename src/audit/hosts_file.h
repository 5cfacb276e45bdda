/**
 * pg_hosts.conf: which certificate clients of which name get. [src: PostgreSQL 19, "SNI Configuration"; hba.c
 * parse_hosts_line()]
 */
#ifndef PGSEAL_AUDIT_HOSTS_FILE_H
#define PGSEAL_AUDIT_HOSTS_FILE_H

#include "audit/subject.h"

struct arena;
struct hba_lines;

/**
 * Read the lines of the file.
 *
 * lines     borrowed, as hba_lex gives them; they live in `arena`.
 * data_dir  where relative paths begin.
 * subject   hosts, n_hosts and broken_settings are set.
 *
 * E_NOMEM.
 */
MUST_CHECK enum code hosts_file_parse(const struct hba_lines *lines, struct str data_dir, struct arena *arena,
                                      struct audit_subject *subject);

/**
 * With ssl_sni = on, read hosts_file; one that is not there counts as empty, as for the server.
 *
 * config_dir  where it is if the setting is not set.
 *
 * E_NOMEM.
 */
MUST_CHECK enum code hosts_file_collect(const char *config_dir, struct arena *arena,
                                        struct audit_subject *subject);

#endif
