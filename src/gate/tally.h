/**
 * Who failed why, and who connects how: counted per worker, in bounded memory, the oldest forgotten.
 *
 * A row is also the message: what was seen once is a row with a count of one, and rows of one key are merged,
 * within a worker as over all of them.
 */
#ifndef PGSEAL_GATE_TALLY_H
#define PGSEAL_GATE_TALLY_H

#include "base/err.h"

struct arena;
struct session;
struct tally;

enum tally_kind { TALLY_FAILURE, TALLY_CLIENT };

enum {
    TALLY_FAILURES_MAX = 512, /* per worker */
    TALLY_CLIENTS_MAX = 1024,
    TALLY_NAME_SIZE = 64,
    TALLY_TEXT_SIZE = 128
};

/** Texts that are pointers are static. Empty: not known. */
struct tally_row {
    enum tally_kind kind;
    const char *cause; /* failures */
    const char *hint;
    const char *alert;
    const char *tls_version; /* clients: the weakest seen */
    const char *sslmode;     /* clients: what the wire tells of it */
    const char *binding;
    char address[48]; /* part of the key, as are cause, and of clients user and application */
    char user[TALLY_NAME_SIZE];
    char application[TALLY_NAME_SIZE];
    char sni[TALLY_TEXT_SIZE];
    char issuer[TALLY_TEXT_SIZE];
    bool alpn;
    bool direct;
    int64_t count; /* failures; or sessions that were admitted */
    int64_t plaintext;
    int64_t first_us, last_us;
};

/** NULL when memory ran out. */
struct tally *tally_new(void);
/** NULL is fine. */
void tally_free(struct tally *tally);
/** Count what was seen. Without memory it is not counted. `limits`: forget the oldest beyond the maximum. */
void tally_note(struct tally *tally, const struct tally_row *seen, bool limits);
/** Copies of all rows of all kinds, the latest first. False when memory ran out. */
MUST_CHECK bool tally_copy(const struct tally *tally, struct arena *arena, const struct tally_row **out,
                           size_t *out_n);

/** A session failed. cause and hint: static; hint may be "". */
void session_tally_failure(struct session *s, const char *cause, const char *hint);
/** A session was admitted, or ends without having been. */
void session_tally_client(struct session *s, bool admitted);

#endif
