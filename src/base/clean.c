/* Texts of strangers. */
#include "base/clean.h"

#include "base/arena.h"
#include "base/check.h"
#include "base/utf8.h"

/* Not shown, or in an order that deceives: joiners, marks of direction, separators, byte order marks. */
static bool deceives(uint32_t code)
{
    static const struct {
        uint32_t first, last;
    } ranges[] = {
        { 0x80, 0x9F },     { 0xAD, 0xAD },     { 0x61C, 0x61C },   { 0x180E, 0x180E }, { 0x200B, 0x200F },
        { 0x2028, 0x202E }, { 0x2060, 0x206F }, { 0xFEFF, 0xFEFF }, { 0xFFF9, 0xFFFB }, { 0xE0000, 0xE007F },
    };

    for (size_t i = 0; i < COUNT_OF(ranges); i++)
        if (code >= ranges[i].first && code <= ranges[i].last)
            return true;
    return false;
}

/* Bytes in front that may be shown as they are; 0: the first one is not. */
static size_t shown_size(enum clean how, struct str text)
{
    unsigned char c = (unsigned char)text.p[0];

    if (c < 0x80 || how == CLEAN_ASCII)
        return c >= ' ' && c < 0x7F;
    size_t n = utf8_front(text);
    return n > 0 && deceives(utf8_code(text)) ? 0 : n;
}

static bool is_clean(enum clean how, struct str text)
{
    size_t n = 0;

    for (; text.n > 0; text = str_from(text, n)) {
        n = shown_size(how, text);
        if (n == 0)
            return false;
    }
    return true;
}

struct str clean_into(enum clean how, struct str text, char *room)
{
    static const char hex[] = "0123456789abcdef";
    char *to = room;

    while (text.n > 0) {
        size_t n = shown_size(how, text);
        /* A character that deceives goes byte by byte: what follows its first one is not valid by itself. */
        if (n == 0) {
            unsigned char c = (unsigned char)text.p[0];
            memcpy(to, (const char[]){ '\\', 'x', hex[c >> 4], hex[c & 15] }, CLEAN_GROWTH);
        } else {
            memcpy(to, text.p, n);
        }
        to += n ? n : CLEAN_GROWTH;
        text = str_from(text, n ? n : 1);
    }
    return str_of(room, (size_t)(to - room));
}

bool clean_text(enum clean how, struct str text, struct arena *arena, struct str *out)
{
    if (is_clean(how, text)) {
        *out = text;
        return true;
    }
    char *room = arena_array(arena, text.n, CLEAN_GROWTH);
    if (room)
        *out = clean_into(how, text, room);
    return room != NULL;
}

struct str clean_cut(struct str text, size_t max)
{
    size_t at = 0;

    while (at < text.n) {
        size_t n = utf8_front(str_from(text, at));
        n = n ? n : 1;
        if (n > max - at)
            break;
        at += n;
    }
    return str_first(text, at);
}

bool clean_application_name(struct str text, size_t max, struct arena *arena, struct str *out)
{
    struct str clean;

    if (!clean_text(CLEAN_ASCII, clean_cut(text, max), arena, &clean))
        return false;
    *out = str_first(clean, max);
    return true;
}
