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
#include <stdlib.h>
#include <stringprep.h>

enum {
    PROFILE_MAX = 32, /* steps of libidn's profile, with the one that ends it */
    /* libidn's time grows with the square of what it is given, and strangers send passwords. */
    MAP_AT_ONCE = 16,       /* code points; each is mapped by itself */
    NORMALIZE_AT_ONCE = 512 /* from one that begins something new to the next such */
};

/* Code points of one password. Mapping never makes more of them. */
struct points {
    size_t n;
    size_t size;
    uint32_t *p;
};

struct points_view {
    const uint32_t *p;
    size_t n;
};

static void points_auto(struct points *points)
{
    if (points->p)
        wipe(points->p, points->size * sizeof *points->p);
    free(points->p);
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

/* The steps of libidn's profile that map, or those that check; none normalizes (which it refuses to leave out
 * when asked by flag). */
static void part_of_profile(bool mapping, Stringprep_profile out[PROFILE_MAX])
{
    size_t n = 0;

    for (const Stringprep_profile *step = stringprep_saslprep; step->operation != 0; step++) {
        CHECK(n < PROFILE_MAX - 1);
        if (step->operation != STRINGPREP_NFKC && (step->operation == STRINGPREP_MAP_TABLE) == mapping)
            out[n++] = *step;
    }
    memset(&out[n], 0, sizeof out[n]);
}

static bool map(struct points *points)
{
    Stringprep_profile profile[PROFILE_MAX];
    uint32_t piece[MAP_AT_ONCE + 1]; /* libidn never fills its room */
    size_t kept = 0;
    bool mapped = true;

    part_of_profile(true, profile);
    for (size_t at = 0; mapped && at < points->n; at += MAP_AT_ONCE) {
        size_t n = points->n - at < MAP_AT_ONCE ? points->n - at : MAP_AT_ONCE;
        memcpy(piece, points->p + at, n * sizeof *piece);
        mapped = stringprep_4i(piece, &n, COUNT_OF(piece), 0, profile) == STRINGPREP_OK;
        if (mapped)
            memcpy(points->p + kept, piece, n * sizeof *piece);
        kept += n;
    }
    wipe(piece, sizeof piece);
    points->n = kept;
    return mapped;
}

/* Map, then refuse what is prohibited, unassigned, or mixes directions. False: use the raw bytes. */
static bool map_and_check(struct points *points)
{
    Stringprep_profile profile[PROFILE_MAX];

    if (!map(points) || points->n == 0)
        return false;
    part_of_profile(false, profile);
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): AUTO() frees the points */
    return stringprep_4i(points->p, &points->n, points->n, STRINGPREP_NO_UNASSIGNED, profile) ==
           STRINGPREP_OK;
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
    size_t fine = 1, bad = view.n; /* lengths; what is bad stays bad when more follows */
    while (bad - fine > 1) {
        size_t middle = fine + (bad - fine) / 2;
        if (pr29_4(view.p, middle) == PR29_SUCCESS)
            fine = middle;
        else
            bad = middle;
    }
    return fine;
}

/*
 * Does this code point begin something new: does neither it nor what it decomposes into ever join, or change
 * places with, what precedes it? True for most letters of most texts, and for every one that Public
 * Review Issue 29 is about; false where it is not known. [src: UAX 15, "Stability of Concatenation"]
 */
static bool begins(uint32_t point)
{
    static const uint32_t ranges[][2] = {
        { 0x0000, 0x02FF },                                         /* Latin */
        { 0x0370, 0x0482 },                                         /* Greek, Cyrillic */
        { 0x048A, 0x0556 },                                         /* Cyrillic, Armenian */
        { 0x05D0, 0x05EA },                                         /* Hebrew */
        { 0x0621, 0x063A }, { 0x0641, 0x064A }, { 0x0671, 0x06D3 }, /* Arabic */
        { 0x0905, 0x0939 },                                         /* Devanagari */
        { 0x09C7, 0x09C8 }, { 0x0B47, 0x0B48 }, { 0x0B92, 0x0B92 }, { 0x0BC6, 0x0BC8 }, { 0x0CBF, 0x0CC0 },
        { 0x0CC6, 0x0CC8 }, { 0x0CCA, 0x0CCB }, { 0x0D46, 0x0D48 }, { 0x0DD9, 0x0DD9 }, { 0x0DDA, 0x0DDA },
        { 0x0DDC, 0x0DDE }, { 0x1025, 0x1026 },                     /* vowels of Issue 29 */
        { 0x0E01, 0x0E30 },                                         /* Thai */
        { 0x10A0, 0x1112 },                                         /* Georgian, leading jamo */
        { 0x1E00, 0x1FFF },                                         /* Latin, Greek */
        { 0x3041, 0x3094 }, { 0x30A1, 0x30FA },                     /* kana */
        { 0x3400, 0x4DB5 }, { 0x4E00, 0x9FA5 }, { 0xAC00, 0xD7A3 }, /* ideographs, Hangul */
        { 0xFB50, 0xFDFB },                                         /* Arabic forms */
    };

    for (size_t i = 0; i < COUNT_OF(ranges); i++)
        if (point >= ranges[i][0] && point <= ranges[i][1])
            return true;
    return false;
}

/* The first of these up to the next that begins something new. */
static size_t together(struct points_view view)
{
    size_t n = 1;

    while (n < view.n && !begins(view.p[n]))
        n++;
    return n;
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
        size_t n = together(left);
        if (n > NORMALIZE_AT_ONCE)
            return E_LIMIT;
        n = composable((struct points_view){ left.p, n });
        TRY(normalize_part((struct points_view){ left.p, n }, out));
        left = (struct points_view){ left.p + n, left.n - n };
    }
    return OK;
}

enum code saslprep(struct bytes password, struct buf *out)
{
    AUTO(points) struct points points = { 0 };

    if (password.n > PASSWORD_MAX)
        return E_LIMIT;
    if (!is_ascii(password)) {
        points.size = password.n;
        points.p = malloc(password.n * sizeof *points.p);
        if (!points.p)
            return E_NOMEM;
        if (utf8_decode(password, &points) && map_and_check(&points))
            return normalize(&points, out);
    }
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): AUTO() frees the points */
    return buf_append(out, password) ? OK : E_NOMEM;
}
