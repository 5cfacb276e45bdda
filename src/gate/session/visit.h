/**
 * Health checks: visits of balancers and monitors that look whether the gate answers, and no more.
 *
 * They are neither clients nor failures. One is known by what it does (visit_of()), and after VISITS_OF_A_CHECK such
 * visits from an address, under the same user if one is named; a balancer that says LOCAL in its PROXY header is believed
 * at once.
 */
#ifndef PGSEAL_GATE_SESSION_VISIT_H
#define PGSEAL_GATE_SESSION_VISIT_H

#include "gate/session/session.h"

enum visit_kind {
    VISIT_CLIENT,
    VISIT_LIKE_A_CHECK, /* it did what a check does, but may be the first of a client */
    VISIT_CHECK
};

/** What a session was that ends without having been admitted. The first time it is counted. */
enum visit_kind visit_of(struct session *s);
/** The line that says that it came: at once, or, where checks come from, when it turns out to be none. */
void visit_log_received(struct session *s);
/** It has turned out to be a client: it has sent more than a check does, or was admitted. */
void visit_is_client(struct session *s);
/** It has sent a StartupMessage as a check does: a user, and nothing else. */
bool visit_names_only_user(const struct session *s);

#endif
