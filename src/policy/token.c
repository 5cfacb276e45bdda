#include "policy/token.h"

#include "base/hash.h"

/* Characters that mean themselves in an expression, one byte each. */
static bool is_plain(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

uint32_t token_name_bits(struct str name)
{
    uint32_t h = (uint32_t)hash_str(HASH_BEGIN, name);

    return 1u << (h >> 27) | 1u << (h >> 12 & 31);
}

struct token token_of_name(struct str name)
{
    return (struct token){ .kind = HBA_NAME_EXACT, .text = name, .bits = token_name_bits(name) };
}

/* An expression that begins with ^ and plain characters. No name is empty. */
static struct token read_regex(const struct hba_name *name)
{
    struct str pattern = str_from(name->text, 1);
    struct token t = { .kind = HBA_NAME_REGEX, .text = pattern, .bits = UINT32_MAX, .regex = name->regex };
    bool from_start = str_starts(pattern, STR("^"));
    struct str rest = str_from(pattern, from_start);
    size_t n = 0;

    if (memchr(pattern.p, '|', pattern.n)) /* the ^ belongs to the first of several */
        return t;
    while (from_start && n < rest.n && is_plain(rest.p[n]))
        n++;
    if (n > 0 && n == rest.n - 1 && rest.p[n] == '$')
        return token_of_name(str_first(rest, n));
    if (n > 0 && n < rest.n && strchr("*?{", rest.p[n]))
        n--; /* what is repeated need not be there */
    t.prefix = str_first(rest, n);
    rest = str_from(rest, n);
    t.whole = (from_start && rest.n == 0) || str_is(rest, ".*") || str_is(rest, ".*$");
    if (n == 0 && (t.whole || str_is(rest, ".+") || str_is(rest, ".+$")))
        t.kind = HBA_NAME_ALL;
    return t;
}

struct token token_read(const struct hba_name *name, bool user)
{
    switch (name->kind) {
    case HBA_NAME_REGEX:
        return read_regex(name);
    case HBA_NAME_EXACT:
        return token_of_name(name->text);
    case HBA_NAME_MEMBER:
        if (!user)
            return token_of_name(name->text);
        return (struct token){ .kind = name->kind, .text = str_from(name->text, 1), .bits = UINT32_MAX };
    case HBA_NAME_ALL:
        return (struct token){ .kind = name->kind, .text = name->text, .bits = UINT32_MAX };
    case HBA_NAME_SAMEUSER:
    case HBA_NAME_SAMEROLE:
    case HBA_NAME_REPLICATION:
        break;
    }
    if (user)
        return token_of_name(name->text); /* keywords of the database field only */
    return (struct token){ .kind = name->kind, .text = name->text, .bits = UINT32_MAX };
}
