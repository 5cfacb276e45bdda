/**
 * Which CA a command is about, and what is published of it.
 */
#ifndef PGSEAL_CMD_CA_WHERE_H
#define PGSEAL_CMD_CA_WHERE_H

#include "os/files.h"
#include "pki/ca.h"
#include "pki/passphrase.h"

struct arena;
struct cmd;
struct os_owner;

/** What became of the gate's copy of a fresh revocation list. */
enum ca_copied {
    CA_COPY_NONE,    /* no gate was named */
    CA_COPY_DONE,    /* gate_crl is the new list */
    CA_COPY_UNSET,   /* the gate looks into no list: ssl_crl_file is not set */
    CA_COPY_FOREIGN, /* gate_crl holds other CAs' lists or certificates, and was left alone */
};

struct ca_place {
    char gate_dir[OS_PATH_MAX]; /* empty: no gate */
    char ca_dir[OS_PATH_MAX];
    bool apart;                 /* ca_dir was named: it need not have to do with the gate's */
    char gate_crl[OS_PATH_MAX]; /* set by ca_place_write_crl() */
    enum ca_copied copied;      /* likewise */
    struct passphrase_source passphrase;
};

/**
 * gate_dir  value of -D, or NULL.
 * ca_dir    the CA's own directory, or NULL: the gate's ca/. Both: a gate whose CA is kept elsewhere. None is
 *           E_USAGE.
 */
MUST_CHECK enum code ca_place_find(const char *gate_dir, const char *ca_dir, struct ca_place *out,
                                   struct err *e);
/** The directory as whose owner root works with the CA (os/owner.h): the CA's own where that was named, else the
 * gate's. */
const char *ca_place_owner(const struct ca_place *place);
/** `place` is borrowed until ca_close(). Where the CA or its key is not there, the hint says what to name. */
MUST_CHECK enum code ca_place_open(struct ca_place *place, enum ca_access access, const struct env *env,
                                   struct ca **out, struct err *e);
/** Did the CA that this one replaces issue the certificate? During a rollover it is beside it: CA.old, or CA for CA.next. */
bool ca_place_replaces_issuer(const struct ca_place *place, X509 *cert);
/** The CA's certificate where clients are told to find it: tls/ca.crt of the gate, else ca.crt of the CA. */
MUST_CHECK enum code ca_place_root(const struct ca_place *place, char out[OS_PATH_MAX], struct err *e);
/**
 * Write a fresh CRL, and its copy where the gate reads it (ssl_crl_file), if one was named.
 *
 * as  who root is, as the CA's owner; afterwards perhaps as the gate's.
 */
MUST_CHECK enum code ca_place_write_crl(struct ca_place *place, struct ca *ca, unsigned days,
                                        struct os_owner *as, struct err *e);
/** After that: tell whoever revoked something what is still to be done until gates obey. */
void ca_place_explain_crl(const struct ca_place *place, const struct cmd *cmd, struct arena *arena);

#endif
