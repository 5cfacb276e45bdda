/**
 * Which CA a command is about, and what is published of it.
 */
#ifndef PGSEAL_CMD_CA_WHERE_H
#define PGSEAL_CMD_CA_WHERE_H

#include "cmd/passphrase.h"
#include "os/files.h"
#include "pki/ca.h"

struct ca_place {
    char gate_dir[OS_PATH_MAX]; /* empty: a CA of its own */
    char ca_dir[OS_PATH_MAX];
    struct passphrase_source passphrase;
};

/**
 * gate_dir  value of -D, or NULL.
 * ca_dir    the CA's own directory, or NULL; exactly one of the two must be given: else E_USAGE.
 */
MUST_CHECK enum code ca_place_find(const char *gate_dir, const char *ca_dir, struct ca_place *out,
                                   struct err *e);
/** The directory as whose owner root works there (os/owner.h): the gate's, else the CA's. */
const char *ca_place_owner(const struct ca_place *place);
/** `place` is borrowed until ca_close(). */
MUST_CHECK enum code ca_place_open(struct ca_place *place, enum ca_access access, const struct env *env,
                                   struct ca **out, struct err *e);
/** The CA's certificate where clients are told to find it: tls/ca.crt of the gate, else ca.crt of the CA. */
MUST_CHECK enum code ca_place_root(const struct ca_place *place, char out[OS_PATH_MAX], struct err *e);
/** Write a fresh CRL, and its copy for the gate (tls/ca.crl), if there is one. */
MUST_CHECK enum code ca_place_write_crl(const struct ca_place *place, struct ca *ca, unsigned days,
                                        struct err *e);

#endif
