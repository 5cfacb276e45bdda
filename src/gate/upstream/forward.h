/**
 * Other gates of the same service (cancel_peers): a balancer may bring a cancel request to any of them.
 *
 * A request whose key is known nowhere in this gate is sent once to each peer, over TLS in which both sides
 * verify the other's certificate and its name in their own list. ALPN marks it ("pgseal-cancel"), so the
 * peer knows that it comes from a gate and sends it nowhere else: there are no circles, whatever the lists. The
 * connection is kept for the requests to come. All on one worker.
 */
#ifndef PGSEAL_GATE_UPSTREAM_FORWARD_H
#define PGSEAL_GATE_UPSTREAM_FORWARD_H

#include "base/err.h"
#include "net/prefix.h"
#include "pgwire/hello.h"

struct forward;
struct worker;

struct forwarder;

struct forward_request {
    struct cancel cancel;
    struct prefix prefix; /* of the client */
    bool vouched;         /* its key carries a MAC that fits: no rate bounds it */
};

/**
 * Send a cancel request to every peer of the worker's present snapshot.
 *
 * done  called once from the loop, when every peer has answered or could not be reached.
 *
 * NULL: there are no peers, memory ran out, or too many requests came from there or are on their way already.
 */
struct forward *forward_new(struct worker *worker, const struct forward_request *request,
                            void (*done)(void *arg), void *arg);
/** Give up what is still under way. NULL is fine. */
void forward_free(struct forward *forward);
/** The worker has another snapshot: connections of the former one are closed when they are idle. */
void forward_refresh(struct worker *worker);
/** All forwards have been freed. NULL is fine. */
void forwarder_free(struct forwarder *forwarder);

#endif
