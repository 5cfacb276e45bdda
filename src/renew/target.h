/**
 * What is renewed: a gate's directory, or the data directory of a PostgreSQL that serves TLS itself. The directory of
 * its postgresql.conf leads there.
 */
#ifndef PGSEAL_RENEW_TARGET_H
#define PGSEAL_RENEW_TARGET_H

#include "client/verify_served.h"
#include "pki/trust.h"
#include "renew/conf.h"
#include "renew/hosts.h"
#include "renew/pgdata.h"

struct env;
struct settings;
struct tls_library;

/** The data directory that the directory of a postgresql.conf belongs to; else `path` itself. E_NO_FILE, E_LIMIT. */
MUST_CHECK enum code renew_target_find(const char *path, struct arena *arena, char out[OS_PATH_MAX],
                                       struct err *e);

/** A pair that a gate shows besides those of its listeners: that of a canary, and those it is a client with. */
struct renew_own {
    const char *name; /* renew_own_name() */
    char cert[OS_PATH_MAX], key[OS_PATH_MAX];
};

struct renew_target {
    bool is_gate;
    char dir[OS_PATH_MAX];    /* absolute */
    char conf[OS_PATH_MAX];   /* rotate.conf */
    char work[OS_PATH_MAX];   /* 0700: journal, lock, accounts, requests */
    char ca_dir[OS_PATH_MAX]; /* where the own CA is unless rotate.conf says otherwise */
    struct tls_library *library;
    struct settings *settings; /* of a gate */
    struct pgdata pg;          /* of a PostgreSQL */
    bool has_server, has_http; /* pairs that the settings name */
    char server_cert[OS_PATH_MAX], server_key[OS_PATH_MAX];
    char http_cert[OS_PATH_MAX], http_key[OS_PATH_MAX];
    struct renew_own own[RENEW_OWN_MAX]; /* that the settings name */
    size_t n_own;
    struct renew_hosts hosts; /* they replace server_cert, where there are any */
    struct cert_list anchors; /* CAs that clients have, if they are roots */
    struct cert_list store;   /* what clients have, whatever it is */
};

void renew_target_fini(struct renew_target *target);
void renew_target_auto(struct renew_target *target);

/**
 * Read what is there, and make the working directory.
 *
 * dir    a gate's directory or a data directory; see renew_target_find().
 * state  directory for rotate.conf and what is written; NULL: of a gate DIR itself, and DIR/rotate to write in; of a
 *        PostgreSQL the one beside its configuration, or beside its data directory where both are one.
 * arena  receives texts.
 */
struct renew_where {
    const char *dir, *state;
    bool look; /* make nothing */
};
MUST_CHECK enum code renew_target_open(const struct renew_where *where, struct arena *arena,
                                       struct renew_target *out, struct err *e);

/** Does it run? Only then is there anything to reload and to ask. */
bool renew_target_runs(const struct renew_target *target);

/**
 * The TCP listeners that serve this pair and answer now, into check->targets: of the pair `http` the gate's own pages, of
 * `server` PostgreSQL's, and the pages where those have no pair of their own; of a host, by the path of its certificate, those
 * that serve it under its name. E_CONNECT: none answers, although it
 * listens.
 */
MUST_CHECK enum code renew_target_listeners(const struct renew_target *target, struct str pair,
                                            const struct env *env, struct served_check *check, struct err *e);
/** Let it load its files. OK: a gate has, a PostgreSQL was asked to. */
MUST_CHECK enum code renew_target_reload(const struct renew_target *target, struct err *e);
/**
 * Does every listener of `check` serve this certificate? A PostgreSQL may need a moment after a reload.
 * E_TLS: another one; E_CONNECT: one does not answer.
 */
MUST_CHECK enum code renew_target_serves(const struct renew_target *target, struct served_check *check,
                                         X509 *cert, const struct env *env, struct err *e);

#endif
