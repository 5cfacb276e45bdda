/** The inside of the room upstream: for upstream*.c only. */
#ifndef PGSEAL_GATE_SESSION_UPSTREAM_IMPL_H
#define PGSEAL_GATE_SESSION_UPSTREAM_IMPL_H

#include "client/login.h"
#include "gate/session/admission.h"
#include "gate/upstream/logon.h"
#include "gate/upstream/relayed.h"

enum {
    UPSTREAM_MESSAGE_MAX = 1 << 20, /* of what a server says between AuthenticationOk and ReadyForQuery */
    UPSTREAM_IN_MAX = 2 << 20,
    UPSTREAM_FACTS = 6, /* parameters of forward_facts */
    KEY_N_3_0 = 4,
    KEY_N_3_2 = 32
};

enum upstream_stage {
    UPSTREAM_CONNECT, /* no connection yet */
    UPSTREAM_LOGIN,   /* the gate logs in, or the exchange passes through */
    UPSTREAM_READY,   /* behind AuthenticationOk, before ReadyForQuery */
    UPSTREAM_ATTRS    /* asking a server before 14 what target_session_attrs wants to know */
};

struct upstream_room {
    struct session *s;
    const struct upstream *upstream;
    enum upstream_stage stage;
    bool relayed;
    bool judge_only;     /* the session is for the status database; the server only judges the login */
    bool has_secret;     /* the gate can answer a server that asks for one */
    bool told_facts;     /* parameters of forward_facts are in the present StartupMessage */
    bool client_engaged; /* the client has been asked something: there is no second try */
    struct relayed exchange;
    struct logon *logon; /* of the present attempt */
    struct arena arena;  /* texts of `facts` */
    struct buf in;       /* from the server, not yet consumed */
    struct buf held;     /* for the client, with AuthenticationOk */
    struct buf refusal;  /* the server's ErrorResponse before AuthenticationOk; empty: none */
    struct login_facts facts;
    struct password password; /* of the service user */
    struct cancel_route route;
    bool handed_over;
    bool failed;
    struct err why;
};

/** The StartupMessage's parameters: what the client said, with our changes. NULL when memory ran out. */
struct parameter *upstream_parameters(struct upstream_room *r, size_t *out_n);
/**
 * An ErrorResponse before AuthenticationOk. True: it is about the parameters of forward_facts, as a pooler's that
 * takes PostgreSQL's and no others. They are left out from now on, and the same server may be asked again.
 */
bool upstream_without_facts(struct upstream_room *r, const struct server_error *said);
/** What of upstream_login applies to this session and connection: bits of allowed methods, and the secret. */
unsigned upstream_choose_login(struct upstream_room *r, struct login_creds *creds);
/** `service`: his password from the password file, for the present host. */
MUST_CHECK enum code upstream_find_password(struct upstream_room *r, struct err *e);
/** `service` is the first of upstream_login that applies over this connection: the session will act as the
 * conninfo's own user. */
bool upstream_is_service(const struct upstream_room *r);

/** The room's step ends with this failure. May end the session: touch it no more. */
void upstream_fail(struct upstream_room *r, const struct err *e);
/** Nothing of the present attempt is needed any more. */
void upstream_forget_attempt(struct upstream_room *r);
/** Go on with the next attempt, unless the client has been asked already. */
void upstream_attempt_failed(struct upstream_room *r, enum attempt_event event, const struct err *e);
/** AuthenticationOk was read: go on to ReadyForQuery with what r->in holds. */
void upstream_authenticated(struct upstream_room *r);
/** Go on with what r->in holds behind AuthenticationOk. */
void upstream_after_ok(struct upstream_room *r);

#endif
