/**
 * TLS with clients: the contexts of each worker, for one pair or for one of each line of hosts_file.
 */
#ifndef PGSEAL_GATE_LOAD_SERVER_TLS_H
#define PGSEAL_GATE_LOAD_SERVER_TLS_H

#include "base/secret.h"
#include "conf/hosts_file.h"
#include "pki/cert.h"
#include "pki/crl.h"

struct arena;
struct env;
struct settings;
struct snapshot_params;
struct tls_context;

/** What clients of some names get. */
struct server_host {
    const struct host_line *line;               /* NULL: ssl_cert_file and its kin, for everybody */
    const char *cert_file, *key_file, *ca_file; /* absolute; "": none */
    struct tls_context **tls;                   /* one per worker */
    struct cert_list served;                    /* the leaf first */
};

/** Zero: no TLS. */
struct server_tls {
    struct server_host *hosts;
    size_t n; /* at least one with `ssl` on */
    bool by_name;
    struct host_lines lines;
    const struct str *paths; /* of hosts_file and what it includes */
    size_t n_paths;
    struct cert_list client_cas;
    struct crl_list crls; /* in force, signed by their CA */
};

/** One load; all borrowed. */
struct server_tls_job {
    const struct settings *settings;
    const struct snapshot_params *params;
    const struct server_tls *running; /* NULL at start */
    struct arena *arena;
    struct server_tls *tls; /* comes out; server_tls_fini() also after a failure */
    struct diags *diags;
};

/** The whole of it, as settings and hosts_file say; every error goes to diags, with the line where there is one. */
MUST_CHECK enum code server_tls_load(const struct server_tls_job *job);
void server_tls_fini(struct server_tls *tls, unsigned n_workers);
/** Say again what is wrong with certificates and revocation lists. */
void server_tls_inspect(const struct server_tls *tls, const struct settings *settings, const struct env *env,
                        struct diags *diags);
/** Where the passphrase of the key of ssl_key_file comes from: params->passphrase is filled in by a command. */
enum tls_passphrase server_tls_passphrase(const struct snapshot_params *params,
                                          const struct settings *settings, struct diags *diags);
/** True when a command is run for a passphrase at reloads. */
bool server_tls_runs_programs(const struct server_tls *tls, const struct settings *settings);

#endif
