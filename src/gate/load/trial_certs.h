/**
 * The certificates that trials show instead of the server's own (gate/stats/addresses.h), and what can be learned
 * with them. Where certificates are served by host name, each host has trials of its own.
 *
 * What cannot be learned from is not shown: a refusal must come of the one thing that is tried out. An expired
 * certificate, or one with other names than the host's, is a warning, and that kind of trial is not made there.
 */
#ifndef PGSEAL_GATE_LOAD_TRIAL_CERTS_H
#define PGSEAL_GATE_LOAD_TRIAL_CERTS_H

#include "gate/stats/addresses.h"

struct arena;
struct env;
struct server_tls;
struct settings;
struct tls_context;
struct tls_library;
struct tls_server_params;

/** One kind of trial. */
struct trial_cert {
    struct tls_context **tls; /* one per worker; NULL: such trials are not made */
    int64_t from_s, until_s;  /* its chain is valid */
};

/** What clients of one host may be shown. */
struct trial_host {
    struct trial_cert kinds[TRIAL_KINDS];
    bool served_is_next_ca; /* its own certificate leads to the CA of rollover_cert_file, and nowhere else */
};

struct trial_certs {
    struct trial_host *hosts; /* as those of server_tls, in their order */
    size_t n;
    bool any; /* there is a trial to be made */
};

/** All borrowed. */
struct trial_certs_params {
    const struct settings *settings;
    const struct tls_server_params *params; /* of the server's own contexts, but for each host's CA */
    const struct server_tls *served;        /* loaded */
    struct tls_library *const *libraries;   /* of the workers */
    unsigned n_workers;
    const struct env *env;
    struct arena *arena; /* of the snapshot */
};

/** Pairs that do not load, or cannot serve, fail. Free `out` in any case. */
MUST_CHECK enum code trial_certs_load(const struct trial_certs_params *params, struct trial_certs *out,
                                      struct diags *diags);
void trial_certs_fini(struct trial_certs *certs, unsigned n_workers);

#endif
