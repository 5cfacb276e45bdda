/**
 * What a gate's directory says about where clients reach the gate, and which lists it looks into.
 */
#ifndef PGSEAL_CMD_GATE_DIR_H
#define PGSEAL_CMD_GATE_DIR_H

#include "os/files.h"

struct arena;

struct gate_facts {
    const char *host;     /* the first name in the certificate it serves; NULL: not known */
    const char *listen;   /* listen_addresses as written; NULL: not known */
    unsigned port;        /* 0: not known */
    bool known;           /* its settings could be read */
    const char *crl_file; /* ssl_crl_file, absolute; NULL: none is set */
};

/** Never fails: what cannot be read is not known. Texts live in `arena`. */
struct gate_facts gate_facts_read(const char *dir, struct arena *arena);

/**
 * A file of those that the gate writes itself: in state_directory, or in `dir` where the settings do not load.
 * E_LIMIT.
 */
MUST_CHECK enum code gate_state_path(const char *dir, const char *name, char out[OS_PATH_MAX], struct err *e);

#endif
