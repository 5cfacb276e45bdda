/**
 * What the verbs of `pgseal cert` share.
 */
#ifndef PGSEAL_CMD_CERT_JOB_H
#define PGSEAL_CMD_CERT_JOB_H

#include "cmd/ca_where.h"
#include "cmd/cmd.h"
#include "pki/leaf.h"

struct arena;

struct cert_job {
    const struct cmd *cmd;
    struct arena *arena;
    struct ca_place place; /* settled by cert_job_ca() */
};

/** A leaf that was made and where it went. */
struct cert_made {
    const struct leaf *leaf;
    const char *name; /* of the user, or of the server */
    const char *base; /* path without .crt, .key */
    const char *cert_path;
    const char *key_path;
    const char *root; /* what the other side must trust */
    const char *host; /* for connection strings; NULL: not known */
    unsigned port;    /* 0: not known */
    enum ca_use use;
    bool renewed; /* forms of the key that are there are written again */
    const struct leaf_files *files;
};

/** Fill in `place` from -D or --ca, and where the passphrase of the CA's key comes from. */
MUST_CHECK enum code cert_job_ca(struct cert_job *job, struct err *e);
/** The CRL's life of --crl-days, or the default. */
MUST_CHECK enum code cert_job_crl_days(const struct cert_job *job, unsigned *out, struct err *e);
/** True for an argument that is a path, not a name: it has a slash or ends like a certificate's file. */
bool cert_is_path(const char *argument);

#endif
