/**
 * Why a connection failed, in words for people: one closed list, tables/causes.def. What made TLS fail is
 * found out here; for the rest the gate knows best.
 */
#ifndef PGSEAL_TLS_CAUSE_H
#define PGSEAL_TLS_CAUSE_H

struct tls_handshake_facts;

enum cause {
    CAUSE_NONE,
#define X(name, id, text, next) name,
#include "causes.def"
#undef X
    CAUSE_COUNT
};

/** "unknown_ca"; "" for CAUSE_NONE. */
const char *cause_id(enum cause cause);
/** The likely cause, one clause. */
const char *cause_text(enum cause cause);
/** What to do: a command, or what to change. */
const char *cause_next(enum cause cause);

/** The cause of a handshake that failed on the server's side; never CAUSE_NONE. */
enum cause cause_of_handshake(const struct tls_handshake_facts *facts);

#endif
