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
    TALLY_TEXT_SIZE = 128,
    TALLY_SPANS = 12, /* an hour */
    TALLY_SPAN_S = 300
};

/** Counts of the latest spans of time. */
struct tally_spans {
    int64_t last;                 /* number of the latest span, since 1970 */
    uint32_t counts[TALLY_SPANS]; /* of span `last`, of the one before, … */
};

/** Texts that are pointers are static. Empty: not known. */
struct tally_row {
    enum tally_kind kind;
    const char *cause; /* failures */
    const char *likely;
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
    struct tally_spans spans; /* failures: when `count` was counted */
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

/** The number of the span that a time belongs to. */
int64_t tally_span_of(int64_t unix_us);
/** Add `from` to `to`, of which spans that are too old fall out. An empty `from` only moves `to` on. */
void tally_spans_add(struct tally_spans *to, const struct tally_spans *from);

/** A session failed. All static; likely and hint may be "". */
void session_tally_failure(struct session *s, const char *cause, const char *likely, const char *hint);
/** A session was admitted, or ends without having been. */
void session_tally_client(struct session *s, bool admitted);

#endif
