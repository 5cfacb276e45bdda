/**
 * A PostgreSQL that serves TLS itself, as its files describe it: settings, and the process that runs.
 *
 * The settings are those of postgresql.conf and postgresql.auto.conf, and over them what the running server was
 * started with (postmaster.opts). Debian keeps postgresql.conf elsewhere; postmaster.opts says where.
 */
#ifndef PGSEAL_RENEW_PGDATA_H
#define PGSEAL_RENEW_PGDATA_H

#include "base/err.h"
#include "os/files.h"

#include <sys/types.h>

struct arena;

struct pgdata {
    char dir[OS_PATH_MAX];         /* the data directory, absolute */
    char config_file[OS_PATH_MAX]; /* postgresql.conf */
    bool ssl;
    char cert_file[OS_PATH_MAX], key_file[OS_PATH_MAX];
    char ca_file[OS_PATH_MAX]; /* empty: none */
    bool ssl_sni;              /* PostgreSQL 19: hosts_file says which certificate a client gets */
    char hosts_file[OS_PATH_MAX];
    struct str passphrase_command; /* empty: none */
    struct str listen_addresses;
    unsigned port;
    pid_t pid; /* of the postmaster; 0: it does not run */
};

/**
 * dir  the data directory.
 * arena  receives texts.
 * E_CONFIG with the first error of a file; E_NO_FILE and the like.
 */
MUST_CHECK enum code pgdata_read(const char *dir, struct arena *arena, struct pgdata *out, struct err *e);

/**
 * Where what is made for a server is kept: beside its configuration, or, where that is in the data directory, beside
 * the data directory, so that no base backup takes the CA's key along. Both paths are absolute. E_LIMIT.
 */
MUST_CHECK enum code pgdata_state_dir(const char *dir, const char *config_file, char out[OS_PATH_MAX],
                                      struct err *e);

/** Ask the postmaster to reload: SIGHUP, to a process that is this directory's. E_UNAVAILABLE, E_ACCESS. */
MUST_CHECK enum code pgdata_reload(const struct pgdata *pg, struct err *e);

#endif
