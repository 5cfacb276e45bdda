/* Views of bytes and text: comparing, cutting, and numbers from text. */
#include "base/slice.h"

#include <limits.h>

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

int str_compare(struct str a, struct str b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int order = n ? memcmp(a.p, b.p, n) : 0;

    if (order)
        return order;
    return a.n < b.n ? -1 : a.n > b.n;
}

int str_compare_nocase(struct str a, struct str b)
{
    for (size_t i = 0; i < a.n && i < b.n; i++)
        if (lower(a.p[i]) != lower(b.p[i]))
            return (unsigned char)lower(a.p[i]) < (unsigned char)lower(b.p[i]) ? -1 : 1;
    return a.n < b.n ? -1 : a.n > b.n;
}

bool str_equal_nocase(struct str a, struct str b)
{
    if (a.n != b.n)
        return false;
    for (size_t i = 0; i < a.n; i++)
        if (lower(a.p[i]) != lower(b.p[i]))
            return false;
    return true;
}

bool str_starts_nocase(struct str s, struct str prefix)
{
    return str_equal_nocase(str_first(s, prefix.n), prefix);
}

bool str_ends(struct str s, struct str suffix)
{
    return s.n >= suffix.n && str_equal(str_from(s, s.n - suffix.n), suffix);
}

bool char_is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

struct str str_trim(struct str s)
{
    while (s.n > 0 && char_is_blank(s.p[0]))
        s = str_from(s, 1);
    while (s.n > 0 && char_is_blank(s.p[s.n - 1]))
        s.n--;
    return s;
}

size_t str_find(struct str s, char c)
{
    const char *at = s.n ? memchr(s.p, c, s.n) : NULL;

    return at ? (size_t)(at - s.p) : s.n;
}

size_t str_index_of(struct str s, const char *const *words, size_t n)
{
    size_t i = 0;

    while (i < n && !str_is(s, words[i]))
        i++;
    return i;
}

bool str_is_one_of(struct str s, const char *const *words, size_t n)
{
    return str_index_of(s, words, n) < n;
}

bool str_split(struct str *rest, char sep, struct str *out_part)
{
    if (rest->p == NULL || rest->n == 0)
        return false;
    size_t at = str_find(*rest, sep);
    *out_part = str_first(*rest, at);
    *rest = str_from(*rest, at + 1);
    return true;
}

int c_number_base(const char *text)
{
    text += strspn(text, " \t\n\v\f\r");
    text += *text == '-' || *text == '+' ? 1 : 0;
    return text[0] == '0' && (text[1] == 'b' || text[1] == 'B') ? 10 : 0;
}

bool str_to_i64(struct str s, int64_t min, int64_t max, int64_t *out)
{
    bool negative = s.n > 0 && s.p[0] == '-';
    int64_t value = 0;

    if (negative)
        s = str_from(s, 1);
    if (s.n == 0)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9')
            return false;
        int digit = s.p[i] - '0';
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, negative ? -digit : digit, &value))
            return false;
    }
    if (value < min || value > max)
        return false;
    *out = value;
    return true;
}

bool str_to_u32(struct str s, uint32_t min, uint32_t max, uint32_t *out)
{
    int64_t value;

    if (s.n > 0 && s.p[0] == '-')
        return false;
    if (!str_to_i64(s, min, max, &value))
        return false;
    *out = (uint32_t)value;
    return true;
}

bool str_to_bool(struct str s, bool *out)
{
    static const struct {
        const char *word;
        size_t shortest; /* "o" alone could be on or off */
        bool value;
    } words[] = {
        { "true", 1, true }, { "false", 1, false }, { "yes", 1, true }, { "no", 1, false },
        { "on", 2, true },   { "off", 2, false },   { "1", 1, true },   { "0", 1, false },
    };

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        struct str word = str_c(words[i].word);
        if (s.n >= words[i].shortest && s.n <= word.n && str_equal_nocase(s, str_first(word, s.n))) {
            *out = words[i].value;
            return true;
        }
    }
    return false;
}

bool str_to_c(struct str s, char *dst, size_t dst_size)
{
    if (s.n >= dst_size || str_has_nul(s))
        return false;
    if (s.n > 0)
        memcpy(dst, s.p, s.n);
    dst[s.n] = '\0';
    return true;
}
