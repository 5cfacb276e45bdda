/** The inside of the room upstream: for upstream*.c only. */
#ifndef PGSEAL_GATE_SESSION_UPSTREAM_IMPL_H
#define PGSEAL_GATE_SESSION_UPSTREAM_IMPL_H

#include "client/login_drive.h"
#include "gate/session/admission.h"
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
    UPSTREAM_READY,   /* after AuthenticationOk, before ReadyForQuery */
    UPSTREAM_ATTRS    /* asking a server before 14 what target_session_attrs wants to know */
};

struct upstream_room {
    struct session *s;
    const struct upstream *upstream;
    struct server_conn_owner owner; /* of the session's connection to it */
    enum upstream_stage stage;
    bool relayed;
    bool judge_only;     /* the session is for the status database; the server only judges the login */
    bool has_secret;     /* the gate can answer a server that asks for one */
    bool told_facts;     /* parameters of forward_facts are in the present StartupMessage */
    bool client_engaged; /* the client has been asked something: there is no second try */
    struct relayed exchange;
    struct login_drive *login; /* of the present attempt */
    struct arena arena;        /* texts of `facts` */
    struct buf in;             /* from the server, not yet consumed */
    struct buf held;           /* for the client, with AuthenticationOk */
    struct buf refusal;        /* the server's ErrorResponse before AuthenticationOk; empty: none */
    struct login_facts facts;
    struct password password; /* of the service user */
    struct cancel_route route;
    struct turn *turn; /* at the server of turn_addr; NULL: none is needed now */
    struct address turn_addr;
    struct timer *turn_pause; /* the server had no room; NULL: it always had */
    int64_t turn_asked_us;    /* when it began to wait */
    bool waits;               /* for its turn, or for room at the server */
    bool lacks_primary;       /* no host is the primary now: `retry` runs */
    struct timer *retry;      /* NULL: there always was one */
    bool full;                /* `refusal` is of a server without room */
    bool handed_over;
    bool failed;
    struct err why;
};

#endif
