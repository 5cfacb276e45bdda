/**
 * What is hardened: a gate's directory, or a PostgreSQL server by its data directory or its configuration.
 */
#ifndef PGSEAL_HARDEN_TARGET_H
#define PGSEAL_HARDEN_TARGET_H

#include "base/err.h"
#include "os/files.h"

struct arena;

struct harden_target {
    char path[OS_PATH_MAX]; /* absolute, as it is collected */
    bool is_gate;
    char dir[OS_PATH_MAX];   /* the gate's, or the data directory */
    char state[OS_PATH_MAX]; /* for what is made */
    /* Of the pair that harden makes; nothing need be there. */
    char own_dir[OS_PATH_MAX], root[OS_PATH_MAX], cert[OS_PATH_MAX], key[OS_PATH_MAX], ca_dir[OS_PATH_MAX];
    pid_t pid;           /* of the postmaster; 0: it does not run, or this is a gate */
    struct str conninfo; /* to log in at its socket; empty: it does not run, or has none */
};

/**
 * Find out what a path is. Root becomes its owner first, for good: before anything is opened that belongs to others
 * than root.
 *
 * state  the state directory, or NULL.
 *
 * E_PARAM: neither gate nor server; E_NO_FILE: of a server only the configuration is here; E_ACCESS and kin.
 */
MUST_CHECK enum code harden_target_open(const char *path, const char *state, struct arena *arena,
                                        struct harden_target *out, struct err *e);

#endif
