/**
 * Times as PostgreSQL writes and reads them, in UTC: ISO dates, and intervals without months and years.
 *
 * [src: PostgreSQL 18, "Date/Time Types"]
 */
#ifndef PGSEAL_PGTYPES_PGTIME_H
#define PGSEAL_PGTYPES_PGTIME_H

#include "base/err.h"

struct buf;

#define USECS_PER_SEC INT64_C(1000000)
#define USECS_PER_DAY INT64_C(86400000000)
#define SECS_1970_TO_2000 INT64_C(946684800)
#define TIME_INFINITY INT64_MAX
#define TIME_MINUS_INFINITY INT64_MIN

/** "2026-11-21 03:10:12.5", with "+00" after where `zone`. */
void pgtime_write(struct buf *out, int64_t unix_us, bool zone);
/** "2026-11-21". */
void pgtime_write_date(struct buf *out, int64_t unix_days);
/** "1 day 02:03:04.5". */
void pgtime_write_interval(struct buf *out, int64_t us);
/**
 * now_us  what "now", "today", "yesterday" and "tomorrow" mean.
 * False for text that is no time; *out_range then tells whether a field was out of range.
 */
bool pgtime_read(struct str in, int64_t now_us, int64_t *out_us, bool *out_range);
/** False for text that is no interval, or one with months or years (*out_unsupported). */
bool pgtime_read_interval(struct str in, int64_t *out_us, bool *out_unsupported);
/** Days since 1970 of a proleptic Gregorian date. */
int64_t pgtime_days(int64_t year, unsigned month, unsigned day);

struct pgtime_fields {
    int64_t year;
    unsigned month;
    unsigned day;
    unsigned hour;
    unsigned minute;
    int64_t us; /* seconds and fraction within the minute */
};
struct pgtime_fields pgtime_split(int64_t unix_us);

#endif
