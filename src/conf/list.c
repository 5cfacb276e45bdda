/*
 * Comma lists inside a value.
 *
 * An element is a word, or a text in double quotes in which "" stands for one quote. Blanks around elements
 * do not count. A list is empty or has an element on both sides of every comma.
 */
#include "conf/list.h"

#include "conf/settings_impl.h"

static void skip_blanks(struct str *s)
{
    while (s->n > 0 && char_is_blank(s->p[0]))
        *s = str_from(*s, 1);
}

/* The opening quote is still there. */
static enum code take_quoted(struct arena *arena, struct str *s, struct str *out)
{
    char *to = arena_alloc(arena, s->n);
    size_t n = 0;

    if (!to)
        return E_NOMEM;
    for (size_t i = 1; i < s->n; i++) {
        if (s->p[i] == '"') {
            if (i + 1 >= s->n || s->p[i + 1] != '"') {
                *s = str_from(*s, i + 1);
                *out = str_of(to, n);
                return OK;
            }
            i++;
        }
        to[n++] = s->p[i];
    }
    return E_SYNTAX;
}

static enum code take_plain(struct arena *arena, struct str *s, enum list_style style, struct str *out)
{
    size_t n = 0;

    while (n < s->n && s->p[n] != ',' && (style == LIST_DIRECTORY || !char_is_blank(s->p[n])))
        n++;
    struct str word = str_trim(str_first(*s, n));
    if (word.n == 0)
        return E_SYNTAX;
    *s = str_from(*s, n);
    char *to = arena_c(arena, word);
    if (!to)
        return E_NOMEM;
    for (size_t i = 0; style == LIST_IDENTIFIER && i < word.n; i++)
        if (to[i] >= 'A' && to[i] <= 'Z')
            to[i] = (char)(to[i] - 'A' + 'a');
    *out = str_of(to, word.n);
    return OK;
}

enum code value_split(struct arena *arena, struct str text, enum list_style style, struct settings_names *out)
{
    struct str rest = text;
    size_t n = 0, size = 1;

    for (size_t i = 0; i < text.n; i++)
        size += text.p[i] == ',';
    struct str *at = arena_array(arena, size, sizeof *at);
    if (!at)
        return E_NOMEM;
    *out = (struct settings_names){ at, 0 };
    skip_blanks(&rest);
    if (rest.n == 0)
        return OK;
    for (;;) {
        bool quoted = rest.n > 0 && rest.p[0] == '"';
        TRY(quoted ? take_quoted(arena, &rest, &at[n]) : take_plain(arena, &rest, style, &at[n]));
        n++;
        skip_blanks(&rest);
        if (rest.n == 0)
            break;
        if (rest.p[0] != ',')
            return E_SYNTAX;
        rest = str_from(rest, 1);
        skip_blanks(&rest);
    }
    out->n = n;
    return OK;
}
