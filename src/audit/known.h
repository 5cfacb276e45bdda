/**
 * Clients of which something is known: who came in, from where, over what.
 */
#ifndef PGSEAL_AUDIT_KNOWN_H
#define PGSEAL_AUDIT_KNOWN_H

#include "base/slice.h"

struct arena;
struct audit_subject;

enum known_cert { KNOWN_CERT_UNKNOWN, KNOWN_CERT_NONE, KNOWN_CERT_PRESENTED };

struct known_client {
    struct str user, application;
    struct str database;    /* p == NULL: not known */
    struct str address;     /* numeric; empty: over a unix socket */
    struct str tls_version; /* the lowest seen, "TLSv1.2"; empty: not known */
    struct str method;      /* by which it was admitted; empty: not known */
    struct str source;      /* where it was seen: "pg_stat_ssl", a log's name */
    enum known_cert cert;
    bool tls;
    bool replication; /* physical */
    bool upgrades;    /* without TLS, and known to take it where it is offered or asked for */
    uint64_t times;
};

struct known_clients {
    struct arena *arena;
    struct known_client *items;
    size_t n, size;
    uint32_t *index; /* a hash table of places in `items`, from 1 */
    size_t beyond;   /* that were too many to keep */
    size_t unplaced; /* connections of a log without an address */
    bool nomem;
};

void known_init(struct known_clients *known, struct arena *arena);
/** Add what was seen; the same client again counts up. Texts are copied. */
void known_add(struct known_clients *known, const struct known_client *client);
/** The sessions of a running server; none if it was not asked. */
void known_add_sessions(struct known_clients *known, const struct audit_subject *subject);
/**
 * The connections of a server's log with log_connections: lines of stderr or syslog with a pid in brackets, csvlog,
 * jsonlog. Whatever else it holds is passed over.
 *
 * name  of the log, for known_client.source; lives as long as the arena.
 */
void known_add_log(struct known_clients *known, struct str log, struct str name);

#endif
