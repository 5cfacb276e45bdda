/* Endpoints as people write them. */
#include "probe/probe.h"

static bool is_port(struct str s)
{
    uint32_t port;

    return str_to_u32(s, 1, 65535, &port);
}

static size_t count_char(struct str s, char c)
{
    size_t n = 0;

    for (size_t i = 0; i < s.n; i++)
        n += s.p[i] == c;
    return n;
}

enum code probe_target_parse(struct str text, struct probe_target *out, struct err *e)
{
    struct probe_target t = { .text = text, .host = text, .port = STR("") };

    if (str_starts(text, STR("["))) {
        size_t close = str_find(text, ']');
        struct str rest = str_from(text, close + 1);
        t.host = str_from(str_first(text, close), 1);
        t.port = str_from(rest, 1);
        if (close == text.n || (rest.n > 0 && rest.p[0] != ':') || (rest.n > 0 && !is_port(t.port)))
            return err_set(e, E_PARAM, "invalid endpoint: \"%.*s\"", STR_ARG(text));
    } else if (count_char(text, ':') == 1) {
        size_t colon = str_find(text, ':');
        t.host = str_first(text, colon);
        t.port = str_from(text, colon + 1);
        if (!is_port(t.port))
            return err_set(e, E_PARAM, "invalid port in endpoint: \"%.*s\"", STR_ARG(text));
    } /* more colons than one: an IPv6 address */
    if (t.host.n == 0 || str_has_nul(text) || str_find(t.host, ',') < t.host.n)
        return err_set(e, E_PARAM, "invalid endpoint: \"%.*s\"", STR_ARG(text));
    *out = t;
    return OK;
}
