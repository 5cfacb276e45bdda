/**
 * All files or none: settings, rules, maps, users and TLS contexts as one immutable, counted, numbered value.
 *
 * A reload builds a new one beside the old; nothing of a load that fails is ever in force.
 */
#ifndef PGSEAL_GATE_LOAD_SNAPSHOT_H
#define PGSEAL_GATE_LOAD_SNAPSHOT_H

#include "base/err.h"
#include "client/conninfo.h"
#include "client/tlsfiles.h"
#include "conf/settings.h"

#include <stdatomic.h>

struct crl_list;
struct env;
struct http_access;
struct hba_rule;
struct policy;
struct secret;
struct server_tls;
struct tls_context;
struct tls_library;
struct trial_certs;
struct trial_host;
struct userlist;

/** The upstream server of one route of the settings. */
struct upstream {
    const struct settings_route *route;
    bool configured; /* a conninfo is set */
    bool may_tls;    /* a connection to it may be encrypted */
    bool all_unix;   /* every host is a unix socket */
    bool checked;    /* upstream_check_url tells which of its hosts is the primary, and one is wanted */
    bool verified;   /* TLS to it is always verified: verify-ca or verify-full on every host */
    struct conninfo info;
    struct tls_files files;
    struct tls_context **tls; /* one per worker; NULL: never TLS */
    /* The one thing that is learned later: an upstream pooler took no parameters of forward_facts. Relaxed. */
    atomic_bool *refuses_facts;
};

enum { CANCEL_PEERS_MAX = 16 /* [choice: each costs a handshake per unknown cancel request] */ };

struct snapshot;

/** How often a rule decided, since the gate started; reloads carry it on. */
struct rule_hits {
    int64_t count;
    int64_t last_us; /* 0: never */
};

/** Borrowed parts of a snapshot; valid as long as a reference is held. */
const struct settings *snapshot_settings(const struct snapshot *snapshot);
/** Rules and maps. Never NULL. */
const struct policy *snapshot_policy(const struct snapshot *snapshot);
/** What clients begin with, whichever host they ask for. NULL: TLS cannot be used with clients. */
struct tls_context *snapshot_tls(const struct snapshot *snapshot, unsigned worker);
/** What clients of each host get. */
const struct server_tls *snapshot_hosts(const struct snapshot *snapshot);
/** What a handshake may show instead; NULL: nothing, which is how it mostly is. */
const struct trial_certs *snapshot_trials(const struct snapshot *snapshot);
/** What the clients of one host may be shown, by the context that serves them; NULL: nothing. */
const struct trial_host *snapshot_trial_host(const struct snapshot *snapshot, unsigned worker,
                                             const struct tls_context *context);
/** True when that context's certificate is of the CA of rollover_cert_file: who accepts it knows that CA. */
bool snapshot_shows_next_ca(const struct snapshot *snapshot, unsigned worker,
                            const struct tls_context *context);
/** The server of a route of these settings. Never NULL. */
const struct upstream *snapshot_upstream(const struct snapshot *snapshot, const struct settings_route *route);
/** The gates of cancel_peers, as servers to connect to; *out_n of them, in the order of the setting. */
const struct upstream *snapshot_peers(const struct snapshot *snapshot, size_t *out_n);
/** NULL without auth_file. */
const struct userlist *snapshot_users(const struct snapshot *snapshot);
/** What the same rule of another process has had so far. Before any connection. */
void snapshot_add_hits(struct snapshot *snapshot, const struct hba_rule *rule, const struct rule_hits *hits);
/** A rule of this snapshot has decided about a connection. Thread-safe. */
void snapshot_hit(struct snapshot *snapshot, const struct hba_rule *rule, int64_t now_us);
/** How often it has. Thread-safe. */
struct rule_hits snapshot_hits(const struct snapshot *snapshot, const struct hba_rule *rule);
/** What HTTP clients are asked for. */
const struct http_access *snapshot_http_access(const struct snapshot *snapshot);
/** Revocation lists in force, signed by their CA: what may end sessions. Possibly empty, never NULL. */
const struct crl_list *snapshot_crls(const struct snapshot *snapshot);
/** Number of the load; each that comes into force has a higher one. */
unsigned snapshot_generation(const struct snapshot *snapshot);
/** When it was loaded: microseconds since 1970. */
int64_t snapshot_loaded_us(const struct snapshot *snapshot);

struct snapshot_params {
    const char *dir;
    const struct str *overrides;
    size_t n_overrides;
    const struct snapshot *running; /* NULL at start */
    struct tls_library *const *libraries;
    struct tls_library *http_library; /* for http_listen; used by the steward */
    unsigned n_workers;               /* 0: only a check of the files; no TLS is built for workers */
    struct secret *passphrase;        /* of the server's key, kept while the process lives; borrowed */
    const struct env *env;
    unsigned generation;
    bool confined;          /* programs cannot be run any more */
    bool certificates_only; /* settings and rules stay those of `running`; users are read again */
};

/** Say again what is wrong with the certificates and revocation lists in force, as of now. */
void snapshot_inspect(const struct snapshot *snapshot, const struct env *env, struct diags *diags);
/** Read everything. diags receives all complaints; on failure nothing else is left behind. */
MUST_CHECK enum code snapshot_load(const struct snapshot_params *params, struct snapshot **out,
                                   struct diags *diags);
/** One more reference, returned to caller. Thread-safe. */
struct snapshot *snapshot_ref(struct snapshot *snapshot);
/** Give a reference back; the last one frees everything. NULL is fine. Thread-safe. */
void snapshot_unref(struct snapshot *snapshot);

#endif
