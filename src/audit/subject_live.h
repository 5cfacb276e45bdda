/**
 * What only a running server can show: its sessions, who runs it, what it answers on its port.
 */
#ifndef PGSEAL_AUDIT_SUBJECT_LIVE_H
#define PGSEAL_AUDIT_SUBJECT_LIVE_H

#include "base/slice.h"

struct cert_info;

/** A service that runs the server, and has parameters of its own. */
enum live_provider {
    PROVIDER_NONE,
    PROVIDER_RDS, /* Aurora too */
    PROVIDER_CLOUD_SQL,
    PROVIDER_AZURE,
    PROVIDER_OTHER /* Neon, Supabase, Aiven, DigitalOcean: TLS is enforced outside PostgreSQL, or not */
};

/** A session of another machine. */
struct live_session {
    struct str user, application, address;
    struct str database;    /* empty: none, as of a standby */
    struct str tls_version; /* empty: none */
    bool shows_certificate;
    bool sealed;  /* by TLS or GSS */
    bool standby; /* it replicates */
};

/** A file that is newer than what the server has loaded of it. */
struct live_stale {
    struct str path;
    bool rules; /* rules or maps; else settings, certificates and keys */
};

/** A user mapping of a foreign server that connects to PostgreSQL. */
struct live_mapping {
    struct str server, user; /* user: public for PUBLIC */
    bool without_password;   /* password_required is off */
};

enum live_answer { LIVE_UNKNOWN, LIVE_NO, LIVE_YES };

/** What the port showed to a client without credentials. */
struct live_port {
    bool answered;
    struct str endpoint;             /* HOST:PORT */
    enum live_answer tls, plaintext; /* is it taken? */
    bool from_here;                  /* the server is on this machine: other rules may hold for others */
    const struct cert_info *chain;   /* as sent, leaf first */
    size_t n_chain;
    struct str missing; /* an intermediate certificate that is not sent; empty: none is known to be missing */
};

struct subject_live {
    enum live_provider provider;
    struct str provider_name;      /* "Amazon RDS" */
    enum live_answer requires_tls; /* by a parameter of the service */
    struct str requires_by;        /* that parameter; empty: none that the server shows */
    const struct live_session *sessions;
    size_t n_sessions;
    const struct live_stale *stale;
    size_t n_stale;
    const struct str *pending; /* settings that wait for a restart */
    size_t n_pending;
    const struct live_mapping *mappings;
    size_t n_mappings;
    struct live_port port;
};

#endif
