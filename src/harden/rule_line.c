/* [src: PostgreSQL 18, "The pg_hba.conf File"; hba.c next_token(), next_field_expand()] */
#include "harden/rule_line.h"

#include "base/arena.h"

#include <arpa/inet.h>

enum { ADDRESS_MAX = 64 };

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* One token. False: there is none. `out_more`: a comma ends it, and the field goes on. */
static bool next_token(struct str line, size_t *at, struct str *out, bool *out_more)
{
    bool in_quote = false, saw_quote = false;
    size_t i = *at;

    while (i < line.n && (is_space(line.p[i]) || line.p[i] == ','))
        i++;
    size_t begin = i;
    for (; i < line.n && (in_quote || !is_space(line.p[i])); i++) {
        char c = line.p[i];
        if (!in_quote && (c == '#' || c == ','))
            break;
        in_quote = in_quote != (c == '"');
        saw_quote = saw_quote || c == '"';
    }
    *out_more = i < line.n && line.p[i] == ',';
    *at = i < line.n && line.p[i] == '#' ? line.n : i;
    *out = str_of(line.p + begin, i - begin);
    return saw_quote || i > begin;
}

/* The next field: tokens that commas join. Empty: there is none. */
static struct str next_field(struct str line, size_t *at)
{
    struct str field = STR(""), token;
    bool more = true;

    while (more && next_token(line, at, &token, &more))
        field = field.n == 0 ? token : str_of(field.p, (size_t)(token.p + token.n - field.p));
    return field;
}

static bool is_bare_address(struct str field)
{
    char text[ADDRESS_MAX];
    uint8_t raw[16];

    return str_to_c(field, text, sizeof text) &&
           (inet_pton(AF_INET, text, raw) == 1 || inet_pton(AF_INET6, text, raw) == 1);
}

bool rule_line_parse(struct str line, const struct hba_rule *rule, struct rule_line *out)
{
    struct rule_line parts = { .line = line };
    size_t at = 0;

    if (!str_equal(line, rule->raw) || str_ends(line, STR("\\")))
        return false;
    parts.type = next_field(line, &at);
    parts.database = next_field(line, &at);
    parts.user = next_field(line, &at);
    if (rule->type != HBA_LOCAL) {
        parts.address = next_field(line, &at);
        size_t behind = at;
        struct str mask = next_field(line, &behind);
        if (is_bare_address(parts.address) && is_bare_address(mask)) {
            parts.address = str_of(parts.address.p, (size_t)(mask.p + mask.n - parts.address.p));
            at = behind;
        }
    }
    parts.method = next_field(line, &at);
    if (parts.method.n == 0)
        return false;
    *out = parts;
    return true;
}

bool rule_line_with(const struct rule_line *parts, struct str part, struct str text, struct arena *arena,
                    struct str *out)
{
    size_t before = (size_t)(part.p - parts->line.p);

    return arena_printf(arena, out, "%.*s%.*s%.*s", STR_ARG(str_first(parts->line, before)), STR_ARG(text),
                        STR_ARG(str_from(parts->line, before + part.n)));
}
