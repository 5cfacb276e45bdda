/**
 * How far a rollover has come, as its journal tells.
 *
 *   2026-11-29T23:30:00Z start own /etc/pgseal/ca
 *   2026-11-29T23:30:00Z step roots
 *   2026-11-29T23:30:01Z started
 *   2026-11-30T09:00:00Z servers
 *   2026-11-30T09:00:01Z failed issue: the CA's key is not there
 *
 * Each line is on the disk before what it announces is done. What begins a phase and what ends it are words of their own, so
 * that a phase without its end was interrupted; every step may be taken again.
 */
#ifndef PGSEAL_RENEW_ROLLOVER_PAST_H
#define PGSEAL_RENEW_ROLLOVER_PAST_H

#include "base/err.h"

struct arena;

/*  phase        word of the journal   what goes on, or what is reached */
#define ROLLOVER_PHASES(X)                                                                                   \
    X(IDLE, "", "none")                                                                                      \
    X(STARTING, "start", "starting")                                                                         \
    X(STARTED, "started", "started")                                                                         \
    X(ISSUING, "servers", "issuing")                                                                         \
    X(ISSUED, "served", "issued")                                                                            \
    X(FINISHING, "finish", "finishing")                                                                      \
    X(FINISHED, "finished", "finished")                                                                      \
    X(ABORTING, "abort", "aborting")                                                                         \
    X(ABORTED, "aborted", "aborted")

enum rollover_phase {
#define X(phase, word, name) ROLLOVER_##phase,
    ROLLOVER_PHASES(X)
#undef X
};

/*  step     word */
#define ROLLOVER_STEPS(X)                                                                                    \
    X(NONE, "")                                                                                              \
    X(CHECK, "check")                                                                                        \
    X(CA, "ca")                                                                                              \
    X(LISTS, "lists")                                                                                        \
    X(ROOTS, "roots")                                                                                        \
    X(PAIR, "pair")                                                                                          \
    X(EXCHANGE, "exchange")                                                                                  \
    X(ISSUE, "issue")                                                                                        \
    X(RELOAD, "reload")                                                                                      \
    X(RETIRE, "retire")

enum rollover_step {
#define X(step, word) ROLLOVER_STEP_##step,
    ROLLOVER_STEPS(X)
#undef X
};

/** "starting", "started", … */
const char *rollover_phase_name(enum rollover_phase phase);
/** The word that the journal has for it. */
const char *rollover_phase_word(enum rollover_phase phase);
const char *rollover_step_name(enum rollover_step step);
/** Is a rollover under way: begun, and neither finished nor aborted? */
bool rollover_open_phase(enum rollover_phase phase);
/** Does the phase want its end: was a run interrupted in it, or is one at work? */
bool rollover_unfinished(enum rollover_phase phase);

/** Texts live in the arena. */
struct rollover_past {
    enum rollover_phase phase;
    enum rollover_step step; /* the last that was begun in this phase */
    int64_t phase_unix_s;    /* since when it is in this phase */
    int64_t start_unix_s;    /* of the last rollover; 0: there was none */
    int64_t both_us;   /* since when both roots are in force, so that evidence counts; 0: they are not yet */
    bool own;          /* the CA is ours; else the new roots came from somebody */
    bool issued;       /* certificates of the new CA may be in use: "servers" was begun */
    struct str ca_dir; /* of an own CA */
    struct str failed; /* why the last attempt at this phase failed; empty: it did not */
};

/** Lines that cannot be read are passed over. E_NOMEM. */
MUST_CHECK enum code rollover_past_read(struct str journal, struct arena *arena, struct rollover_past *out,
                                        struct err *e);

#endif
