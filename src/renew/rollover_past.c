/* The journal of rollovers, read. */
#include "renew/rollover_past.h"

#include "base/arena.h"
#include "base/check.h"
#include "os/journal.h"

enum { SECOND_US = 1000000 };

static const char *const phase_words[] = {
#define X(phase, word, name) word,
    ROLLOVER_PHASES(X)
#undef X
};

static const char *const phase_names[] = {
#define X(phase, word, name) name,
    ROLLOVER_PHASES(X)
#undef X
};

static const char *const step_words[] = {
#define X(step, word) word,
    ROLLOVER_STEPS(X)
#undef X
};

const char *rollover_phase_name(enum rollover_phase phase)
{
    return phase_names[phase];
}

const char *rollover_phase_word(enum rollover_phase phase)
{
    return phase_words[phase];
}

const char *rollover_step_name(enum rollover_step step)
{
    return step_words[step];
}

bool rollover_open_phase(enum rollover_phase phase)
{
    return phase != ROLLOVER_IDLE && phase != ROLLOVER_FINISHED && phase != ROLLOVER_ABORTED;
}

bool rollover_unfinished(enum rollover_phase phase)
{
    return phase == ROLLOVER_STARTING || phase == ROLLOVER_ISSUING || phase == ROLLOVER_FINISHING ||
           phase == ROLLOVER_ABORTING;
}

/* ---- one line ---- */

static void take_step(struct str word, struct rollover_past *past)
{
    for (size_t i = 1; i < COUNT_OF(step_words); i++)
        if (str_is(word, step_words[i])) {
            past->step = (enum rollover_step)i;
            past->failed = STR("");
        }
}

static void begin(struct str words, int64_t when_us, struct rollover_past *past)
{
    int64_t when = when_us / SECOND_US;
    struct str kind;

    *past = (struct rollover_past){ .phase = ROLLOVER_STARTING, .start_unix_s = when, .phase_unix_s = when };
    past->own = str_split(&words, ' ', &kind) && str_is(kind, "own");
    past->ca_dir = past->own ? words : STR("");
}

static void take_phase(struct str word, struct str words, int64_t when_us, struct rollover_past *past)
{
    for (size_t i = 1; i < COUNT_OF(phase_words); i++) {
        if (!str_is(word, phase_words[i]))
            continue;
        enum rollover_phase phase = (enum rollover_phase)i;
        if (phase == ROLLOVER_STARTING) {
            begin(words, when_us, past);
            return;
        }
        past->phase = phase;
        past->step = ROLLOVER_STEP_NONE;
        past->phase_unix_s = when_us / SECOND_US;
        past->both_us = phase == ROLLOVER_STARTED ? when_us : past->both_us;
        past->issued = past->issued || phase == ROLLOVER_ISSUING;
        past->failed = STR("");
    }
}

enum code rollover_past_read(struct str journal, struct arena *arena, struct rollover_past *out,
                             struct err *e)
{
    struct rollover_past past = { .phase = ROLLOVER_IDLE };
    struct str line, word;
    int64_t when_us;

    while (os_journal_next(&journal, &line)) {
        if (!os_journal_time_us(&line, &when_us) || !str_split(&line, ' ', &word))
            continue;
        if (str_is(word, "step"))
            take_step(line, &past);
        else if (str_is(word, "failed"))
            past.failed = line;
        else
            take_phase(word, line, when_us, &past);
    }
    if (!arena_str(arena, past.ca_dir, &past.ca_dir) || !arena_str(arena, past.failed, &past.failed))
        return err_set(e, E_NOMEM, "out of memory");
    *out = past;
    return OK;
}
