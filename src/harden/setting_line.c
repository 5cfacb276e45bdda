/* [src: PostgreSQL 18, guc-file.l] */
#include "harden/setting_line.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"

enum { VALUE_MAX = 1 << 16 };

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static size_t skip_blanks(struct str line, size_t at)
{
    while (at < line.n && is_blank(line.p[at]))
        at++;
    return at;
}

static bool is_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.' || c == '$' || (unsigned char)c >= 0x80;
}

/* The end of a value that begins at `at`. */
static size_t value_end(struct str line, size_t at)
{
    size_t i = at;

    if (i < line.n && line.p[i] == '\'') {
        for (i++; i < line.n; i++) {
            if (line.p[i] == '\\' || (line.p[i] == '\'' && i + 1 < line.n && line.p[i + 1] == '\''))
                i++;
            else if (line.p[i] == '\'')
                return i + 1;
        }
        return line.n;
    }
    while (i < line.n && !is_blank(line.p[i]) && line.p[i] != '#')
        i++;
    return i;
}

bool setting_line_parse(struct str line, struct setting_line *out)
{
    size_t begin = skip_blanks(line, 0), end = begin, at;

    while (end < line.n && is_name(line.p[end]))
        end++;
    at = skip_blanks(line, end);
    bool apart = at > end;
    if (at < line.n && line.p[at] == '=') {
        at = skip_blanks(line, at + 1);
        apart = true;
    }
    size_t stop = value_end(line, at);
    if (end == begin || !apart || stop <= at)
        return false;
    out->name = str_of(line.p + begin, end - begin);
    out->value = str_of(line.p + at, stop - at);
    return true;
}

bool setting_line_commented(struct str line, struct setting_line *out)
{
    return line.n > 0 && line.p[0] == '#' && setting_line_parse(str_from(line, 1), out);
}

bool setting_line_set(struct str line, const struct setting_line *parts, struct str value,
                      struct arena *arena, struct str *out)
{
    size_t before = (size_t)(parts->value.p - line.p);

    return arena_printf(arena, out, "%.*s%.*s%.*s", STR_ARG(str_first(line, before)), STR_ARG(value),
                        STR_ARG(str_from(line, before + parts->value.n)));
}

bool setting_value_quoted(struct str value, struct arena *arena, struct str *out)
{
    AUTO(buf) struct buf text = BUF_INIT(VALUE_MAX);

    buf_append_byte(&text, '\'');
    for (size_t i = 0; i < value.n; i++) {
        if (value.p[i] == '\'' || value.p[i] == '\\')
            buf_append_byte(&text, (uint8_t)value.p[i]);
        buf_append_byte(&text, (uint8_t)value.p[i]);
    }
    buf_append_byte(&text, '\'');
    return buf_ok(&text) && arena_str(arena, buf_str(&text), out);
}
