/* Shares of a life: days left say nothing about a certificate that lives for a week. */
#include "pki/expiry.h"

#include <time.h>

enum { DAY_S = 86400, EXPIRY_WARNING_PART = 4, EXPIRY_CRITICAL_PART = 6 };

/* Far beyond any date a certificate can carry, and sums of two cannot wrap. */
static const int64_t forever_s = INT64_MAX / 4;

static int64_t clamp(int64_t t)
{
    return t > forever_s ? forever_s : t < -forever_s ? -forever_s : t;
}

/* Less than `days`, or than one part in `parts` of the life. */
static bool is_below(const struct expiry *x, int64_t left_s, const unsigned *days, unsigned parts)
{
    return days ? left_s < (int64_t)*days * DAY_S : x->life_left < 1.0 / parts;
}

struct expiry expiry_judge_by(const struct expiry_days *days, int64_t not_before_s, int64_t not_after_s,
                              int64_t now_s)
{
    bool forever = not_after_s == INT64_MAX;

    not_before_s = clamp(not_before_s);
    not_after_s = clamp(not_after_s);
    now_s = clamp(now_s);
    int64_t left_s = not_after_s - now_s, life_s = not_after_s - not_before_s;
    struct expiry x = { .not_yet = now_s<not_before_s, .over = now_s> not_after_s };

    x.days_left = left_s >= 0 ? left_s / DAY_S : -((-left_s + DAY_S - 1) / DAY_S);
    if (life_s > 0 && left_s > 0)
        x.life_left = left_s < life_s ? (double)left_s / (double)life_s : 1.0;
    if (x.over || x.not_yet)
        x.status = EXPIRY_CRITICAL;
    else if (forever)
        x.status = EXPIRY_OK;
    else if (is_below(&x, left_s, days ? &days->critical : NULL, EXPIRY_CRITICAL_PART))
        x.status = EXPIRY_CRITICAL;
    else if (is_below(&x, left_s, days ? &days->warning : NULL, EXPIRY_WARNING_PART))
        x.status = EXPIRY_WARNING;
    return x;
}

struct expiry expiry_judge(int64_t not_before_s, int64_t not_after_s, int64_t now_s)
{
    return expiry_judge_by(NULL, not_before_s, not_after_s, now_s);
}

const char *expiry_status_name(enum expiry_status status)
{
    static const char *const names[] = {
        [EXPIRY_OK] = "ok", [EXPIRY_WARNING] = "warning", [EXPIRY_CRITICAL] = "critical"
    };

    return names[status];
}

const char *expiry_date(int64_t unix_s, char out[EXPIRY_DATE_SIZE])
{
    time_t t = (time_t)unix_s;
    struct tm tm;

    if (!gmtime_r(&t, &tm) || strftime(out, EXPIRY_DATE_SIZE, "%Y-%m-%d %H:%M:%S UTC", &tm) == 0)
        out[0] = '\0';
    return out;
}
