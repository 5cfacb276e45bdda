/**
 * What `pgseal init` has decided before it writes anything, and what it then reports.
 */
#ifndef PGSEAL_CMD_INIT_H
#define PGSEAL_CMD_INIT_H

#include "cmd/cmd.h"
#include "os/files.h"
#include "pki/ca.h"
#include "pki/passphrase.h"

struct arena;

enum { INIT_FILES_MAX = 32, INIT_LINES_MAX = 8 /* of a kind */ };

struct init_file {
    const char *name; /* below the gate's directory */
    const char *says;
    bool kept; /* it was there before and was not touched */
};

/** Lines for somebody else's file. */
struct init_lines {
    struct str line[INIT_LINES_MAX];
    size_t n;
};

struct init_plan {
    struct arena *arena;
    const struct env *env;
    char dir[OS_PATH_MAX]; /* absolute */
    struct san *sans;
    size_t n_sans;
    const char *host; /* the first of them, for examples */
    const char *listen;
    unsigned port;
    unsigned days;
    const char *user;      /* NULL: no client certificate */
    const char *user_file; /* the name of its files */
    bool companion;        /* beside an application: no TLS towards it, verified TLS to the server */
    struct passphrase_source ca_passphrase; /* of the CA's key */
    struct str upstream;
    struct str auth_dbname; /* where the gate asks the server about users */
    bool upstream_is_tcp;
    struct san *upstream_sans; /* names of the upstream server, where we issue its certificate; else none */
    size_t n_upstream_sans;
    struct str gate_user;   /* upstream_is_tcp: the role that reads secrets */
    bool own_passfile;      /* … and we make its password */
    struct str gate_secret; /* SCRAM verifier of that password; empty: the passfile was there before */
    struct init_file files[INIT_FILES_MAX];
    size_t n_files;
    struct init_lines hba, conf, sql; /* what the server's own files need */
    struct init_lines notes;          /* what these lines do there, a paragraph each */
};

#endif
