/**
 * Facts about a connection from words on a command line: `addr=10.0.0.7 user=alice tls=1.3`, or a connection
 * string as pasted from an application.
 */
#ifndef PGSEAL_CMD_FACTS_H
#define PGSEAL_CMD_FACTS_H

#include "client/conninfo.h"
#include "cmd/cmd.h"
#include "policy/match.h"

enum { FACT_NOTES_MAX = 16, FACT_SANS_MAX = 64 };

/** The subject of the client's certificate as rules see it. */
struct fact_cert {
    bool given, has_cn;
    struct str dn; /* RFC 2253 */
    struct str cn;
};

struct facts {
    struct conn_facts conn; /* peer, user, database, replication, roles; `tls` is set per attempt */
    bool attempts[2];       /* transports a client would try, in their order: true is TLS */
    size_t n_attempts;
    bool tls_assumed; /* neither tls= nor sslmode= was told */
    struct fact_cert cert;
    struct str sans[FACT_SANS_MAX]; /* alternative names of the certificate */
    size_t n_sans;
    struct str sni;     /* empty: the client asks for no host name; p == NULL: not told */
    struct str os_user; /* p == NULL: not told */
    struct str sslmode; /* p == NULL: not told */
    struct str host;    /* of a pasted connection string: ignored; p == NULL: none */
    struct role_set roles;
    bool have_roles;
    struct str notes[FACT_NOTES_MAX]; /* how something was read that could be read otherwise */
    size_t n_notes;
};

/**
 * Read the arguments. Returns -1 to go on, else the exit status (what is wrong has been said).
 *
 * arena  owns the texts.
 */
int facts_read(const struct cmd *cmd, struct arena *arena, struct facts *out);

/** Ask the name service what policy_match() wants to know. May take seconds. */
void facts_look_up(struct arena *arena, struct conn_facts *facts, enum match_need need);

#endif
