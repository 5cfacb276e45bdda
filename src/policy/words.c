/* Names of options and record types, from the tables; options of a record. */
#include "policy/words.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "lex/conninfo_hide.h"
#include "policy/policy.h"

static const char *const options[] = {
#define X(symbol, name, type, taken_by, since, help) [HBA_OPTION_##symbol] = (name),
#include "hba_options.def"
#undef X
};

const char *hba_type_name(enum hba_type type)
{
    static const char *const names[] = {
        [HBA_LOCAL] = "local",           [HBA_HOST] = "host",
        [HBA_HOSTSSL] = "hostssl",       [HBA_HOSTNOSSL] = "hostnossl",
        [HBA_HOSTGSSENC] = "hostgssenc", [HBA_HOSTNOGSSENC] = "hostnogssenc",
    };

    return names[type];
}

const char *hba_option_name(enum hba_option option)
{
    return options[option];
}

bool hba_option_is_secret(enum hba_option option)
{
    return option == HBA_OPTION_LDAPBINDPASSWD || option == HBA_OPTION_RADIUSSECRETS;
}

bool hba_rule_has_secret(const struct hba_rule *rule)
{
    struct str value;

    for (int i = 0; i < HBA_OPTION_COUNT; i++)
        if (hba_option_is_secret((enum hba_option)i) && hba_rule_option(rule, (enum hba_option)i, &value))
            return true;
    return false;
}

bool hba_rule_option(const struct hba_rule *rule, enum hba_option option, struct str *out)
{
    if (!rule->options || !rule->options[option].p)
        return false;
    *out = rule->options[option];
    return true;
}

bool hba_option_given(const struct hba_rule *rule, enum hba_option option)
{
    struct str value;

    return hba_rule_option(rule, option, &value);
}

/* ---- the line as it may be shown ---- */

/* Where a field ends: at a blank or a comment, outside of quotes. */
static size_t field_end(struct str s, size_t at)
{
    bool quoted = false;

    for (; at < s.n && (quoted || !(char_is_blank(s.p[at]) || s.p[at] == '#')); at++)
        quoted ^= s.p[at] == '"';
    return at;
}

/* Append a field, or only the name of an option in it that holds a secret. Quotes may stand anywhere. */
static void show_field(struct str field, struct buf *plain, struct buf *out)
{
    buf_reset(plain);
    for (size_t i = 0; i < field.n; i++)
        if (field.p[i] != '"')
            buf_append_byte(plain, (uint8_t)field.p[i]);
    for (int i = 0; i < HBA_OPTION_COUNT; i++) {
        const char *name = hba_option_name((enum hba_option)i);
        if (!hba_option_is_secret((enum hba_option)i) || !strstr(buf_c(plain), name))
            continue;
        buf_printf(out, "%s=" HIDDEN, name);
        return;
    }
    buf_append_str(out, field);
}

bool hba_rule_redacted(struct arena *arena, const struct hba_rule *rule, struct str *out)
{
    AUTO(buf) struct buf plain = BUF_INIT(rule->raw.n + 1);
    AUTO(buf) struct buf shown = BUF_INIT(rule->raw.n * sizeof HIDDEN);
    struct str s = rule->raw;

    *out = rule->raw;
    if (!hba_rule_has_secret(rule))
        return true;
    for (size_t at = 0; at < s.n && s.p[at] != '#';) {
        size_t end = field_end(s, at);
        show_field(str_of(s.p + at, end - at), &plain, &shown);
        if (end < s.n && s.p[end] != '#')
            buf_append_byte(&shown, (uint8_t)s.p[end++]);
        at = end;
    }
    return buf_ok(&plain) && buf_ok(&shown) && arena_str(arena, str_trim(buf_str(&shown)), out);
}
