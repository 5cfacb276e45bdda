#include "probe/target.h"

#include "base/arena.h"
#include "client/pasted.h"
#include "lex/conninfo_hide.h"
#include "probe/probe.h"

static enum code target_invalid(struct str text, struct arena *arena, struct err *e)
{
    return err_set(e, E_PARAM, "invalid endpoint: \"%.*s\"", STR_ARG(conninfo_hidden_word(arena, text)));
}

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

static bool has_list(struct str s)
{
    return str_find(s, ',') < s.n;
}

static enum code parse_address(struct str text, struct arena *arena, struct probe_target *out, struct err *e)
{
    struct str host = text, port = { 0 };

    if (str_starts(text, STR("["))) {
        size_t close = str_find(text, ']');
        struct str rest = str_from(text, close + 1);
        host = str_from(str_first(text, close), 1);
        if (close == text.n || (rest.n > 0 && rest.p[0] != ':'))
            return target_invalid(text, arena, e);
        if (rest.n > 0)
            port = str_from(rest, 1);
    } else if (count_char(text, ':') == 1) { /* more than one: an IPv6 address */
        size_t colon = str_find(text, ':');
        host = str_first(text, colon);
        port = str_from(text, colon + 1);
    }
    if (host.n == 0 || str_has_nul(text) || has_list(host) || (port.p && !is_port(port)))
        return target_invalid(text, arena, e);
    *out = (struct probe_target){ .text = text };
    out->options.v[CONN_HOST] = host;
    out->options.v[CONN_PORT] = port.p ? port : STR("5432");
    return OK;
}

static enum code parse_conninfo(struct str text, enum pasted_driver driver, struct arena *arena,
                                struct probe_target *out, struct err *e)
{
    struct probe_target t = { 0 };
    struct pasted *pasted = ARENA_NEW(arena, struct pasted);
    struct str *v = t.options.v;

    if (!pasted)
        return err_set(e, E_NOMEM, "out of memory");
    TRY(pasted_parse_for(text, driver, arena, pasted, e));
    t.options = pasted->options;
    t.pasted = pasted;
    if (has_list(v[CONN_HOST]) || has_list(v[CONN_HOSTADDR]) || has_list(v[CONN_PORT]))
        return err_set(e, E_PARAM, "an endpoint is one host: give each host as its own endpoint");
    struct str host = v[CONN_HOST].n > 0 ? v[CONN_HOST] : v[CONN_HOSTADDR];
    struct str service = v[CONN_SERVICE], port = v[CONN_PORT];
    if (t.options.port_of_uri && !is_port(port))
        port = STR(HIDDEN); /* perhaps a piece of a password; connecting will complain */
    bool ok = host.n > 0 || service.n == 0 ? arena_printf(arena, &t.text, "%.*s%s%.*s", STR_ARG(host),
                                                          port.n > 0 ? ":" : "", STR_ARG(port))
                                           : arena_printf(arena, &t.text, "service=%.*s", STR_ARG(service));
    if (!ok)
        return err_set(e, E_NOMEM, "out of memory");
    if (t.text.n == 0)
        t.text = STR("default");
    *out = t;
    return OK;
}

enum code probe_target_parse_for(struct str text, enum pasted_driver driver, struct arena *arena,
                                 struct probe_target *out, struct err *e)
{
    bool conninfo = str_find(text, '=') < text.n || pasted_recognized(text);

    return conninfo ? parse_conninfo(text, driver, arena, out, e) : parse_address(text, arena, out, e);
}

enum code probe_target_parse(struct str text, struct arena *arena, struct probe_target *out, struct err *e)
{
    return probe_target_parse_for(text, PASTED_LIBPQ, arena, out, e);
}
