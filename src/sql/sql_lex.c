/* Words, literals and operators of PostgreSQL's SQL. */
#include "sql/sql_lex.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"

#include <stdio.h>

enum { IDENTIFIER_BYTES = 63 };

struct lexer {
    struct arena *arena;
    struct str sql;
    size_t i;
    struct token_list out;
    size_t room;
    struct sql_error *e;
};

enum code sql_fail(struct sql_error *e, enum code code, uint32_t at, const char *fmt, ...)
{
    char text[sizeof e->err.message];
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    e->at = at + 1;
    return err_set(&e->err, code, "%s", text);
}

static char at(const struct lexer *l, size_t i)
{
    return i < l->sql.n ? l->sql.p[i] : '\0';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_word_start(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (c & 0x80) != 0;
}

static bool is_word(char c)
{
    return is_word_start(c) || is_digit(c) || c == '$';
}

static bool is_operator(char c)
{
    return c != '\0' && strchr("+-*/<>=~!@#%^&|`?", c) != NULL;
}

static enum code sql_lex_nomem(struct lexer *l)
{
    return sql_fail(l->e, E_NOMEM, (uint32_t)l->i, "out of memory");
}

static enum code add_token(struct lexer *l, enum token_kind kind, size_t from, struct str text)
{
    if (l->out.count == SQL_TOKENS_MAX)
        return sql_fail(l->e, E_COMPLEX, (uint32_t)from, "statement is too complex");
    struct token *items = arena_grow(l->arena, l->out.items, l->out.count, &l->room, sizeof *items);
    if (items == NULL)
        return sql_lex_nomem(l);
    l->out.items = items;
    l->out.items[l->out.count++] = (struct token){ kind, (uint32_t)from, text,
                                                   str_of(l->sql.p + from, l->i - from) };
    return OK;
}

/* A decoded text, moved to the arena. */
static enum code add_decoded(struct lexer *l, enum token_kind kind, size_t from, const struct buf *text)
{
    struct str copy;

    if (!buf_ok(text) || !arena_str(l->arena, buf_str(text), &copy))
        return sql_lex_nomem(l);
    return add_token(l, kind, from, copy);
}

static enum code skip_comment(struct lexer *l)
{
    size_t from = l->i;
    unsigned depth = 0;

    do {
        if (l->i >= l->sql.n)
            return sql_fail(l->e, E_SYNTAX, (uint32_t)from, "unterminated /* comment at or near \"%.*s\"",
                            STR_ARG(str_first(str_from(l->sql, from), 64)));
        if (at(l, l->i) == '/' && at(l, l->i + 1) == '*') {
            depth++;
            l->i += 2;
        } else if (at(l, l->i) == '*' && at(l, l->i + 1) == '/') {
            depth--;
            l->i += 2;
        } else {
            l->i++;
        }
    } while (depth > 0);
    return OK;
}

static enum code skip_space(struct lexer *l)
{
    for (;;) {
        if (char_is_blank(at(l, l->i)) && l->i < l->sql.n)
            l->i++;
        else if (at(l, l->i) == '-' && at(l, l->i + 1) == '-')
            l->i += str_find(str_from(l->sql, l->i), '\n');
        else if (at(l, l->i) == '/' && at(l, l->i + 1) == '*')
            TRY(skip_comment(l));
        else
            return OK;
    }
}

static enum code unterminated(struct lexer *l, size_t from, const char *what)
{
    return sql_fail(l->e, E_SYNTAX, (uint32_t)from, "unterminated %s at or near \"%.*s\"", what,
                    STR_ARG(str_first(str_from(l->sql, from), 64)));
}

static void put_utf8(struct buf *out, uint32_t c)
{
    if (c < 0x80) {
        buf_append_byte(out, (uint8_t)c);
    } else if (c < 0x800) {
        buf_append_byte(out, (uint8_t)(0xC0 | c >> 6));
        buf_append_byte(out, (uint8_t)(0x80 | (c & 0x3F)));
    } else if (c < 0x10000) {
        buf_append_byte(out, (uint8_t)(0xE0 | c >> 12));
        buf_append_byte(out, (uint8_t)(0x80 | (c >> 6 & 0x3F)));
        buf_append_byte(out, (uint8_t)(0x80 | (c & 0x3F)));
    } else {
        buf_append_byte(out, (uint8_t)(0xF0 | c >> 18));
        buf_append_byte(out, (uint8_t)(0x80 | (c >> 12 & 0x3F)));
        buf_append_byte(out, (uint8_t)(0x80 | (c >> 6 & 0x3F)));
        buf_append_byte(out, (uint8_t)(0x80 | (c & 0x3F)));
    }
}

/* Up to `max` digits of the base; at least one, or `exact` of them. */
static bool take_code(struct lexer *l, unsigned base, size_t max, uint32_t *out)
{
    uint32_t v = 0;
    size_t n = 0;

    for (; n < max; n++) {
        char c = at(l, l->i);
        unsigned digit = is_digit(c)                              ? (unsigned)(c - '0')
                         : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (unsigned)((c | 0x20) - 'a' + 10)
                                                                  : 99;
        if (digit >= base)
            break;
        v = v * base + digit;
        l->i++;
    }
    *out = v;
    return n > 0;
}

/* The character after a backslash in E'…'. */
static enum code take_escape(struct lexer *l, struct buf *text)
{
    static const char plain[] = "b\bf\fn\nr\rt\t";
    char c = at(l, l->i++);
    uint32_t v;
    bool ok = true;

    for (size_t k = 0; k + 1 < sizeof plain; k += 2)
        if (c == plain[k])
            return buf_append_byte(text, (uint8_t)plain[k + 1]) ? OK : sql_lex_nomem(l);
    if (c >= '0' && c <= '7') {
        l->i--;
        ok = take_code(l, 8, 3, &v);
        buf_append_byte(text, (uint8_t)v);
    } else if (c == 'x' && take_code(l, 16, 2, &v)) {
        buf_append_byte(text, (uint8_t)v);
    } else if (c == 'u' || c == 'U') {
        size_t from = l->i, digits = c == 'u' ? 4 : 8;
        ok = take_code(l, 16, digits, &v) && l->i - from == digits && v <= 0x10FFFF &&
             (v < 0xD800 || v > 0xDFFF);
        put_utf8(text, v);
    } else {
        buf_append_byte(text, (uint8_t)c);
    }
    if (!ok || (text->n > 0 && text->p[text->n - 1] == '\0'))
        return sql_fail(l->e, E_SYNTAX, (uint32_t)l->i, "invalid Unicode escape value");
    return OK;
}

/* True when only white space with a line break precedes another quote: the literal goes on there. */
static bool continues(struct lexer *l)
{
    size_t i = l->i;
    bool line = false;

    while (i < l->sql.n && char_is_blank(at(l, i))) {
        line = line || at(l, i) == '\n' || at(l, i) == '\r';
        i++;
    }
    if (!line || at(l, i) != '\'')
        return false;
    l->i = i + 1;
    return true;
}

static enum code lex_string(struct lexer *l, size_t from, bool escapes)
{
    AUTO(buf) struct buf text = BUF_INIT(SQL_TEXT_MAX);
    struct str rest = str_from(l->sql, l->i);
    struct str plain = str_first(rest, str_find(rest, '\''));

    if (!escapes && plain.n < rest.n) { /* most literals are what they look like */
        l->i += plain.n + 1;
        if (at(l, l->i) != '\'' && !continues(l))
            return add_token(l, TOKEN_STRING, from, plain);
        l->i = from + 1;
    }
    for (;;) {
        if (l->i >= l->sql.n)
            return unterminated(l, from, "quoted string");
        char c = at(l, l->i++);
        if (c == '\'') {
            if (at(l, l->i) == '\'')
                l->i++;
            else if (continues(l))
                continue;
            else
                break;
        }
        if (c == '\\' && escapes && l->i < l->sql.n)
            TRY(take_escape(l, &text));
        else
            buf_append_byte(&text, (uint8_t)c);
    }
    return add_decoded(l, TOKEN_STRING, from, &text);
}

static enum code lex_quoted(struct lexer *l)
{
    AUTO(buf) struct buf text = BUF_INIT(SQL_TEXT_MAX);
    size_t from = l->i++;

    for (;;) {
        if (l->i >= l->sql.n)
            return unterminated(l, from, "quoted identifier");
        char c = at(l, l->i++);
        if (c == '"') {
            if (at(l, l->i) != '"')
                break;
            l->i++;
        }
        buf_append_byte(&text, (uint8_t)c);
    }
    if (text.n == 0)
        return sql_fail(l->e, E_SYNTAX, (uint32_t)from,
                        "zero-length delimited identifier at or near \"\"\"\"");
    if (text.n > IDENTIFIER_BYTES)
        text.n = IDENTIFIER_BYTES;
    return add_decoded(l, TOKEN_QUOTED, from, &text);
}

/* $tag$ … $tag$ */
static enum code lex_dollar(struct lexer *l)
{
    size_t from = l->i, end = l->i + 1;

    while (is_word(at(l, end)) && at(l, end) != '$')
        end++;
    if (at(l, end) != '$')
        return sql_fail(l->e, E_SYNTAX, (uint32_t)from, "syntax error at or near \"$\"");
    struct str tag = str_of(l->sql.p + from, end + 1 - from);
    for (size_t i = end + 1; i + tag.n <= l->sql.n; i++) {
        if (str_starts(str_from(l->sql, i), tag)) {
            l->i = i + tag.n;
            return add_token(l, TOKEN_STRING, from, str_of(l->sql.p + end + 1, i - end - 1));
        }
    }
    return unterminated(l, from, "dollar-quoted string");
}

static enum code lex_word(struct lexer *l)
{
    AUTO(buf) struct buf text = BUF_INIT(SQL_TEXT_MAX);
    size_t from = l->i;
    char c = at(l, l->i), next = at(l, l->i + 1);
    bool folded = true;

    if ((c == 'e' || c == 'E') && next == '\'') {
        l->i += 2;
        return lex_string(l, from, true);
    }
    if (((c == 'b' || c == 'B' || c == 'x' || c == 'X') && next == '\'') ||
        ((c == 'u' || c == 'U') && next == '&' && (at(l, l->i + 2) == '\'' || at(l, l->i + 2) == '"')))
        return sql_fail(l->e, E_UNSUPPORTED, (uint32_t)from, "this kind of literal is not supported");
    for (; is_word(at(l, l->i)); l->i++)
        folded = folded && !(at(l, l->i) >= 'A' && at(l, l->i) <= 'Z');
    struct str word = str_first(str_of(l->sql.p + from, l->i - from), IDENTIFIER_BYTES);
    if (folded)
        return add_token(l, TOKEN_WORD, from, word);
    for (size_t i = 0; i < word.n; i++) {
        c = word.p[i];
        buf_append_byte(&text, (uint8_t)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c));
    }
    return add_decoded(l, TOKEN_WORD, from, &text);
}

static enum code lex_number(struct lexer *l)
{
    size_t from = l->i;
    enum token_kind kind = TOKEN_INTEGER;

    while (is_digit(at(l, l->i)))
        l->i++;
    if (at(l, l->i) == '.' && at(l, l->i + 1) != '.') {
        kind = TOKEN_DECIMAL;
        l->i++;
        while (is_digit(at(l, l->i)))
            l->i++;
    }
    if (at(l, l->i) == 'e' || at(l, l->i) == 'E') {
        size_t i = l->i + 1;
        if (at(l, i) == '+' || at(l, i) == '-')
            i++;
        if (is_digit(at(l, i))) {
            kind = TOKEN_DECIMAL;
            while (is_digit(at(l, i)))
                i++;
            l->i = i;
        }
    }
    struct str text = str_of(l->sql.p + from, l->i - from);
    if (is_word_start(at(l, l->i))) {
        while (is_word(at(l, l->i)))
            l->i++;
        return sql_fail(l->e, E_SYNTAX, (uint32_t)from,
                        "trailing junk after numeric literal at or near \"%.*s\"",
                        STR_ARG(str_first(str_of(text.p, l->i - from), 64)));
    }
    return add_token(l, kind, from, text);
}

/* A run of operator characters, ended by a comment, and by rule not ending in + or - unless it holds
 * one of ~ ! @ # % ^ & | ` ? */
static enum code lex_operator(struct lexer *l)
{
    size_t from = l->i, end = l->i;
    bool special = false;

    while (is_operator(at(l, end))) {
        if (end > from &&
            ((at(l, end) == '-' && at(l, end + 1) == '-') || (at(l, end) == '/' && at(l, end + 1) == '*')))
            break;
        special = special || strchr("~!@#%^&|`?", at(l, end)) != NULL;
        end++;
    }
    while (!special && end - from > 1 && (at(l, end - 1) == '+' || at(l, end - 1) == '-'))
        end--;
    l->i = end;
    struct str text = str_of(l->sql.p + from, end - from);
    return add_token(l, TOKEN_OPERATOR, from, str_is(text, "!=") ? STR("<>") : text);
}

static enum code lex_param(struct lexer *l)
{
    size_t from = l->i++;

    while (is_digit(at(l, l->i)))
        l->i++;
    return add_token(l, TOKEN_PARAM, from, str_of(l->sql.p + from + 1, l->i - from - 1));
}

static enum code lex_punct(struct lexer *l)
{
    size_t from = l->i;
    char c = at(l, l->i);

    if (strchr("()[],;:.", c) == NULL || c == '\0')
        return sql_fail(l->e, E_SYNTAX, (uint32_t)from, "syntax error at or near \"%.*s\"",
                        STR_ARG(str_of(l->sql.p + from, 1)));
    l->i += c == ':' && at(l, l->i + 1) == ':' ? 2 : 1;
    return add_token(l, TOKEN_PUNCT, from, str_of(l->sql.p + from, l->i - from));
}

static enum code lex_one(struct lexer *l)
{
    char c = at(l, l->i);

    if (is_word_start(c))
        return lex_word(l);
    if (is_digit(c) || (c == '.' && is_digit(at(l, l->i + 1))))
        return lex_number(l);
    if (c == '\'') {
        size_t from = l->i++;
        return lex_string(l, from, false);
    }
    if (c == '"')
        return lex_quoted(l);
    if (c == '$')
        return is_digit(at(l, l->i + 1)) ? lex_param(l) : lex_dollar(l);
    if (is_operator(c))
        return lex_operator(l);
    return lex_punct(l);
}

enum code sql_lex(struct arena *arena, struct str sql, struct token_list *out, struct sql_error *e)
{
    struct lexer l = { .arena = arena, .sql = sql, .e = e };

    if (sql.n > SQL_TEXT_MAX)
        return sql_fail(e, E_COMPLEX, 0, "statement is longer than %d bytes", SQL_TEXT_MAX);
    for (;;) {
        TRY(skip_space(&l));
        if (l.i >= sql.n)
            break;
        TRY(lex_one(&l));
    }
    TRY(add_token(&l, TOKEN_END, l.i, str_of("", 0)));
    *out = l.out;
    return OK;
}
