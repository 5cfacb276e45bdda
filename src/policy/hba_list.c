/* Comma lists as in settings, and numbers as C reads them. */
#include "policy/hba_list.h"

#include "policy/words.h"

#include <stdlib.h>

int hba_atoi(struct str text)
{
    char digits[64];

    if (!str_to_c(str_first(text, sizeof digits - 1), digits, sizeof digits))
        return 0;
    return (int)strtol(digits, NULL, 10);
}

static struct str skip_space(struct str s)
{
    while (s.n > 0 && char_is_blank(s.p[0]))
        s = str_from(s, 1);
    return s;
}

/** Cut an item off; false when it is malformed. Doubled quotes stay doubled: nobody needs their text. */
static bool next_item(struct str *rest, struct str *out)
{
    struct str s = *rest;
    size_t n = 0;

    if (s.n > 0 && s.p[0] == '"') {
        s = str_from(s, 1);
        while (n < s.n && !(s.p[n] == '"' && !(n + 1 < s.n && s.p[n + 1] == '"')))
            n += s.p[n] == '"' ? 2 : 1;
        if (n >= s.n)
            return false;
        *out = str_first(s, n);
        *rest = str_from(s, n + 1);
        return true;
    }
    while (n < s.n && s.p[n] != ',' && !char_is_blank(s.p[n]))
        n++;
    *out = str_first(s, n);
    *rest = str_from(s, n);
    return n > 0;
}

bool hba_split_list(struct str text, bool (*item)(void *arg, struct str item), void *arg, size_t *out_n)
{
    struct str rest = skip_space(text), part;
    size_t n = 0;

    *out_n = 0;
    if (rest.n == 0)
        return true;
    /* First the whole syntax, then the items: a malformed list is reported as such. */
    for (bool more = true; more; n++) {
        if (!next_item(&rest, &part))
            return false;
        rest = skip_space(rest);
        more = rest.n > 0;
        if (more && rest.p[0] != ',')
            return false;
        rest = skip_space(str_from(rest, 1));
    }
    *out_n = n;
    rest = skip_space(text);
    for (size_t i = 0; i < n && next_item(&rest, &part); i++) {
        if (item && !item(arg, part))
            return true;
        rest = skip_space(str_from(skip_space(rest), 1));
    }
    return true;
}

size_t hba_list_length(const struct hba_rule *rule, enum hba_option option)
{
    struct str value;
    size_t n = 0;

    if (hba_rule_option(rule, option, &value))
        (void)hba_split_list(value, NULL, NULL, &n);
    return n;
}
