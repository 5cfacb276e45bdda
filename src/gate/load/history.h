/**
 * What the last loads of the configuration came to: a small ring that the steward keeps.
 */
#ifndef PGSEAL_GATE_LOAD_HISTORY_H
#define PGSEAL_GATE_LOAD_HISTORY_H

#include <stddef.h>
#include <stdint.h>

enum { HISTORY_MAX = 64, HISTORY_TEXT_MAX = 256 };

struct history_row {
    int64_t at_us;
    unsigned generation;
    const char *trigger; /* static */
    const char *result;  /* static: loaded, refused or restored */
    char file[HISTORY_TEXT_MAX];
    char error[HISTORY_TEXT_MAX];
    unsigned line; /* 0: none */
};

/** Starts as zero. */
struct history {
    struct history_row rows[HISTORY_MAX];
    size_t n; /* ever added */
};

/** A new row, the oldest forgotten; never NULL. The caller may fill in file, line and error. */
struct history_row *history_add(struct history *history, int64_t at_us, unsigned generation,
                                const char *trigger, const char *result);
/** A row as bytes, for another process. */
struct history_saved {
    int64_t at_us;
    unsigned generation, line;
    char trigger[32], result[16];
    char file[HISTORY_TEXT_MAX];
    char error[HISTORY_TEXT_MAX];
};
void history_save(const struct history_row *row, struct history_saved *out);
/** Add a row that was saved; nothing is trusted of it. */
void history_restore(struct history *history, const struct history_saved *saved);
/** Rows there are; row 0 is the oldest. */
size_t history_count(const struct history *history);
const struct history_row *history_at(const struct history *history, size_t index);

#endif
