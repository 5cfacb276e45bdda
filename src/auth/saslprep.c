/*
 * SASLprep over libidn's tables, in PostgreSQL's order.
 *
 * RFC 4013 checks the normalized text; PostgreSQL checks what it has before NFKC, after mapping. The
 * difference shows: U+0340 is prohibited although NFKC would turn it into the harmless U+0300, and U+2135 (no
 * letter of the right-to-left kind) passes although NFKC makes it one. A secret made by PostgreSQL must be
 * matched, so its order is ours. libidn's whole profile would check afterwards; it runs here without its NFKC
 * step.
 *
 * libidn's normalization keeps a copy on the heap that we cannot wipe; only non-ASCII passwords get there.
 */
#include "auth/saslprep.h"

#include "base/check.h"
#include "base/secret.h"

#include <idn-free.h>
#include <pr29.h>
#include <stringprep.h>

enum { PROFILE_MAX = 32 }; /* steps of libidn's profile, with the one that ends it */

/* Code points of one password. Mapping never makes more of them. */
struct points {
    size_t n;
    uint32_t p[SECRET_MAX];
};

struct points_view {
    const uint32_t *p;
    size_t n;
};

static void points_auto(struct points *points)
{
    wipe(points, sizeof *points);
}

static bool is_ascii(struct bytes b)
{
    for (size_t i = 0; i < b.n; i++)
        if (b.p[i] >= 0x80)
            return false;
    return true;
}

/*
 * One character of UTF-8: shortest form, no surrogates, at most U+10FFFF [src: RFC 3629 §3].
 * Returns its length, or 0.
 */
static size_t utf8_next(struct bytes b, uint32_t *out)
{
    static const uint32_t smallest[] = { 0, 0, 0x80, 0x800, 0x10000 };
    uint8_t first = b.p[0];
    size_t n = first < 0x80   ? 1
               : first < 0xC0 ? 0
               : first < 0xE0 ? 2
               : first < 0xF0 ? 3
               : first < 0xF8 ? 4
                              : 0;
    uint32_t point = n == 1 ? first : first & (0xFFU >> (n + 1));

    if (n == 0 || n > b.n)
        return 0;
    for (size_t i = 1; i < n; i++) {
        if ((b.p[i] & 0xC0) != 0x80)
            return 0;
        point = point << 6 | (b.p[i] & 0x3FU);
    }
    if (n > 1 && (point < smallest[n] || point > 0x10FFFF || (point >= 0xD800 && point <= 0xDFFF)))
        return 0;
    *out = point;
    return n;
}

static bool utf8_decode(struct bytes b, struct points *out)
{
    out->n = 0;
    while (b.n > 0) {
        size_t n = utf8_next(b, &out->p[out->n]);
        if (n == 0)
            return false;
        out->n++;
        b = bytes_from(b, n);
    }
    return true;
}

static bool utf8_append(struct buf *out, uint32_t point)
{
    uint8_t utf8[4];
    size_t n = 0;

    if (point < 0x80) {
        utf8[n++] = (uint8_t)point;
    } else if (point < 0x800) {
        utf8[n++] = (uint8_t)(0xC0 | point >> 6);
        utf8[n++] = (uint8_t)(0x80 | (point & 0x3F));
    } else if (point < 0x10000) {
        utf8[n++] = (uint8_t)(0xE0 | point >> 12);
        utf8[n++] = (uint8_t)(0x80 | (point >> 6 & 0x3F));
        utf8[n++] = (uint8_t)(0x80 | (point & 0x3F));
    } else {
        utf8[n++] = (uint8_t)(0xF0 | point >> 18);
        utf8[n++] = (uint8_t)(0x80 | (point >> 12 & 0x3F));
        utf8[n++] = (uint8_t)(0x80 | (point >> 6 & 0x3F));
        utf8[n++] = (uint8_t)(0x80 | (point & 0x3F));
    }
    return buf_append(out, bytes_of(utf8, n));
}

/* The steps of libidn's profile but one; it refuses to leave NFKC out when asked by flag. */
static void profile_without_nfkc(Stringprep_profile out[PROFILE_MAX])
{
    size_t n = 0;

    for (const Stringprep_profile *step = stringprep_saslprep; step->operation != 0; step++) {
        CHECK(n < PROFILE_MAX - 1);
        if (step->operation != STRINGPREP_NFKC)
            out[n++] = *step;
    }
    memset(&out[n], 0, sizeof out[n]);
}

/* Map, then refuse what is prohibited, unassigned, or mixes directions. False: use the raw bytes. */
static bool map_and_check(struct points *points)
{
    size_t n = points->n;
    Stringprep_profile profile[PROFILE_MAX];

    profile_without_nfkc(profile);
    if (stringprep_4i(points->p, &n, COUNT_OF(points->p), STRINGPREP_NO_UNASSIGNED, profile) != STRINGPREP_OK)
        return false;
    points->n = n;
    return n > 0;
}

/*
 * Five ideographs whose decompositions Unicode 3.2 had wrong [src: Unicode Corrigendum 4]; PostgreSQL's
 * tables are newer, libidn's are not.
 */
static uint32_t corrected(uint32_t point)
{
    static const uint32_t corrections[][2] = {
        { 0x2F868, 0x36FC }, { 0x2F874, 0x5F53 }, { 0x2F91F, 0x243AB },
        { 0x2F95F, 0x7AEE }, { 0x2F9BF, 0x45D7 },
    };

    for (size_t i = 0; i < COUNT_OF(corrections); i++)
        if (corrections[i][0] == point)
            return corrections[i][1];
    return point;
}

/*
 * How many of these code points can be normalized at once: up to the last of a sequence that libidn would
 * compose across a mark although nothing may [src: Unicode Public Review Issue 29, Corrigendum 5]. Not seen:
 * a sequence that arises only when halfwidth or compatibility jamo are replaced.
 */
static size_t composable(struct points_view view)
{
    if (pr29_4(view.p, view.n) == PR29_SUCCESS)
        return view.n;
    for (size_t n = 2; n < view.n; n++)
        if (pr29_4(view.p, n + 1) != PR29_SUCCESS)
            return n;
    return view.n;
}

static enum code normalize_part(struct points_view part, struct buf *out)
{
    uint32_t *normal = stringprep_ucs4_nfkc_normalize(part.p, (ssize_t)part.n);
    size_t n = 0;

    if (!normal)
        return E_NOMEM;
    for (; normal[n] != 0; n++)
        (void)utf8_append(out, normal[n]);
    wipe(normal, n * sizeof *normal);
    idn_free(normal);
    return buf_ok(out) ? OK : E_NOMEM;
}

static enum code normalize(struct points *points, struct buf *out)
{
    struct points_view left = { points->p, points->n };

    for (size_t i = 0; i < points->n; i++)
        points->p[i] = corrected(points->p[i]);
    while (left.n > 0) {
        size_t n = composable(left);
        TRY(normalize_part((struct points_view){ left.p, n }, out));
        left = (struct points_view){ left.p + n, left.n - n };
    }
    return OK;
}

enum code saslprep(struct bytes password, struct buf *out)
{
    AUTO(points) struct points points = { 0 };

    if (password.n > SECRET_MAX)
        return E_LIMIT;
    if (!is_ascii(password) && utf8_decode(password, &points) && map_and_check(&points))
        return normalize(&points, out);
    return buf_append(out, password) ? OK : E_NOMEM;
}
