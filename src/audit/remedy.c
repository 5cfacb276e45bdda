#include "audit/remedy.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"

enum { STATEMENT_MAX = 1 << 16 };

static const struct {
    const char *keyword;
    bool secret;
} options_known[CONN_OPTION_COUNT] = {
#define OPEN false
#define SECRET true
#define X(name, keyword, environment, value, secrecy) [CONN_##name] = { keyword, secrecy },
#include "conninfo.def"
#undef X
#undef OPEN
#undef SECRET
};

/* ---- quotes ---- */

static void put_quoted(struct buf *out, struct str text, char quote)
{
    buf_append_byte(out, (uint8_t)quote);
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] == quote)
            buf_append_byte(out, (uint8_t)quote);
        buf_append_byte(out, (uint8_t)text.p[i]);
    }
    buf_append_byte(out, (uint8_t)quote);
}

static bool keep(struct buf *text, struct arena *arena, struct str *out)
{
    return !text->failed && arena_str(arena, buf_str(text), out);
}

/* A text as an SQL literal, with its quotes. False when memory ran out. */
static bool remedy_literal(struct str text, struct arena *arena, struct str *out)
{
    AUTO(buf) struct buf quoted = BUF_INIT(STATEMENT_MAX);
    bool escapes = str_find(text, '\\') < text.n; /* whatever standard_conforming_strings says */

    if (!escapes) {
        put_quoted(&quoted, text, '\'');
        return keep(&quoted, arena, out);
    }
    buf_append_c(&quoted, "E'");
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] == '\\' || text.p[i] == '\'')
            buf_append_byte(&quoted, (uint8_t)text.p[i]);
        buf_append_byte(&quoted, (uint8_t)text.p[i]);
    }
    buf_append_c(&quoted, "'");
    return keep(&quoted, arena, out);
}

bool remedy_name(struct str text, struct arena *arena, struct str *out)
{
    AUTO(buf) struct buf quoted = BUF_INIT(STATEMENT_MAX);

    put_quoted(&quoted, text, '"');
    return keep(&quoted, arena, out);
}

/* ---- connection strings ---- */

static bool needs_quotes(struct str value)
{
    for (size_t i = 0; i < value.n; i++)
        if (strchr(" '\\\t\n", value.p[i]))
            return true;
    return value.n == 0;
}

/* [src: PostgreSQL 18, "Keyword/Value Connection Strings"] */
static void put_pair(struct buf *out, const char *keyword, struct str value)
{
    buf_printf(out, "%s%s=", out->n > 0 ? " " : "", keyword);
    if (!needs_quotes(value)) {
        buf_printf(out, "%.*s", STR_ARG(value));
        return;
    }
    buf_append_byte(out, '\'');
    for (size_t i = 0; i < value.n; i++) {
        if (value.p[i] == '\'' || value.p[i] == '\\')
            buf_append_byte(out, '\\');
        buf_append_byte(out, (uint8_t)value.p[i]);
    }
    buf_append_byte(out, '\'');
}

/* A receiver's string has them, and primary_conninfo must not. */
static bool is_of_receiver(enum conn_option option, const struct conn_options *options)
{
    return option == CONN_FALLBACK_APPLICATION_NAME ||
           (option == CONN_DBNAME && str_is(options->v[CONN_DBNAME], "replication"));
}

/* As an SQL literal. */
static bool make_conninfo(const struct conn_options *options, struct arena *arena, struct str *out)
{
    AUTO(buf) struct buf text = BUF_INIT(STATEMENT_MAX);
    struct str plain;

    for (enum conn_option i = 0; i < CONN_OPTION_COUNT; i++)
        if (options->v[i].n > 0 && !options_known[i].secret && i != CONN_SSLMODE && i != CONN_SSLROOTCERT &&
            !is_of_receiver(i, options))
            put_pair(&text, options_known[i].keyword, options->v[i]);
    put_pair(&text, "sslmode", STR("verify-full"));
    put_pair(&text, "sslrootcert",
             options->v[CONN_SSLROOTCERT].n > 0 ? options->v[CONN_SSLROOTCERT] : STR("CA_FILE"));
    return keep(&text, arena, &plain) && remedy_literal(plain, arena, out);
}

/* ---- statements ---- */

enum code remedy_subscription(struct str name, struct str database, const struct conn_options *options,
                              struct arena *arena, struct str *out)
{
    struct str quoted, conninfo, where;

    return remedy_name(name, arena, &quoted) && remedy_name(database, arena, &where) &&
                   make_conninfo(options, arena, &conninfo) &&
                   arena_printf(
                       arena, out,
                       "In database %.*s: ALTER SUBSCRIPTION %.*s CONNECTION %.*s; add the password to the "
                       "string if it had one.",
                       STR_ARG(where), STR_ARG(quoted), STR_ARG(conninfo))
               ? OK
               : E_NOMEM;
}

/* SET what is there, ADD what is not. */
static bool make_options(const struct conn_options *options, struct arena *arena, struct str *out)
{
    bool has_ca = options->v[CONN_SSLROOTCERT].n > 0;

    return arena_printf(arena, out, "OPTIONS (%s sslmode 'verify-full'%s)",
                        options->v[CONN_SSLMODE].p ? "SET" : "ADD",
                        has_ca                           ? ""
                        : options->v[CONN_SSLROOTCERT].p ? ", SET sslrootcert 'CA_FILE'"
                                                         : ", ADD sslrootcert 'CA_FILE'");
}

enum code remedy_server(struct str name, const struct conn_options *options, struct arena *arena,
                        struct str *out)
{
    struct str quoted, list;

    return remedy_name(name, arena, &quoted) && make_options(options, arena, &list) &&
                   arena_printf(arena, out, "ALTER SERVER %.*s %.*s;", STR_ARG(quoted), STR_ARG(list))
               ? OK
               : E_NOMEM;
}

enum code remedy_mapping(struct str user, struct str server, const struct conn_options *options,
                         struct arena *arena, struct str *out)
{
    struct str name, quoted = STR("PUBLIC"), list;

    return (str_is(user, "public") || remedy_name(user, arena, &quoted)) &&
                   remedy_name(server, arena, &name) && make_options(options, arena, &list) &&
                   arena_printf(arena, out, "ALTER USER MAPPING FOR %.*s SERVER %.*s %.*s;", STR_ARG(quoted),
                                STR_ARG(name), STR_ARG(list))
               ? OK
               : E_NOMEM;
}

enum code remedy_standby(const struct conn_options *options, struct arena *arena, struct str *out)
{
    struct str conninfo;

    return make_conninfo(options, arena, &conninfo) &&
                   arena_printf(
                       arena, out,
                       "ALTER SYSTEM SET primary_conninfo = %.*s; SELECT pg_reload_conf(); add the password "
                       "to the string if it had one.",
                       STR_ARG(conninfo))
               ? OK
               : E_NOMEM;
}
