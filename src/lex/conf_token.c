/* Each pattern is a function from the rest of the text to the length it matches, 0 for none. */
#include "lex/conf_token.h"

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_ascii_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_letter(char c)
{
    return is_ascii_letter(c) || c == '_' || (unsigned char)c >= 0x80;
}

static bool is_hex(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* The byte at `at`; NUL after the end, which no pattern accepts. */
static char at(struct str s, size_t i)
{
    return i < s.n ? s.p[i] : '\0';
}

static size_t match_id(struct str s)
{
    size_t n = 0;

    if (!is_letter(at(s, 0)))
        return 0;
    while (is_letter(at(s, n)) || is_digit(at(s, n)))
        n++;
    return n;
}

/* "any text", where "" stands for one quote. A NUL is no part of a name. */
static size_t match_double_quoted(struct str s)
{
    size_t n = 1;

    if (at(s, 0) != '"')
        return 0;
    for (; n < s.n && s.p[n] != '\n' && s.p[n] != '\0'; n++) {
        if (s.p[n] != '"')
            continue;
        if (at(s, n + 1) != '"')
            return n + 1;
        n++;
    }
    return 0;
}

static size_t match_qualified(struct str s)
{
    size_t key = match_id(s);

    if (key == 0 || at(s, key) != '.')
        return 0;
    struct str rest = str_from(s, key + 1);
    size_t sub = at(rest, 0) == '"' ? match_double_quoted(rest) : match_id(rest);
    return sub ? key + 1 + sub : 0;
}

/* Where a '' is not closed in the end, the text ends at the last quote that could end it. */
static size_t match_string(struct str s)
{
    size_t n = 1, accepted = 0;

    if (at(s, 0) != '\'')
        return 0;
    while (n < s.n && s.p[n] != '\n') {
        if (s.p[n] == '\\') {
            if (n + 1 >= s.n || s.p[n + 1] == '\n')
                break;
            n += 2;
        } else if (s.p[n] == '\'') {
            accepted = n + 1;
            if (at(s, n + 1) != '\'')
                break;
            n += 2;
        } else {
            n++;
        }
    }
    return accepted;
}

static size_t match_word(struct str s)
{
    size_t n = 0;

    if (!is_letter(at(s, 0)))
        return 0;
    while (is_letter(at(s, n)) || is_digit(at(s, n)) || at(s, n) == '-' || at(s, n) == '.' ||
           at(s, n) == ':' || at(s, n) == '/')
        n++;
    return n;
}

static size_t match_sign(struct str s)
{
    return at(s, 0) == '-' || at(s, 0) == '+';
}

static size_t match_integer(struct str s)
{
    size_t begin = match_sign(s), n = begin;

    if (at(s, n) == '0' && at(s, n + 1) == 'x' && is_hex(at(s, n + 2)))
        for (n += 2; is_hex(at(s, n));)
            n++;
    else
        while (is_digit(at(s, n)))
            n++;
    if (n == begin)
        return 0;
    while (is_ascii_letter(at(s, n)))
        n++;
    return n;
}

static size_t match_real(struct str s)
{
    size_t n = match_sign(s);

    while (is_digit(at(s, n)))
        n++;
    if (at(s, n) != '.')
        return 0;
    n++;
    while (is_digit(at(s, n)))
        n++;
    if (at(s, n) != 'e' && at(s, n) != 'E')
        return n;
    size_t exponent = n + 1 + match_sign(str_from(s, n + 1));
    if (!is_digit(at(s, exponent)))
        return n;
    while (is_digit(at(s, exponent)))
        exponent++;
    return exponent;
}

static size_t match_equals(struct str s)
{
    return at(s, 0) == '=';
}

/* Blanks and a comment in front of the next token. A NUL is no blank. */
static void skip_blanks(struct conf_scan *scan)
{
    size_t n = 0;
    struct str s = scan->left;

    while (n < s.n && (s.p[n] == ' ' || s.p[n] == '\t' || s.p[n] == '\r'))
        n++;
    if (at(s, n) == '#')
        n += str_find(str_from(s, n), '\n');
    scan->left = str_from(s, n);
}

struct conf_token conf_token_next(struct conf_scan *scan)
{
    static size_t (*const patterns[])(struct str) = {
        [CONF_TOKEN_ID] = match_id,           [CONF_TOKEN_QUALIFIED] = match_qualified,
        [CONF_TOKEN_STRING] = match_string,   [CONF_TOKEN_WORD] = match_word,
        [CONF_TOKEN_INTEGER] = match_integer, [CONF_TOKEN_REAL] = match_real,
        [CONF_TOKEN_EQUALS] = match_equals,
    };
    struct conf_token token = { CONF_TOKEN_ERROR, { NULL, 0 } };

    skip_blanks(scan);
    if (scan->left.n == 0) {
        token.kind = CONF_TOKEN_EOF;
    } else if (scan->left.p[0] == '\n') {
        token.kind = CONF_TOKEN_EOL;
        token.text.n = 1;
        scan->line++;
    } else {
        for (size_t i = 0; i < sizeof patterns / sizeof patterns[0]; i++) {
            size_t n = patterns[i](scan->left);
            if (n > token.text.n) {
                token.text.n = n;
                token.kind = (enum conf_token_kind)i;
            }
        }
        if (token.text.n == 0)
            token.text.n = 1;
    }
    token.text.p = scan->left.p;
    scan->left = str_from(scan->left, token.text.n);
    return token;
}
