/**
 * The servers that a renewal is to please: whose certificates a file of roots verifies, or whom a client certificate
 * is shown. Upstreams of a gate, and endpoints that rotate.conf names.
 */
#ifndef PGSEAL_RENEW_SERVERS_H
#define PGSEAL_RENEW_SERVERS_H

#include "client/conninfo.h"
#include "renew/conf.h"
#include "renew/target.h"

/** One of them. Texts live in the arena. */
struct renew_server {
    struct str label;   /* "db.example.com:5432" */
    struct str setting; /* "upstream", "upstream.NAME", "endpoints" */
    const struct conninfo *info;
    size_t host; /* its entry in info->hosts */
    bool verify_name;
    struct str root;                                       /* "system", a file, or empty */
    struct str cert, key, key_password, crl_file, crl_dir; /* empty: none */
    bool crl_required;
    enum code result; /* of the last visit; OK: verified */
    struct err why;
};

struct renew_servers {
    struct renew_server *items;
    size_t n;
};

/**
 * Who verifies with the file `roots_path`.
 *
 * E_CONFIG: an endpoint cannot be understood; E_NOMEM, E_LIMIT.
 */
MUST_CHECK enum code renew_servers_find(const struct renew_target *target, const struct renew_rule *rule,
                                        const char *roots_path, struct arena *arena,
                                        struct renew_servers *out, struct err *e);

/**
 * A handshake with each address of each, verified with these roots as libpq verifies. The results are in the items.
 *
 * silent_may_be  a server that does not answer is no failure.
 *
 * E_TLS: one is not verified. E_CONNECT: one does not answer. The first is told.
 */
MUST_CHECK enum code renew_servers_ask(struct renew_servers *servers, const struct renew_target *target,
                                       const char *roots_file, bool silent_may_be, const struct env *env,
                                       struct err *e);

/** Upstreams of a gate whose sslcert is this file, and whose key is in a file of their own. */
MUST_CHECK enum code renew_servers_shown(const struct renew_target *target, const char *cert_path,
                                         struct arena *arena, struct renew_servers *out, struct err *e);

/** A pair that is shown to servers. */
struct renew_shown {
    const char *cert_path, *key_path;
    X509 *cert;
    struct str database; /* to ask for */
};

/**
 * Does each of them take this pair? A login with it, as the user of the connection string or, without one, as the
 * certificate's common name; it ends where the server has agreed, or asks for a password. The results are in the items:
 * E_AUTH and E_TLS: the server has refused it.
 */
MUST_CHECK enum code renew_servers_show(struct renew_servers *servers, const struct renew_target *target,
                                        const struct renew_shown *shown, const struct env *env,
                                        struct err *e);

#endif
