/**
 * The journal of renewals: what was done to which pair, step by step.
 *
 *   2026-11-29T23:30:00Z server swap 20261129T233000-1 20260901T221500-1
 *   2026-11-29T23:30:01Z server failed - check: the certificate has lost the name dns:db.example.com
 *
 * One line per step: time, pair, event, generation or "-", and words for people; after a swap comes the generation
 * that was in force before. A line is on the disk before
 * what it announces is done, so that the next run knows where one that was killed had come to. A last line
 * without its end was not finished and counts for nothing.
 */
#ifndef PGSEAL_RENEW_JOURNAL_H
#define PGSEAL_RENEW_JOURNAL_H

#include "base/err.h"

struct arena;
struct buf;
struct env;

/*  event    word       the step that a failure in it names */
#define RENEW_EVENTS(X)                                                                                      \
    X(BEGIN, "begin")                                                                                        \
    X(READ, "read")                                                                                          \
    X(KEY, "key")                                                                                            \
    X(ISSUE, "issue")                                                                                        \
    X(CHECK, "check")                                                                                        \
    X(STAGE, "stage")                                                                                        \
    X(SWAP, "swap")                                                                                          \
    X(RELOAD, "reload")                                                                                      \
    X(VERIFY, "verify")                                                                                      \
    X(DONE, "done")                                                                                          \
    X(FAILED, "failed")                                                                                      \
    X(BACK, "back")

enum renew_event {
#define X(event, word) RENEW_##event,
    RENEW_EVENTS(X)
#undef X
};

/** "begin", "key", … */
const char *renew_event_name(enum renew_event event);

enum { RENEW_GENERATION_MAX = 40 };

/** What the journal says of one pair. Texts live in the arena. */
struct renew_past {
    int64_t done_unix_s;   /* of the last renewal; 0: none */
    int64_t failed_unix_s; /* of the last failure since then; 0: none */
    unsigned failures;     /* since then */
    struct str why;        /* of the last failure: "STEP: words"; empty: none */
    enum renew_event step; /* that STEP; RENEW_BEGIN where it cannot be read */
    struct str open;       /* generation of a swap that was neither done nor taken back; empty: none */
    struct str before;     /* … and the one in force before it */
};

/**
 * Read the past of one pair out of the journal's text. Lines that cannot be read are passed over: a renewal is
 * worth more than its history.
 */
MUST_CHECK enum code renew_journal_read(struct str text, struct str pair, struct arena *arena,
                                        struct renew_past *out, struct err *e);

/** One line. Borrowed. */
struct renew_line {
    struct str pair;
    enum renew_event event;
    const char *generation; /* NULL: none */
    const char *words;      /* NULL: none; line ends in it become blanks */
};

/** Append a line to the file `path` (0600, made if need be) and wait until the disk has it. */
MUST_CHECK enum code renew_journal_add(const char *path, const struct renew_line *line, const struct env *env,
                                       struct err *e);
/** The file's text, appended to `out`; nothing where there is none. Only the end of one that is very long. */
MUST_CHECK enum code renew_journal_load(const char *path, struct buf *out, struct err *e);

#endif
