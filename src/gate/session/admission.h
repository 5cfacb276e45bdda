/**
 * What the rooms admit, exchange and upstream share about one client's authentication.
 */
#ifndef PGSEAL_GATE_SESSION_ADMISSION_H
#define PGSEAL_GATE_SESSION_ADMISSION_H

#include "auth/scram_server.h"
#include "auth/verifier.h"
#include "base/secret.h"
#include "gate/session/session.h"
#include "gate/upstream/credential.h"
#include "gate/upstream/lookup.h"

struct derive;
struct lookup;
struct method;

enum admission_stage {
    ADMIT_MATCH,    /* no rule yet: perhaps a name or memberships are being looked up */
    ADMIT_SECRET,   /* the secret is being looked up */
    ADMIT_EXCHANGE, /* the method's unit talks to the client */
    ADMIT_PROVED,   /* the method is satisfied; memberships for the certificate's name are being looked up */
    ADMIT_LOGIN,    /* no password was asked for, so whether the user may log in is looked up now */
    ADMIT_DONE
};

/** Lives in the session's scratch arena; wiped by admit_leave(). */
struct admission {
    enum admission_stage stage;
    const struct method *method; /* who carries out the rule's method; NULL: the server, or nobody */
    struct conn_facts facts;
    struct decision decision;
    struct str os_user; /* who is at the other end of a unix socket, once os_user_requested and looked up */
    const char *os_user_error; /* why nobody is known; NULL: one is */
    bool os_user_requested;
    const struct settings_route *route; /* of the requested database */
    bool relayed;                       /* the upstream server judges; the exchange passes through */
    struct credential credential;
    bool credential_requested; /* for: `credential` is what auth_query says, or could not say */
    struct scram_server scram;
    uint8_t md5_salt[MD5_SALT_BYTES];
    struct scram_keys keys; /* ClientKey and ServerKey after SCRAM */
    bool have_keys;
    struct password password; /* cleartext, after `password` */
    struct buf final;         /* SASLFinal, held back until the upstream server has agreed */
    struct lookup *lookup;
    bool roles_cached;     /* facts.roles may have changed on the server meanwhile */
    bool roles_refreshed;  /* … and were asked for once more */
    struct derive *derive; /* a password is being hashed, or was */
};

/**
 * The session will not, or need not, go to the server as its user: that it may log in is the gate's to see.
 */
bool route_hides_user(const struct session *s);
/** The method is satisfied: what is left is the certificate's name; then on to ROUTE. */
enum step admission_proved(struct session *s, struct err *e);
/**
 * The client has proved itself: record the identity, with one line `connection_authenticated` where
 * log_connections asks for it; then check its certificate's name if the rule wants that.
 */
MUST_CHECK enum code admission_succeeded(struct session *s, struct err *e);
/** What a client's `p` message is to hold. */
enum proof_kind { PROOF_PASSWORD, PROOF_SASL, PROOF_GSS };
/**
 * The client's next `p` message, taken from s->in (the caller consumes `used` bytes). E_MORE: not complete
 * yet. Other failures: `e` and s->parting are PostgreSQL's for a message of that kind.
 */
MUST_CHECK enum code admission_take(struct session *s, enum proof_kind kind, struct msg *out, size_t *used,
                                    struct err *e);
/** The same as the room's answer. */
enum step admission_refuse(struct session *s, const char *reason, struct err *e);
/** Remember who the client is, for logs and views, and log it where log_connections asks. */
void admission_identified(struct session *s, struct str identity);
/** Ask the server about the user: a question of this kind. STEP_JOB, or a failure. */
enum step admission_look_up(struct session *s, enum lookup_kind kind, struct err *e);
/** On to ROUTE. */
enum step admission_done(struct session *s);
/** `"trust" authentication failed for user "U"` and the like: what the method tells a client
 * [src: PostgreSQL 18, auth_failed]. */
enum code admission_failed(const struct session *s, struct err *e);

#endif
