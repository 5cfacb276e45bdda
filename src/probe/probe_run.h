/**
 * What the files of probe/ share: the state of the probe of one endpoint.
 */
#ifndef PGSEAL_PROBE_RUN_H
#define PGSEAL_PROBE_RUN_H

#include "client/dial.h"
#include "client/hosts.h"
#include "client/login_drive.h"
#include "probe/probe.h"
#include "tls/context.h"

enum { PROBE_INPUT_MAX = 1 << 20 };

struct probe_run {
    const struct probe_params *params;
    struct probe_kit *kit;
    struct arena *arena;
    struct probe_report *report;
    struct conn_options options; /* with host, port and defaults, sslmode unset as yet */
    struct conninfo info;        /* of the plainest kind: sslmode=disable */
    struct dial *dial;
    struct address addrs[HOST_ADDRESSES_MAX];
    size_t n_addrs;
    struct str resolve_error; /* empty: resolved */
    size_t best;              /* index of the first address that answered */
    bool use_direct;          /* TLS only works without SSLRequest here */
    bool silent;              /* takes connections and says nothing: every further question costs a timeout */
    bool roots_known;         /* a root file was read: an issuer that is not in it is unknown to clients */
};

/**
 * Connect to the best address and get to TLS without verifying anything, with these limits. E_* with text.
 */
struct probe_handshake {
    enum tls_version min, max;
    const char *ciphers, *tls13_ciphers, *groups;
    bool no_alpn;
    bool direct; /* no SSLRequest */
    size_t address;
};

#endif
