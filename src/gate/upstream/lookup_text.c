/* What a server writes for times and truths, read. */
#include "gate/upstream/lookup_text.h"

#include <time.h>

/* A number in front of `sep`, or all of `*rest` for '\0'; digits after it in seconds do not matter. */
static bool take_number(struct str *rest, char sep, int *out)
{
    struct str part = *rest;
    uint32_t value;

    if (sep && !str_split(rest, sep, &part))
        return false;
    if (!sep)
        part = str_first(part, 2);
    if (!str_to_u32(part, 0, 300000, &value))
        return false;
    *out = (int)value;
    return true;
}

/* "2027-01-31 12:00:00.25+00", "infinity", "-infinity": what DateStyle ISO in UTC prints. */
bool lookup_read_time(struct str text, bool *out_finite, int64_t *out_us)
{
    struct tm tm = { 0 };

    *out_finite = false;
    if (str_is(text, "infinity"))
        return true;
    *out_finite = true;
    *out_us = 0; /* "-infinity", and everything before our era: over long ago */
    if (str_is(text, "-infinity") || str_ends(text, STR(" BC")))
        return true;
    if (!take_number(&text, '-', &tm.tm_year) || !take_number(&text, '-', &tm.tm_mon) ||
        !take_number(&text, ' ', &tm.tm_mday) || !take_number(&text, ':', &tm.tm_hour) ||
        !take_number(&text, ':', &tm.tm_min) || !take_number(&text, '\0', &tm.tm_sec))
        return false;
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    *out_us = (int64_t)timegm(&tm) * 1000000;
    return true;
}

/* What PostgreSQL prints of a boolean; 'false' is what a function that returns text may say. */
bool lookup_read_bool(struct str text, bool *out)
{
    *out = str_is(text, "t") || str_is(text, "true");
    return *out || str_is(text, "f") || str_is(text, "false");
}
