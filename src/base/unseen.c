/* One table of ranges; columns are counted in characters. */
#include "base/unseen.h"

#include "base/check.h"

#include <stdio.h>

enum { BYTE_ORDER_MARK = 0xFEFF, NOT_UTF8 = 0x110000 };

struct kind {
    uint32_t first, last;
    const char *what, *remedy;
};

#define SPACE_REMEDY "write a plain space"
#define HYPHEN_REMEDY "write a plain hyphen (-)"
#define DOUBLE_REMEDY "write a plain double quote (\")"
#define SINGLE_REMEDY "write a plain single quote (')"
#define REMOVE_REMEDY "remove it"

static const struct kind kinds[] = {
    { 0x00A0, 0x00A0, "a no-break space", SPACE_REMEDY },
    { 0x00AD, 0x00AD, "a soft hyphen", REMOVE_REMEDY },
    { 0x00AB, 0x00AB, "a typographic quote", DOUBLE_REMEDY },
    { 0x00BB, 0x00BB, "a typographic quote", DOUBLE_REMEDY },
    { 0x061C, 0x061C, "an invisible character", REMOVE_REMEDY },
    { 0x1680, 0x1680, "a space of another width", SPACE_REMEDY },
    { 0x180E, 0x180E, "an invisible character", REMOVE_REMEDY },
    { 0x2000, 0x200A, "a space of another width", SPACE_REMEDY },
    { 0x200B, 0x200F, "an invisible character", REMOVE_REMEDY },
    { 0x2010, 0x2011, "a typographic hyphen", HYPHEN_REMEDY },
    { 0x2012, 0x2012, "a figure dash", HYPHEN_REMEDY },
    { 0x2013, 0x2013, "an en dash", HYPHEN_REMEDY },
    { 0x2014, 0x2015, "an em dash", HYPHEN_REMEDY },
    { 0x2018, 0x201B, "a typographic quote", SINGLE_REMEDY },
    { 0x201C, 0x201F, "a typographic quote", DOUBLE_REMEDY },
    { 0x2028, 0x2029, "a line separator", REMOVE_REMEDY },
    { 0x202A, 0x202E, "an invisible character", REMOVE_REMEDY },
    { 0x202F, 0x202F, "a no-break space", SPACE_REMEDY },
    { 0x205F, 0x205F, "a space of another width", SPACE_REMEDY },
    { 0x2060, 0x206F, "an invisible character", REMOVE_REMEDY },
    { 0x2212, 0x2212, "a minus sign", HYPHEN_REMEDY },
    { 0x3000, 0x3000, "a space of another width", SPACE_REMEDY },
    { 0xFE58, 0xFE58, "an em dash", HYPHEN_REMEDY },
    { BYTE_ORDER_MARK, BYTE_ORDER_MARK, "a byte order mark", REMOVE_REMEDY },
    { 0xFF02, 0xFF02, "a wide quote", DOUBLE_REMEDY },
    { 0xFF07, 0xFF07, "a wide quote", SINGLE_REMEDY },
    { 0xFF0D, 0xFF0D, "a wide hyphen", HYPHEN_REMEDY },
};

/* Single bytes that are not UTF-8, as Windows-1252 has them. */
static const struct kind single_bytes[] = {
    { 0x91, 0x92, "a typographic quote", SINGLE_REMEDY },
    { 0x93, 0x94, "a typographic quote", DOUBLE_REMEDY },
    { 0x96, 0x96, "an en dash", HYPHEN_REMEDY },
    { 0x97, 0x97, "an em dash", HYPHEN_REMEDY },
    { 0xA0, 0xA0, "a no-break space", SPACE_REMEDY },
};

static const struct kind *unseen_find(const struct kind *table, size_t n, uint32_t code)
{
    for (size_t i = 0; i < n; i++)
        if (code >= table[i].first && code <= table[i].last)
            return &table[i];
    return NULL;
}

/* The character at the front and its length; NOT_UTF8 for a byte that begins none. */
static uint32_t first_char(struct str s, size_t *out_n)
{
    uint8_t lead = (uint8_t)s.p[0];
    size_t n = lead < 0x80 ? 1 : lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
    uint32_t code = n == 1 ? lead : lead & (0xFFU >> (n + 1));

    *out_n = 1;
    if ((lead >= 0x80 && lead < 0xC2) || lead > 0xF4 || n > s.n)
        return NOT_UTF8;
    for (size_t i = 1; i < n; i++) {
        if (((uint8_t)s.p[i] & 0xC0) != 0x80)
            return NOT_UTF8;
        code = code << 6 | ((uint8_t)s.p[i] & 0x3FU);
    }
    *out_n = n;
    return code;
}

static const char *suffix_of(enum unseen_place place)
{
    switch (place) {
    case UNSEEN_FIRST_LINE:
    case UNSEEN_LINE:
        return "";
    case UNSEEN_NAME:
        return " of the name";
    case UNSEEN_VALUE:
        return " of the value";
    }
    UNREACHABLE();
}

static bool is_utf16(struct str s)
{
    return str_starts(s, STR("\xff\xfe")) || str_starts(s, STR("\xfe\xff"));
}

bool unseen_describe(struct str text, enum unseen_place place, char out[UNSEEN_TEXT_MAX])
{
    size_t column = 1, n = 0;

    out[0] = '\0';
    if (place == UNSEEN_FIRST_LINE && is_utf16(text)) {
        (void)snprintf(out, UNSEEN_TEXT_MAX, "The file is in UTF-16: save it in UTF-8.");
        return true;
    }
    for (; text.n > 0; text = str_from(text, n), column++) {
        uint32_t code = first_char(text, &n);
        bool byte = code == NOT_UTF8;
        const struct kind *kind = byte ? unseen_find(single_bytes, COUNT_OF(single_bytes), (uint8_t)text.p[0])
                                       : unseen_find(kinds, COUNT_OF(kinds), code);
        if (!kind)
            continue;
        if (code == BYTE_ORDER_MARK && column == 1 && place == UNSEEN_FIRST_LINE)
            (void)snprintf(out, UNSEEN_TEXT_MAX,
                           "The file begins with a byte order mark (U+FEFF): save it without one.");
        else
            (void)snprintf(out, UNSEEN_TEXT_MAX, "%s %zu%s is %s (%s%0*X): %s.",
                           suffix_of(place)[0] ? "Character" : "Column", column, suffix_of(place), kind->what,
                           byte ? "byte 0x" : "U+", byte ? 2 : 4, byte ? (uint8_t)text.p[0] : code,
                           kind->remedy);
        return true;
    }
    return false;
}
