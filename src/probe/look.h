/**
 * What the files of probe/ share: one look at one endpoint.
 */
#ifndef PGSEAL_PROBE_LOOK_H
#define PGSEAL_PROBE_LOOK_H

#include "client/hosts.h"
#include "client/login.h"
#include "probe/dial.h"
#include "probe/probe.h"
#include "tls/context.h"

enum { LOOK_INPUT_MAX = 1 << 20 };

struct look {
    const struct probe_params *params;
    struct probe_kit *kit;
    struct arena *arena;
    struct probe_report *report;
    struct conn_options options; /* with host, port and defaults, sslmode unset as yet */
    struct conninfo info;        /* of the plainest kind: sslmode=disable */
    struct dial *dial;
    struct conn_addr addrs[HOST_ADDRESSES_MAX];
    size_t n_addrs;
    struct str resolve_error; /* empty: resolved */
    size_t best;              /* index of the first address that answered */
    bool use_direct;          /* TLS only works without SSLRequest here */
    bool silent;              /* takes connections and says nothing: every further question costs a timeout */
    bool roots_known;         /* a root file was read: an issuer that is not in it is unknown to clients */
};

/** options with one sslmode, as a connection would have them. E_PARAM with libpq's text. */
MUST_CHECK enum code look_conninfo(const struct look *look, enum sslmode mode, struct conninfo *out,
                                   struct err *e);
/** The verdict of one sslmode, by doing what libpq does. */
MUST_CHECK enum code look_mode(struct look *look, enum sslmode mode, struct mode_verdict *out, struct err *e);

/** Log in over the open connection as far as we may; `info` says as whom. */
enum login_step look_login(struct look *look, const struct conninfo *info, struct login **out_login,
                           struct err *e);
/** `FATAL:  text` with its detail and hint, as libpq prints a server's error. */
struct str look_server_text(struct look *look, const struct server_error *error, const struct err *e);

/** Connect to the best address and get to TLS without verifying anything, with these limits. E_* with text.
 */
struct look_tls {
    enum tls_version min, max;
    const char *ciphers, *tls13_ciphers, *groups;
    bool no_alpn;
    bool direct; /* no SSLRequest */
    size_t address;
};
MUST_CHECK enum code look_tls(struct look *look, const struct look_tls *how, struct err *e);

/** Protocol versions, cipher suites, groups. */
MUST_CHECK enum code look_offers(struct look *look, struct err *e);
/** Chain, names and CA names of the handshake that stands on the look's connection. */
MUST_CHECK enum code look_certificates(struct look *look, struct err *e);
/** Findings from all the rest of the report. */
MUST_CHECK enum code look_problems(struct look *look, struct err *e);
/** A growing list of texts. */
MUST_CHECK enum code look_add(struct look *look, struct str_list_of *list, struct str text, struct err *e);

#endif
