/**
 * What the verbs of `pgseal cert` share.
 */
#ifndef PGSEAL_CMD_CERT_CMD_H
#define PGSEAL_CMD_CERT_CMD_H

#include "cmd/ca_where.h"
#include "cmd/cmd.h"
#include "cmd/leaf.h"

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
    const struct leaf_files *files;
};

/** Fill in `place` from -D or --ca, and where the passphrase of the CA's key comes from. */
MUST_CHECK enum code cert_job_ca(struct cert_job *job, struct err *e);
/** The CRL's life of --crl-days, or the default. */
MUST_CHECK enum code cert_job_crl_days(const struct cert_job *job, unsigned *out, struct err *e);
/** True for an argument that is a path, not a name: it has a slash or ends like a certificate's file. */
bool cert_is_path(const char *argument);

MUST_CHECK enum code cert_issue(struct cert_job *job, struct err *e);
MUST_CHECK enum code cert_renew(struct cert_job *job, struct err *e);
MUST_CHECK enum code cert_revoke(struct cert_job *job, struct err *e);
MUST_CHECK enum code cert_list_issued(struct cert_job *job, struct err *e);
MUST_CHECK enum code cert_show(struct cert_job *job, struct err *e);
/** out_status  EXIT_FINE or EXIT_FINDING. */
MUST_CHECK enum code cert_verify(struct cert_job *job, int *out_status, struct err *e);

/** E_EXISTS, before anything is made, when a file that --for would write is there and must stay. */
MUST_CHECK enum code cert_export_check(const struct cert_job *job, const char *base, bool with_passphrase,
                                       struct err *e);
/** Write the containers of --for, and report everything: files, connection strings, warnings. */
MUST_CHECK enum code cert_export(const struct cert_job *job, const struct cert_made *made, struct err *e);

#endif
