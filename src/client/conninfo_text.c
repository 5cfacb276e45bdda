/*
 * Syntax of connection strings: `keyword = value` lists and postgresql:// URIs.
 *
 * Both forms go through a cursor over the caller's text; values are decoded into the arena. Where libpq
 * reads a C string the end of the text plays the NUL's part, and a NUL inside the text is refused. Errors are
 * libpq's, but what they quote is never a part of a secret [choice: they end up in the log].
 */
#include "client/conninfo_text.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "client/conninfo.h"
#include "client/conninfo_values.h"
#include "lex/conninfo_hide.h"

#include <openssl/crypto.h>

static const char *const keywords[CONN_OPTION_COUNT] = {
#define X(name, keyword, environment, value, secrecy) [CONN_##name] = keyword,
#include "conninfo.def"
#undef X
};

struct text {
    struct str s;
    size_t at;
    struct arena *arena;
    struct conn_options *options;
    struct err *e;
    size_t credentials; /* where those of a URI end */
    bool secret_seen;   /* an unknown word may be a piece of it */
};

const char *conn_option_keyword(enum conn_option option)
{
    return keywords[option];
}

/* 0 at the end: no text that gets here holds a NUL. */
static char peek(const struct text *t)
{
    return t->at < t->s.n ? t->s.p[t->at] : '\0';
}

static void skip_spaces(struct text *t)
{
    while (char_is_blank(peek(t)))
        t->at++;
}

static struct str since(const struct text *t, size_t from)
{
    return str_of(t->s.p + from, t->at - from);
}

bool conn_option_find(struct str keyword, enum conn_option *out)
{
    size_t i = str_index_of(keyword, keywords, CONN_OPTION_COUNT);

    if (i == CONN_OPTION_COUNT)
        return false;
    *out = (enum conn_option)i;
    return true;
}

/* How a word that is in a keyword's place is quoted. */
static struct str shown_word(const struct text *t, struct str word)
{
    enum conn_option unused;

    if (conn_option_find(word, &unused) || str_is(word, "requiressl"))
        return word;
    return t->secret_seen ? STR(HIDDEN) : conninfo_hidden_word(t->arena, word);
}

/* The pre-7.4 option requiressl is still understood. */
static void translate_old(struct str *keyword, struct str *value)
{
    if (!str_is(*keyword, "requiressl"))
        return;
    *keyword = STR("sslmode");
    *value = value->n > 0 && value->p[0] == '1' ? STR("require") : STR("prefer");
}

enum code conn_options_set(struct conn_options *options, struct str keyword, struct str value,
                           struct arena *arena, struct err *e)
{
    enum conn_option option;

    translate_old(&keyword, &value);
    if (!conn_option_find(keyword, &option))
        return err_set(e, E_PARAM, "invalid connection option \"%.*s\"", STR_ARG(keyword));
    if (str_has_nul(value))
        return err_set(e, E_PARAM, "value of \"%.*s\" holds a NUL byte", STR_ARG(keyword));
    if (!arena_str(arena, value, &options->v[option]))
        return err_set(e, E_NOMEM, "out of memory");
    return OK;
}

/* ---- keyword = value ---- */

static enum code read_keyword(struct text *t, struct str *out)
{
    size_t from = t->at;

    while (t->at < t->s.n && peek(t) != '=' && !char_is_blank(peek(t)))
        t->at++;
    *out = since(t, from);
    skip_spaces(t);
    if (peek(t) != '=')
        return err_set(t->e, E_PARAM, "missing \"=\" after \"%.*s\" in connection info string",
                       STR_ARG(shown_word(t, *out)));
    t->at++;
    skip_spaces(t);
    return OK;
}

/* A backslash takes the next byte as it is; one at the very end is dropped. */
static void read_byte(struct text *t, struct buf *value)
{
    if (peek(t) == '\\' && ++t->at == t->s.n)
        return;
    buf_append_byte(value, (uint8_t)peek(t));
    t->at++;
}

static enum code read_value(struct text *t, struct buf *value)
{
    if (peek(t) != '\'') {
        while (t->at < t->s.n && !char_is_blank(peek(t)))
            read_byte(t, value);
        return OK;
    }
    for (t->at++; t->at < t->s.n && peek(t) != '\'';)
        read_byte(t, value);
    if (t->at >= t->s.n)
        return err_set(t->e, E_PARAM, "unterminated quoted string in connection info string");
    t->at++;
    return OK;
}

static enum code parse_pair(struct text *t, struct buf *value)
{
    struct str keyword;

    TRY(read_keyword(t, &keyword));
    buf_reset(value);
    TRY(read_value(t, value));
    if (!buf_ok(value))
        return err_set(t->e, E_NOMEM, "out of memory");
    enum conn_option unused;
    if (!str_is(keyword, "requiressl") && !conn_option_find(keyword, &unused))
        return err_set(t->e, E_PARAM, "invalid connection option \"%.*s\"", STR_ARG(shown_word(t, keyword)));
    t->secret_seen |= conninfo_is_secret(keyword);
    return conn_options_set(t->options, keyword, buf_str(value), t->arena, t->e);
}

static enum code parse_pairs(struct text *t)
{
    struct buf value = BUF_INIT(CONN_TEXT_MAX);
    enum code code = OK;

    for (skip_spaces(t); code == OK && t->at < t->s.n; skip_spaces(t))
        code = parse_pair(t, &value);
    buf_fini_secret(&value); /* one of the values may have been a password */
    return code;
}

/* ---- URI ---- */

/* A piece of a URI, and how errors quote it. */
struct piece {
    struct str s;
    struct str shown;
};

/* One byte, with %XX taken apart; `*at` moves on. */
static enum code decode_byte(const struct piece *piece, size_t *at, struct buf *out, struct err *e)
{
    struct str s = piece->s;
    char c = s.p[*at];

    if (c != '%') {
        buf_append_byte(out, (uint8_t)c);
        ++*at;
        return OK;
    }
    int hi = *at + 1 < s.n ? OPENSSL_hexchar2int((unsigned char)s.p[*at + 1]) : -1;
    int lo = *at + 2 < s.n ? OPENSSL_hexchar2int((unsigned char)s.p[*at + 2]) : -1;
    if (hi < 0 || lo < 0)
        return err_set(e, E_PARAM, "invalid percent-encoded token: \"%.*s\"", STR_ARG(piece->shown));
    if (hi == 0 && lo == 0)
        return err_set(e, E_PARAM, "forbidden value %%00 in percent-encoded value: \"%.*s\"",
                       STR_ARG(piece->shown));
    buf_append_byte(out, (uint8_t)(hi << 4 | lo));
    *at += 3;
    return OK;
}

/* Blanks around the value are dropped, blanks inside it are refused. */
static enum code decode_into(const struct piece *piece, struct buf *out, struct err *e)
{
    struct str s = piece->s;
    size_t at = 0;

    while (at < s.n && s.p[at] == ' ')
        at++;
    while (at < s.n && !char_is_blank(s.p[at]))
        TRY(decode_byte(piece, &at, out, e));
    while (at < s.n && s.p[at] == ' ')
        at++;
    if (at < s.n)
        return err_set(e, E_PARAM,
                       "unexpected spaces found in \"%.*s\", use percent-encoded spaces (%%20) instead",
                       STR_ARG(piece->shown));
    return buf_ok(out) ? OK : err_set(e, E_NOMEM, "out of memory");
}

static enum code decode(const struct text *t, struct piece piece, struct str *out)
{
    struct buf b = BUF_INIT(CONN_TEXT_MAX);
    enum code code = decode_into(&piece, &b, t->e);

    if (code == OK && !arena_str(t->arena, buf_str(&b), out))
        code = err_set(t->e, E_NOMEM, "out of memory");
    buf_fini_secret(&b);
    return code;
}

/*
 * An @ that was not percent-encoded: what libpq takes for hosts, ports or path may be a piece of a password.
 */
static bool stray_at(const struct text *t)
{
    struct str rest = str_from(t->s, t->credentials);

    return str_find(str_first(rest, str_find(rest, '?')), '@') < rest.n;
}

/* An empty part of a URI sets nothing: the environment may still have a word. */
static enum code store_part(const struct text *t, const char *keyword, struct str raw)
{
    bool hide = conninfo_is_secret(str_c(keyword)) || stray_at(t);
    struct piece piece = { raw, hide ? STR(HIDDEN) : raw };
    struct str value;

    if (raw.n == 0)
        return OK;
    TRY(decode(t, piece, &value));
    return conn_options_set(t->options, str_c(keyword), value, t->arena, t->e);
}

static size_t find_any(struct str s, size_t from, const char *set)
{
    while (from < s.n && !strchr(set, s.p[from]))
        from++;
    return from;
}

static enum code parse_credentials(struct text *t)
{
    size_t at_sign = find_any(t->s, t->at, "@/");

    if (at_sign >= t->s.n || t->s.p[at_sign] != '@')
        return OK;
    struct str both = str_of(t->s.p + t->at, at_sign - t->at);
    size_t colon = str_find(both, ':');
    t->credentials = at_sign + 1;
    TRY(store_part(t, "user", str_first(both, colon)));
    TRY(store_part(t, "password", str_from(both, colon + 1)));
    t->at = at_sign + 1;
    return OK;
}

/* "[…]" without its brackets. */
static enum code parse_bracketed(struct text *t, struct str *out)
{
    size_t from = ++t->at;

    t->at = find_any(t->s, t->at, "]");
    if (t->at >= t->s.n)
        return err_set(
            t->e, E_PARAM,
            "end of string reached when looking for matching \"]\" in IPv6 host address in URI: \"%.*s\"",
            STR_ARG(conninfo_hidden(t->arena, t->s)));
    *out = since(t, from);
    if (out->n == 0)
        return err_set(t->e, E_PARAM, "IPv6 host address may not be empty in URI: \"%.*s\"",
                       STR_ARG(conninfo_hidden(t->arena, t->s)));
    t->at++;
    if (t->at < t->s.n && !strchr(":/?,", peek(t)))
        return err_set(
            t->e, E_PARAM,
            "unexpected character \"%c\" at position %zu in URI (expected \":\" or \"/\"): \"%.*s\"", peek(t),
            t->at + 1, STR_ARG(conninfo_hidden(t->arena, t->s)));
    return OK;
}

/* host[:port], appended to the two comma lists. */
static enum code parse_location(struct text *t, struct buf *hosts, struct buf *ports)
{
    struct str host;
    size_t from = t->at;

    if (peek(t) == '[') {
        TRY(parse_bracketed(t, &host));
    } else {
        t->at = find_any(t->s, t->at, ":/?,");
        host = since(t, from);
    }
    buf_append_str(hosts, host);
    if (peek(t) == ':') {
        from = ++t->at;
        t->at = find_any(t->s, t->at, "/?,");
        buf_append_str(ports, since(t, from));
    }
    return OK;
}

static enum code parse_locations(struct text *t)
{
    AUTO(buf) struct buf hosts = BUF_INIT(CONN_TEXT_MAX);
    AUTO(buf) struct buf ports = BUF_INIT(CONN_TEXT_MAX);

    TRY(parse_location(t, &hosts, &ports));
    while (peek(t) == ',') {
        t->at++;
        buf_append_byte(&hosts, ',');
        buf_append_byte(&ports, ',');
        TRY(parse_location(t, &hosts, &ports));
    }
    if (!buf_ok(&hosts) || !buf_ok(&ports))
        return err_set(t->e, E_NOMEM, "out of memory");
    TRY(store_part(t, "host", buf_str(&hosts)));
    t->options->port_of_uri = ports.n > 0;
    return store_part(t, "port", buf_str(&ports));
}

/* One `keyword=value` of the query; JDBC's ssl=true is understood. */
static enum code parse_query_pair(struct text *t, struct str pair)
{
    size_t equals = str_find(pair, '=');
    struct str keyword = str_first(pair, equals), value = str_from(pair, equals + 1);
    struct str shown = shown_word(t, keyword);

    if (equals == pair.n)
        return err_set(t->e, E_PARAM, "missing key/value separator \"=\" in URI query parameter: \"%.*s\"",
                       STR_ARG(shown));
    if (str_find(value, '=') < value.n)
        return err_set(t->e, E_PARAM, "extra key/value separator \"=\" in URI query parameter: \"%.*s\"",
                       STR_ARG(shown));
    TRY(decode(t, (struct piece){ keyword, shown }, &keyword));
    enum conn_option unused;
    bool is_ssl = str_is(keyword, "ssl");
    bool is_known = is_ssl || str_is(keyword, "requiressl") || conn_option_find(keyword, &unused);
    bool hide = !is_known || conninfo_is_secret(keyword);
    TRY(decode(t, (struct piece){ value, hide ? STR(HIDDEN) : value }, &value));
    if (is_ssl && str_is(value, "true")) {
        keyword = STR("sslmode");
        value = STR("require");
    }
    if (!is_known || str_is(keyword, "ssl"))
        return err_set(t->e, E_PARAM, "invalid URI query parameter: \"%.*s\"",
                       STR_ARG(shown_word(t, keyword)));
    t->secret_seen |= conninfo_is_secret(keyword);
    return conn_options_set(t->options, keyword, value, t->arena, t->e);
}

static enum code parse_query(struct text *t)
{
    while (t->at < t->s.n) {
        size_t from = t->at;
        t->at = find_any(t->s, t->at, "&");
        TRY(parse_query_pair(t, since(t, from)));
        t->at++;
    }
    return OK;
}

/* libpq would take what an unencoded password leaves for hosts or names, connect there, and quote it then. */
static enum code refuse_leftover(const struct text *t)
{
    if (conninfo_uri_leftover(str_from(t->s, t->at)) == 0)
        return OK;
    (void)err_set(t->e, E_PARAM, "unexpected \"@\" in a URI: \"%.*s\"",
                  STR_ARG(conninfo_hidden(t->arena, t->s)));
    err_hint(t->e, CONN_ENCODE_HINT);
    return E_PARAM;
}

static enum code parse_uri(struct text *t)
{
    TRY(refuse_leftover(t));
    TRY(parse_credentials(t));
    TRY(parse_locations(t));
    if (peek(t) == '/') {
        size_t from = ++t->at;
        t->at = find_any(t->s, t->at, "?");
        TRY(store_part(t, "dbname", since(t, from)));
    }
    if (peek(t) != '?')
        return OK;
    t->at++;
    return parse_query(t);
}

enum code conn_options_parse(struct str text, struct arena *arena, struct conn_options *out, struct err *e)
{
    static const struct str prefixes[] = { { "postgresql://", 13 }, { "postgres://", 11 } };
    struct conn_options options = { 0 };
    struct text t = { .s = text, .arena = arena, .options = &options, .e = e };
    enum code code = OK;
    bool uri = false;

    if (text.n > CONN_TEXT_MAX)
        return err_set(e, E_LIMIT, "connection string is longer than %d bytes", CONN_TEXT_MAX);
    if (str_has_nul(text))
        return err_set(e, E_PARAM, "connection string holds a NUL byte");
    for (size_t i = 0; i < 2 && !uri; i++) {
        uri = str_starts(text, prefixes[i]);
        t.at = t.credentials = uri ? prefixes[i].n : 0;
    }
    code = uri ? parse_uri(&t) : parse_pairs(&t);
    if (code == OK)
        *out = options;
    return code;
}
