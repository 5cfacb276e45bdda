/**
 * Examine an endpoint from outside: what every sslmode gets there, and what any client can learn.
 *
 * One call per endpoint, blocking, bounded by timeouts; calls for different endpoints may run on different
 * threads, each with a `struct probe_kit` of its own. No password is sent unless `send_password` says so.
 */
#ifndef PGSEAL_PROBE_PROBE_H
#define PGSEAL_PROBE_PROBE_H

#include "client/conninfo.h"
#include "client/meaning.h"
#include "pki/cert.h"
#include "pki/chain.h"

struct arena;
struct env;
struct tls_library;
struct tls_port;

enum { PROBE_MODES = SSLMODE_VERIFY_FULL + 1, PROBE_TIMEOUT_S = 5 };

/** What all endpoints share. Borrowed. */
struct probe_params {
    const struct conn_world *world;
    struct conn_options options; /* from the command line: certificates, user, database */
    const struct env *env;
    unsigned timeout_s; /* per connection */
    bool send_password; /* the password of the environment, conninfo or password file */
    bool quick;         /* leave out ciphers, groups and protocol versions */
};

/** What one thread needs. */
struct probe_kit {
    struct tls_library *library;
    struct tls_port *port;
};

/** E_NOMEM. */
MUST_CHECK enum code probe_kit_init(struct probe_kit *kit);
void probe_kit_fini(struct probe_kit *kit);

/** What to probe. */
struct probe_target {
    struct str text;             /* to be shown: as given, of a conninfo host and port only (no secrets) */
    struct conn_options options; /* host, port, and what else a conninfo says; over the command line's */
    const struct pasted *pasted; /* the conninfo as its driver reads it; NULL: there is none */
};

enum proof { PROOF_NO, PROOF_CA, PROOF_FULL };

/** What one sslmode gets. */
struct mode_verdict {
    bool connects; /* up to the session, or up to a request for a password that we were not to send */
    bool encrypted;
    enum proof verified;
    struct str error; /* as psql prints it; empty: none */
};

/** What a server asks a client without credentials for. */
struct auth_seen {
    bool reached;       /* an authentication request, or Ok, came */
    struct str method;  /* "scram-sha-256", "md5", "password", "gss", "sspi", "trust"; empty: none came */
    bool scram_plus;    /* SCRAM-SHA-256-PLUS was offered */
    struct str refusal; /* the server's words instead */
};

struct address_seen {
    struct str text; /* numeric */
    bool reachable;
    bool has_certificate;
    uint8_t sha256[CERT_SHA256_SIZE];
    struct str error; /* where it is not reachable */
};

enum problem_severity { PROBLEM_LOW, PROBLEM_MEDIUM, PROBLEM_HIGH };
const char *problem_severity_name(enum problem_severity severity);

struct problem {
    const char *id; /* stable, e.g. "plaintext-accepted" */
    enum problem_severity severity;
    struct str what; /* one sentence */
};

struct str_list_of {
    struct str *items;
    size_t n;
};

enum answer { ANSWER_UNKNOWN, ANSWER_NO, ANSWER_YES };

/** All that was seen. Everything lives in the arena that probe_endpoint() was given. */
struct probe_report {
    struct probe_target target;
    struct conn_meaning meaning; /* of target.pasted */
    bool reachable;
    bool unix_socket;
    struct mode_verdict modes[PROBE_MODES];
    struct address_seen *addresses;
    size_t n_addresses;
    char ssl_answer;            /* to SSLRequest: 'S', 'N', 'E', …; 0: none */
    char gss_answer;            /* to GSSENCRequest */
    enum answer direct_tls;     /* ClientHello as first bytes, with ALPN */
    enum answer direct_no_alpn; /* the same without ALPN: a PostgreSQL refuses it */
    enum answer injected;       /* bytes sent after SSLRequest were taken for the session's: CVE-2021-23214 */
    struct auth_seen auth_plain;
    struct auth_seen auth_tls;
    /* of a handshake that verifies nothing; tls false: there was none */
    bool tls;
    struct str tls_version, tls_cipher, tls_group, tls_error;
    bool alpn;
    bool cert_requested;
    struct str_list_of ca_names; /* in the certificate request */
    struct str_list_of protocols, ciphers, groups;
    struct cert_info *chain; /* as sent, leaf first */
    size_t n_chain;
    struct chain_report chain_report;
    bool names_host; /* the certificate is for the host asked for */
    struct problem *problems;
    size_t n_problems;
    bool safe;          /* for verify-full */
    struct str because; /* … one clause */
};

/** Look at everything. E_NOMEM; whatever the server does is a finding, not a failure. */
MUST_CHECK enum code probe_endpoint(const struct probe_params *params, struct probe_kit *kit,
                                    const struct probe_target *target, struct arena *arena,
                                    struct probe_report *out, struct err *e);

#endif
