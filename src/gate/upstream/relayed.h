/**
 * A password exchange that passes through the gate, and the proof that it was the one the rule demands.
 *
 * The gate offers no channel binding it cannot pass on, and takes the server's AuthenticationOk only after a
 * whole exchange of the right kind: a server that trusts its socket admits no one past a scram-sha-256
 * rule. Sans-I/O: messages in, verdicts out.
 */
#ifndef PGSEAL_GATE_UPSTREAM_RELAYED_H
#define PGSEAL_GATE_UPSTREAM_RELAYED_H

#include "base/err.h"
#include "client/conninfo.h"
#include "pgwire/msg.h"
#include "policy/policy.h"

struct buf;

enum relayed_wait { RELAYED_NOTHING, RELAYED_SASL_FIRST, RELAYED_SASL, RELAYED_TOKEN };

struct relayed {
    enum hba_needs needs;   /* of the rule's method */
    enum relayed_wait wait; /* what the client owes */
    char gs2;               /* the client's flag in SCRAM's first message; 0: there was none */
    unsigned allowed;       /* enum auth_method_bit: what require_auth lets through */
    bool answered;          /* the client has sent at least one message */
    bool complete;          /* the demanded exchange was seen to its end, but for AuthenticationOk */
};

enum relayed_verdict {
    RELAYED_TO_CLIENT, /* `out` was appended: send it */
    RELAYED_HOLD,      /* `held` was appended: goes with AuthenticationOk */
    RELAYED_DONE,      /* AuthenticationOk, rightly */
    RELAYED_VIOLATION  /* not what the rule demands; `e` says what the server asked for */
};

/** allowed: the conninfo's require_auth; a server that asks for anything else gets no answer. */
void relayed_init(struct relayed *r, enum hba_needs needs, unsigned allowed);
/** An Authentication message of the server; what the client is to hear at once goes to `out`. */
enum relayed_verdict relayed_server(struct relayed *r, struct bytes body, struct buf *out, struct buf *held,
                                    struct err *e);
/**
 * A `p` message of the client, before it is passed on. OK, or the error that PostgreSQL would answer with.
 */
MUST_CHECK enum code relayed_client(struct relayed *r, struct bytes body, struct err *e);

#endif
