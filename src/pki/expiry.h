/**
 * How long something remains valid, and when to worry.
 */
#ifndef PGSEAL_PKI_EXPIRY_H
#define PGSEAL_PKI_EXPIRY_H

#include <stdbool.h>
#include <stdint.h>

enum { EXPIRY_DATE_SIZE = 32 };
enum expiry_status { EXPIRY_OK, EXPIRY_WARNING, EXPIRY_CRITICAL };

struct expiry {
    enum expiry_status status;
    int64_t days_left; /* whole days, rounded down; negative after the end */
    double life_left;  /* share of the whole life, 0 … 1 */
    bool not_yet;      /* now is before the beginning */
    bool over;         /* now is after the end */
};

/** Days left below which a person wants to hear of it, in place of shares of a life. */
struct expiry_days {
    unsigned warning, critical;
};

/**
 * Critical: over, not yet begun, or less than a sixth of the life left; warning: less than a quarter. So a life
 * of more than 120 days is told of at least 30 days ahead. An end of INT64_MAX is never reached.
 * [choice: shares instead of days, so that 6-day and 10-year lives need no settings. Renewal is due at a third:
 * who sees a warning has a renewal that did not happen]
 */
struct expiry expiry_judge(int64_t not_before_s, int64_t not_after_s, int64_t now_s);
/** The same by days left; NULL: by shares. */
struct expiry expiry_judge_by(const struct expiry_days *days, int64_t not_before_s, int64_t not_after_s,
                              int64_t now_s);
/** "ok", "warning", "critical". */
const char *expiry_status_name(enum expiry_status status);
/** "2026-11-21 08:00:00 UTC", in `out`; "" for what is no date. Returns `out`. */
const char *expiry_date(int64_t unix_s, char out[EXPIRY_DATE_SIZE]);

#endif
