/* Renewal in time. */
#include "renew/due.h"

enum {
    DAY_S = 86400,
    SHORT_LIFE_S = 10 * DAY_S,
    FIRST_WAIT_S = 15 * 60,
    LEAST_WAIT_S = 60,
    DOUBLINGS_MAX = 7
};

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t by_life(const struct due_facts *facts)
{
    int64_t life = facts->not_after_unix_s - facts->not_before_unix_s;

    if (facts->at_once)
        return facts->not_before_unix_s;
    if (facts->share > 0)
        return facts->not_after_unix_s - life / 100 * facts->share;
    return facts->not_after_unix_s - (life < SHORT_LIFE_S ? life / 2 : life / 3);
}

/* False where the CA has no wish, or one that comes too late to leave room. */
static bool by_window(const struct due_facts *facts, int64_t *out)
{
    int64_t life = facts->not_after_unix_s - facts->not_before_unix_s;
    int64_t length = facts->window_end_unix_s - facts->window_start_unix_s;

    if (facts->window_start_unix_s == 0 || length < 0)
        return false;
    int64_t when = facts->window_start_unix_s + (int64_t)(facts->at * (double)length);
    if (when >= facts->not_after_unix_s - life / 10)
        return false;
    *out = when;
    return true;
}

static int64_t wait_after(const struct due_facts *facts)
{
    unsigned doublings = facts->failures - 1 < DOUBLINGS_MAX ? facts->failures - 1 : DOUBLINGS_MAX;
    int64_t wait = least((int64_t)FIRST_WAIT_S << doublings, DAY_S);

    wait = least(wait, (facts->not_after_unix_s - facts->failed_unix_s) / 16);
    return wait < LEAST_WAIT_S ? LEAST_WAIT_S : wait;
}

struct due due_judge(const struct due_facts *facts)
{
    struct due due = { .renew_unix_s = by_life(facts) };

    due.by_window = by_window(facts, &due.renew_unix_s);
    due.due = facts->at_once || facts->now_unix_s >= due.renew_unix_s;
    if (facts->failures == 0)
        return due;
    due.next_attempt_unix_s = facts->failed_unix_s + wait_after(facts);
    /* A clock that was set back must not hold anything up. */
    due.waits = due.due && facts->now_unix_s < due.next_attempt_unix_s &&
                facts->now_unix_s >= facts->failed_unix_s;
    return due;
}
