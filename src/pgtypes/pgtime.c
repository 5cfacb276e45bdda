/*
 * Times in UTC. A session of the status database knows no other zone, so text needs no zone tables.
 */
#include "pgtypes/pgtime.h"

#include "base/buf.h"
#include "base/check.h"

int64_t pgtime_days(int64_t year, unsigned month, unsigned day)
{
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t year_of_era = y - era * 400;
    int64_t month_from_march = month > 2 ? month - 3 : month + 9;
    int64_t day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;

    return era * 146097 + day_of_era - 719468;
}

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0 ? 1 : 0);
}

static void split_days(int64_t unix_days, struct pgtime_fields *out)
{
    int64_t z = unix_days + 719468;
    int64_t era = floor_div(z, 146097);
    int64_t day_of_era = z - era * 146097;
    int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month_from_march = (5 * day_of_year + 2) / 153;

    out->day = (unsigned)(day_of_year - (153 * month_from_march + 2) / 5 + 1);
    out->month = (unsigned)(month_from_march < 10 ? month_from_march + 3 : month_from_march - 9);
    out->year = year_of_era + era * 400 + (out->month <= 2 ? 1 : 0);
}

struct pgtime_fields pgtime_split(int64_t unix_us)
{
    struct pgtime_fields f;
    int64_t days = floor_div(unix_us, USECS_PER_DAY);
    int64_t rest = unix_us % USECS_PER_DAY;

    if (rest < 0)
        rest += USECS_PER_DAY;
    split_days(days, &f);
    f.hour = (unsigned)(rest / (3600 * USECS_PER_SEC));
    f.minute = (unsigned)(rest / (60 * USECS_PER_SEC) % 60);
    f.us = rest % (60 * USECS_PER_SEC);
    return f;
}

/* Seconds with as many places of fraction as are not zero. */
static void write_seconds(struct buf *out, int64_t us)
{
    int64_t fraction = us % USECS_PER_SEC;
    unsigned width = 6;

    buf_append_digits(out, (uint64_t)(us / USECS_PER_SEC), 2);
    if (fraction == 0)
        return;
    while (fraction % 10 == 0) {
        fraction /= 10;
        width--;
    }
    buf_append_byte(out, '.');
    buf_append_digits(out, (uint64_t)fraction, width);
}

static bool write_infinity(struct buf *out, int64_t value)
{
    if (value != TIME_INFINITY && value != TIME_MINUS_INFINITY)
        return false;
    buf_append_c(out, value == TIME_INFINITY ? "infinity" : "-infinity");
    return true;
}

static void write_ymd(struct buf *out, const struct pgtime_fields *f)
{
    int64_t year = f->year > 0 ? f->year : 1 - f->year; /* no year 0: it is 1 BC */

    buf_append_digits(out, (uint64_t)year, 4);
    buf_append_byte(out, '-');
    buf_append_digits(out, f->month, 2);
    buf_append_byte(out, '-');
    buf_append_digits(out, f->day, 2);
}

void pgtime_write(struct buf *out, int64_t unix_us, bool zone)
{
    struct pgtime_fields f = pgtime_split(unix_us);

    if (write_infinity(out, unix_us))
        return;
    write_ymd(out, &f);
    buf_append_byte(out, ' ');
    buf_append_digits(out, f.hour, 2);
    buf_append_byte(out, ':');
    buf_append_digits(out, f.minute, 2);
    buf_append_byte(out, ':');
    write_seconds(out, f.us);
    if (zone)
        buf_append_c(out, "+00");
    if (f.year <= 0)
        buf_append_c(out, " BC");
}

void pgtime_write_date(struct buf *out, int64_t unix_days)
{
    struct pgtime_fields f;

    if (write_infinity(out, unix_days))
        return;
    split_days(unix_days, &f);
    write_ymd(out, &f);
    if (f.year <= 0)
        buf_append_c(out, " BC");
}

void pgtime_write_interval(struct buf *out, int64_t us)
{
    int64_t days = us / USECS_PER_DAY;
    int64_t rest = us % USECS_PER_DAY;
    int64_t size = rest < 0 ? -rest : rest;

    if (days != 0)
        buf_printf(out, "%lld day%s", (long long)days, days == 1 ? "" : "s");
    if (days != 0 && rest == 0)
        return;
    buf_printf(out, "%s%s%02lld:%02lld:", days != 0 ? " " : "", rest < 0 ? "-" : "",
               (long long)(size / (3600 * USECS_PER_SEC)), (long long)(size / (60 * USECS_PER_SEC) % 60));
    write_seconds(out, size % (60 * USECS_PER_SEC));
}

/* ---- reading ---- */

static bool take_char(struct str *s, char c)
{
    if (s->n == 0 || s->p[0] != c)
        return false;
    *s = str_from(*s, 1);
    return true;
}

static bool take_number(struct str *s, size_t max_digits, int64_t *out)
{
    int64_t v = 0;
    size_t n = 0;

    while (n < s->n && n < max_digits && s->p[n] >= '0' && s->p[n] <= '9') {
        v = v * 10 + (s->p[n] - '0');
        n++;
    }
    if (n == 0)
        return false;
    *s = str_from(*s, n);
    *out = v;
    return true;
}

/* Digits after a point, as microseconds; further places are cut. */
static int64_t take_fraction(struct str *s)
{
    int64_t us = 0, unit = 100000;

    while (s->n > 0 && s->p[0] >= '0' && s->p[0] <= '9') {
        us += unit * (s->p[0] - '0');
        unit /= 10;
        *s = str_from(*s, 1);
    }
    return us;
}

/* HH:MM[:SS[.ffffff]] */
static bool take_clock(struct str *s, int64_t *out_us, bool *out_range)
{
    int64_t hour, minute, second = 0, fraction = 0;

    if (!take_number(s, 9, &hour) || !take_char(s, ':') || !take_number(s, 2, &minute))
        return false;
    if (take_char(s, ':')) {
        if (!take_number(s, 2, &second))
            return false;
        if (take_char(s, '.'))
            fraction = take_fraction(s);
    }
    *out_range = minute > 59 || second > 60;
    *out_us = ((hour * 60 + minute) * 60 + second) * USECS_PER_SEC + fraction;
    return true;
}

/* Nothing, Z, UTC, GMT, +HH, +HHMM, +HH:MM */
static bool take_zone(struct str *s, int64_t *out_us)
{
    int64_t hours, minutes = 0;
    bool west;

    *s = str_trim(*s);
    *out_us = 0;
    if (s->n == 0)
        return true;
    if (str_equal_nocase(*s, STR("z")) || str_equal_nocase(*s, STR("utc")) ||
        str_equal_nocase(*s, STR("gmt"))) {
        *s = str_from(*s, s->n);
        return true;
    }
    west = s->p[0] == '-';
    if (!west && s->p[0] != '+')
        return false;
    *s = str_from(*s, 1);
    if (!take_number(s, 2, &hours))
        return false;
    take_char(s, ':');
    if (s->n > 0 && !take_number(s, 2, &minutes))
        return false;
    *out_us = (hours * 60 + minutes) * 60 * USECS_PER_SEC * (west ? -1 : 1);
    return s->n == 0 && hours <= 15 && minutes <= 59;
}

static bool read_word(struct str in, int64_t now_us, int64_t *out_us)
{
    int64_t today = floor_div(now_us, USECS_PER_DAY) * USECS_PER_DAY;
    const struct {
        struct str word;
        int64_t us;
    } words[] = {
        { STR("now"), now_us },
        { STR("today"), today },
        { STR("yesterday"), today - USECS_PER_DAY },
        { STR("tomorrow"), today + USECS_PER_DAY },
        { STR("epoch"), 0 },
        { STR("infinity"), TIME_INFINITY },
        { STR("-infinity"), TIME_MINUS_INFINITY },
    };

    for (size_t i = 0; i < COUNT_OF(words); i++) {
        if (str_equal_nocase(in, words[i].word)) {
            *out_us = words[i].us;
            return true;
        }
    }
    return false;
}

bool pgtime_read(struct str in, int64_t now_us, int64_t *out_us, bool *out_range)
{
    struct str s = str_trim(in);
    int64_t year, month, day, clock_us = 0, zone_us = 0;
    bool range = false;

    *out_range = false;
    if (read_word(s, now_us, out_us))
        return true;
    if (!take_number(&s, 6, &year) || !take_char(&s, '-') || !take_number(&s, 2, &month) ||
        !take_char(&s, '-') || !take_number(&s, 2, &day))
        return false;
    if (s.n > 0 && (s.p[0] == ' ' || s.p[0] == 'T' || s.p[0] == 't')) {
        s = str_trim(str_from(s, 1));
        if (s.n > 0 && !take_clock(&s, &clock_us, &range))
            return false;
    }
    if (!take_zone(&s, &zone_us))
        return false;
    static const uint8_t lengths[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    *out_range = range || year < 1 || year > 294276 || month < 1 || month > 12 || day < 1 ||
                 clock_us > USECS_PER_DAY;
    if (*out_range)
        return false;
    *out_range = day > lengths[month - 1] + (month == 2 && leap ? 1 : 0);
    if (*out_range)
        return false;
    *out_us = pgtime_days(year, (unsigned)month, (unsigned)day) * USECS_PER_DAY + clock_us - zone_us;
    return true;
}

/* Microseconds of a unit's word; 0 for none, -1 for months and years. */
static int64_t unit_us(struct str word)
{
    static const struct {
        const char *names;
        int64_t us;
    } units[] = {
        { "us usec usecs microsecond microseconds", 1 },
        { "ms msec msecs millisecond milliseconds", 1000 },
        { "s sec secs second seconds", USECS_PER_SEC },
        { "m min mins minute minutes", 60 * USECS_PER_SEC },
        { "h hr hrs hour hours", 3600 * USECS_PER_SEC },
        { "d day days", USECS_PER_DAY },
        { "w week weeks", 7 * USECS_PER_DAY },
        { "mon mons month months y yr yrs year years decade decades century centuries", -1 },
    };

    for (size_t i = 0; i < COUNT_OF(units); i++) {
        struct str rest = str_c(units[i].names), name;
        while (str_split(&rest, ' ', &name))
            if (str_equal_nocase(name, word))
                return units[i].us;
    }
    return 0;
}

static struct str take_word(struct str *s)
{
    size_t n = 0;

    while (n < s->n && ((s->p[n] | 0x20) >= 'a' && (s->p[n] | 0x20) <= 'z'))
        n++;
    struct str word = str_first(*s, n);
    *s = str_from(*s, n);
    return word;
}

/* One part: a clock, or a number with its unit (seconds where none follows). */
static bool take_part(struct str *s, int64_t *out_us, bool *out_unsupported)
{
    bool negative = take_char(s, '-'), range;
    int64_t whole = 0, fraction_us = 0, unit, sum;
    struct str ahead;

    if (!negative)
        take_char(s, '+');
    ahead = *s;
    if (take_clock(&ahead, out_us, &range)) {
        *s = ahead;
        *out_us = negative ? -*out_us : *out_us;
        return !range;
    }
    if (!take_number(s, 12, &whole))
        return false;
    if (take_char(s, '.'))
        fraction_us = take_fraction(s);
    *s = str_trim(*s);
    ahead = *s;
    struct str word = take_word(&ahead);
    unit = word.n == 0 ? USECS_PER_SEC : unit_us(word);
    *out_unsupported = unit < 0;
    if (unit <= 0)
        return false;
    *s = ahead;
    if (__builtin_mul_overflow(whole, unit, &sum) ||
        __builtin_add_overflow(sum, (int64_t)((double)fraction_us * (double)unit / 1e6), &sum))
        return false;
    *out_us = negative ? -sum : sum;
    return true;
}

bool pgtime_read_interval(struct str in, int64_t *out_us, bool *out_unsupported)
{
    struct str s = str_trim(in);
    int64_t total = 0, part;
    bool any = false;

    *out_unsupported = false;
    if (take_char(&s, '@'))
        s = str_trim(s);
    while (s.n > 0) {
        if (any && str_equal_nocase(s, STR("ago"))) {
            total = -total;
            break;
        }
        if (!take_part(&s, &part, out_unsupported) || __builtin_add_overflow(total, part, &total))
            return false;
        any = true;
        s = str_trim(s);
        if (take_char(&s, ','))
            s = str_trim(s);
    }
    if (!any)
        return false;
    *out_us = total;
    return true;
}
