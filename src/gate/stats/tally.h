/**
 * Who failed why: counted per worker, in bounded memory, the oldest forgotten. And what a session is counted
 * as.
 *
 * A row is also the message: what was seen once is a row with a count of one, and rows of one key are merged,
 * within a worker as over all of them.
 */
#ifndef PGSEAL_GATE_STATS_TALLY_H
#define PGSEAL_GATE_STATS_TALLY_H

#include "base/err.h"
#include "status/clients.h"
#include "tls/cause.h"

struct arena;
struct tally;

enum {
    TALLY_FAILURES_MAX = 512, /* per worker */
    TALLY_NAME_SIZE = 64,
    TALLY_TEXT_SIZE = 128,
    TALLY_ADDRESS_SIZE = 48,
    TALLY_SPANS = 12, /* an hour */
    TALLY_SPAN_S = 300
};

/** Counts of the latest spans of time. */
struct tally_spans {
    int64_t last;                 /* number of the latest span, since 1970 */
    uint32_t counts[TALLY_SPANS]; /* of span `last`, of the one before, … */
};

/** Compared as bytes: no padding, and the address is filled up with zeros. */
struct tally_key {
    enum cause cause;
    char address[TALLY_ADDRESS_SIZE];
};

/** Texts that are pointers are static. Empty: not known. */
struct tally_row {
    struct tally_key key;
    const char *alert;
    const char *tls_version;
    char user[TALLY_NAME_SIZE];
    char sni[TALLY_TEXT_SIZE];
    int64_t count;
    int64_t first_us, last_us;
    struct tally_spans spans; /* failures: when `count` was counted */
};

/** A row as bytes, for another process. */
struct tally_saved {
    char cause[32], alert[64], tls_version[16];
    char address[TALLY_ADDRESS_SIZE], user[TALLY_NAME_SIZE], sni[TALLY_TEXT_SIZE];
    int64_t count, first_us, last_us;
    struct tally_spans spans;
};
void tally_save(const struct tally_row *row, struct tally_saved *out);
/** Nothing is trusted of it. False: it is of a cause that there is not. */
bool tally_restore(const struct tally_saved *saved, struct tally_row *out);

/** `limit`: rows to keep. NULL when memory ran out. */
struct tally *tally_new(size_t limit);
/** NULL is fine. */
void tally_free(struct tally *tally);
/** Count what was seen. Without memory it is not counted. */
void tally_note(struct tally *tally, const struct tally_row *seen);
/** Copies of all rows, the latest first. False when memory ran out. */
MUST_CHECK bool tally_copy(const struct tally *tally, struct arena *arena, const struct tally_row **out,
                           size_t *out_n);

/** The number of the span that a time belongs to. */
int64_t tally_span_of(int64_t unix_us);
/** Add `from` to `to`, of which spans that are too old fall out. An empty `from` only moves `to` on. */
void tally_spans_add(struct tally_spans *to, const struct tally_spans *from);

#endif
