#include "regex/regex_class.h"

#include "base/check.h"
#include "regex/regex_text.h"

bool regex_is_alpha(unsigned c)
{
    return (c | 0x20) >= 'a' && (c | 0x20) <= 'z' && c < 0x80;
}

bool regex_is_digit(unsigned c)
{
    return c >= '0' && c <= '9';
}

bool regex_is_space(unsigned c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

bool regex_is_alnum(unsigned c)
{
    return regex_is_alpha(c) || regex_is_digit(c);
}

bool regex_is_word(unsigned c)
{
    return regex_is_alnum(c) || c == '_';
}

bool regex_is_upper(unsigned c)
{
    return c >= 'A' && c <= 'Z';
}

static bool is_lower(unsigned c)
{
    return c >= 'a' && c <= 'z';
}

static bool is_graph(unsigned c)
{
    return c > ' ' && c < 0x7F;
}

static bool is_print(unsigned c)
{
    return c >= ' ' && c < 0x7F;
}

static bool is_punct(unsigned c)
{
    return is_graph(c) && !regex_is_alnum(c);
}

static bool is_cntrl(unsigned c)
{
    return c < ' ' || (c >= 0x7F && c <= 0x9F);
}

static bool is_blank(unsigned c)
{
    return c == ' ' || c == '\t';
}

static bool is_xdigit(unsigned c)
{
    return regex_is_digit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f' && c < 0x80);
}

static bool is_ascii(unsigned c)
{
    return c < 0x80;
}

regex_class_fn *regex_class_of(struct str name)
{
    static const struct {
        const char *name;
        regex_class_fn *is;
    } classes[] = {
        { "alnum", regex_is_alnum }, { "alpha", regex_is_alpha }, { "ascii", is_ascii },
        { "blank", is_blank },       { "cntrl", is_cntrl },       { "digit", regex_is_digit },
        { "graph", is_graph },       { "lower", is_lower },       { "print", is_print },
        { "punct", is_punct },       { "space", regex_is_space }, { "upper", regex_is_upper },
        { "word", regex_is_word },   { "xdigit", is_xdigit },
    };

    for (size_t i = 0; i < COUNT_OF(classes); i++)
        if (str_is(name, classes[i].name))
            return classes[i].is;
    return NULL;
}
