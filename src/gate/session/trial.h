/**
 * Trials: some handshakes show another certificate than the server's, and what the client does then tells whom it
 * verifies (docs/evidence.md).
 *
 * The certificate of the next CA is a right one: a client that accepts it goes on as always. A canary is the
 * certificate of an impostor: behind it the client is asked nothing and told nothing but that it should try again.
 */
#ifndef PGSEAL_GATE_SESSION_TRIAL_H
#define PGSEAL_GATE_SESSION_TRIAL_H

#include "gate/session/session.h"
#include "tls/engine_facts.h"

/** The handshake begins: it may become a trial. Costs nothing where no trials are made. */
void trial_watch(struct session *s);
/** The handshake failed. True: it was a trial, and all is said about it. */
bool trial_failed(struct session *s, const struct tls_handshake_facts *facts);
/** The client left after the handshake without a word. True: as above. */
bool trial_left(struct session *s);
/** Its StartupMessage is there. STEP_DONE: go on. */
enum step trial_startup(struct session *s, struct err *e);
/** The session has ended; a trial that came to nothing is counted. */
void trial_ended(struct session *s);

#endif
