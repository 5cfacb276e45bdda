/*
 * Connection strings without their secrets.
 *
 * This follows the parser of client/conninfo_text.c, but never fails: it stops trusting the text at the first
 * thing that the parser would refuse. [src: PostgreSQL 18, fe-connect.c, conninfo_parse, conninfo_uri_parse]
 */
#include "lex/conninfo_hide.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"

#include <openssl/crypto.h>

enum secrecy { OPEN, SECRET };

static const struct {
    const char *keyword;
    enum secrecy secrecy;
} known[] = {
#define X(name, keyword, environment, value, secrecy) { keyword, secrecy },
#include "conninfo.def"
#undef X
    { "requiressl", OPEN },
    { "ssl", OPEN },
};

/* COUNT_OF(known): no keyword. */
static size_t find_known(struct str keyword)
{
    size_t i = 0;

    while (i < COUNT_OF(known) && !str_is(keyword, known[i].keyword))
        i++;
    return i;
}

static bool is_known(struct str keyword)
{
    return find_known(keyword) < COUNT_OF(known);
}

bool conninfo_is_secret(struct str keyword)
{
    size_t i = find_known(keyword);

    return i < COUNT_OF(known) && known[i].secrecy == SECRET;
}

static size_t find_from(struct str s, size_t from, char c)
{
    return from + str_find(str_from(s, from), c);
}

static struct str between(struct str s, size_t from, size_t to)
{
    return str_of(s.p + from, to - from);
}

/* ---- keyword = value ---- */

static size_t skip_spaces(struct str s, size_t at)
{
    while (at < s.n && char_is_blank(s.p[at]))
        at++;
    return at;
}

/* Where a value ends; false when its quote is never closed. */
static bool end_of_value(struct str s, size_t *at)
{
    bool quoted = *at < s.n && s.p[*at] == '\'';
    size_t i = *at + (quoted ? 1 : 0);

    while (i < s.n && (quoted ? s.p[i] != '\'' : !char_is_blank(s.p[i])))
        i += s.p[i] == '\\' && i + 1 < s.n ? 2 : 1;
    *at = i < s.n && quoted ? i + 1 : i;
    return !quoted || i < s.n;
}

/*
 * A word without = and an unknown one may be the rest of a password with a blank in it: nothing of them is
 * shown once a secret has been seen.
 */
static void hide_pairs(struct str s, struct buf *out)
{
    bool secret_seen = false, go_on = true;

    for (size_t at = 0; at < s.n && go_on;) {
        size_t from = skip_spaces(s, at), end = from;
        buf_append_str(out, between(s, at, from));
        while (end < s.n && s.p[end] != '=' && !char_is_blank(s.p[end]))
            end++;
        struct str keyword = between(s, from, end);
        bool known_one = is_known(keyword);
        size_t value = skip_spaces(s, end);
        bool pair = value < s.n && s.p[value] == '=';
        value = at = pair ? skip_spaces(s, value + 1) : value;
        if (known_one || (pair && !secret_seen && str_find(keyword, '@') == keyword.n))
            buf_append_str(out, between(s, from, value));
        go_on = pair && end_of_value(s, &at) && known_one;
        secret_seen |= conninfo_is_secret(keyword);
        bool show = go_on ? !conninfo_is_secret(keyword) : from == s.n || (known_one && value == s.n);
        buf_append_str(out, show ? between(s, value, at) : STR(HIDDEN));
    }
}

/* ---- URI ---- */

/* A keyword with its %XX decoded; one that is longer than any known one is cut, and so unknown. */
static struct str decoded(struct str raw, char *room, size_t size)
{
    size_t n = 0;

    for (size_t i = 0; i < raw.n && n < size; i++) {
        int high = raw.p[i] == '%' && i + 2 < raw.n ? OPENSSL_hexchar2int((unsigned char)raw.p[i + 1]) : -1;
        int low = high >= 0 ? OPENSSL_hexchar2int((unsigned char)raw.p[i + 2]) : -1;
        room[n++] = low >= 0 ? (char)(high << 4 | low) : raw.p[i];
        i += low >= 0 ? 2 : 0;
    }
    return str_of(room, n);
}

static void hide_query(struct str rest, struct buf *out)
{
    bool secret_seen = false;
    struct str pair;

    for (const char *before = "?"; str_split(&rest, '&', &pair); before = "&") {
        char room[64];
        size_t equals = str_find(pair, '=');
        struct str keyword = decoded(str_first(pair, equals), room, sizeof room);
        bool known_one = is_known(keyword), named = known_one || (!secret_seen && equals < pair.n);
        secret_seen |= conninfo_is_secret(keyword);
        buf_append_str(out, str_c(before));
        if (named)
            buf_append_str(out, str_first(pair, equals + 1));
        if (known_one && !conninfo_is_secret(keyword))
            buf_append_str(out, str_from(pair, equals + 1));
        else if (!known_one || equals < pair.n)
            buf_append_str(out, STR(HIDDEN));
    }
}

/* Hosts with their ports, and the path. False when the rest of the text is not to be shown. */
static bool hide_locations(struct str s, struct buf *out)
{
    size_t path = str_find(s, '/');

    for (size_t at = 0; at < path;) {
        size_t end = s.p[at] == '[' ? find_from(s, at, ']') : at;
        size_t colon = find_from(s, end, ':');
        size_t comma = find_from(s, end, ',');
        size_t next = comma < path ? comma + 1 : path;
        int64_t port;
        if (colon + 1 < next &&
            !str_to_i64(between(s, colon + 1, comma < path ? comma : path), INT64_MIN, INT64_MAX, &port)) {
            buf_printf(out, "%.*s:" HIDDEN, STR_ARG(between(s, at, colon)));
            return false;
        }
        buf_append_str(out, between(s, at, next));
        at = next;
    }
    buf_append_str(out, str_from(s, path));
    return true;
}

/* Where the credentials of a URI end, 0: it has none; `s` begins after ://. */
static size_t credentials_end(struct str s)
{
    size_t at = 0;

    while (at < s.n && s.p[at] != '@' && s.p[at] != '/')
        at++;
    return at < s.n && s.p[at] == '@' ? at + 1 : 0;
}

/* In front of the @ that ends the credentials a ? is one of their bytes. */
static size_t query_start(struct str s)
{
    return find_from(s, credentials_end(s), '?');
}

/* In a host's first place an @ is an abstract socket's. */
static size_t leftover_in_front(struct str s, size_t from, size_t to)
{
    size_t path = from + str_find(between(s, from, to), '/'), last = 0;

    for (size_t i = from; i < to; i++) {
        bool abstract = i < path && (i == from || s.p[i - 1] == ',');
        if (s.p[i] == '@' && !abstract)
            last = i + 1;
    }
    return last;
}

static size_t leftover_in_query(struct str s, size_t from)
{
    struct str rest = str_from(s, from), pair;
    size_t last = 0;

    while (str_split(&rest, '&', &pair)) {
        char room[64];
        size_t equals = str_find(pair, '=');
        if (equals < pair.n && is_known(decoded(str_first(pair, equals), room, sizeof room)))
            continue;
        for (size_t i = 0; i < pair.n; i++)
            if (pair.p[i] == '@')
                last = (size_t)(pair.p - s.p) + i + 1;
    }
    return last;
}

size_t conninfo_uri_leftover(struct str s)
{
    size_t query = query_start(s);
    size_t in_query = query < s.n ? leftover_in_query(s, query + 1) : 0;
    size_t last = in_query > 0 ? in_query : leftover_in_front(s, credentials_end(s), query);

    return str_find(s, ':') < last ? last : 0;
}

/* `start`: after ://. */
static void hide_uri(struct str s, size_t start, struct buf *out)
{
    struct str uri = str_from(s, start);
    size_t query = start + query_start(uri), leftover = start + conninfo_uri_leftover(uri), last;

    for (last = query; last > start && s.p[last - 1] != '@';)
        last--;
    if (leftover > last) {
        last = leftover;
        query = find_from(s, last, '?');
    }
    size_t colon = find_from(s, start, ':');
    buf_append_str(out, str_first(s, start));
    if (last > start && colon < last)
        buf_printf(out, "%.*s:" HIDDEN "@", STR_ARG(between(s, start, colon)));
    else
        buf_append_str(out, between(s, start, last));
    if (hide_locations(between(s, last, query), out) && query < s.n)
        hide_query(str_from(s, query + 1), out);
}

/* Position after the first ://, or 0. */
static size_t behind_scheme(struct str s)
{
    for (size_t i = 0; i + 3 <= s.n; i++)
        if (str_starts(str_from(s, i), STR("://")))
            return i + 3;
    return 0;
}

/* ---- any ---- */

void conninfo_hide(struct str text, struct buf *out)
{
    size_t scheme = behind_scheme(text);

    /* A URI with a wrong scheme is read as pairs, and is no less a URI to whoever wrote it. */
    if (scheme > 0 && scheme <= str_find(text, '=') && scheme <= str_find(text, ' '))
        hide_uri(text, scheme, out);
    else
        hide_pairs(text, out);
}

static struct str kept(struct arena *arena, struct buf *shown)
{
    struct str out;

    bool ok = buf_ok(shown) && arena_str(arena, buf_str(shown), &out);
    buf_fini(shown);
    return ok ? out : STR(HIDDEN);
}

/* Hiding adds at most a mark per byte. */
static size_t room_for(struct str text)
{
    enum { ROOM_MIN = 64 };

    return ROOM_MIN + text.n * sizeof HIDDEN;
}

struct str conninfo_hidden(struct arena *arena, struct str text)
{
    struct buf shown = BUF_INIT(room_for(text));

    conninfo_hide(text, &shown);
    return kept(arena, &shown);
}

/* Where the value of a "Password=" begins in a word of no known syntax; word.n: nowhere. */
static size_t secret_assigned(struct str word)
{
    static const struct str names[] = { { "password", 8 }, { "pwd", 3 } };

    for (size_t i = 0; i < word.n; i++)
        for (size_t k = 0; k < COUNT_OF(names); k++) {
            size_t at = skip_spaces(word, i + names[k].n);
            if (str_starts_nocase(str_from(word, i), names[k]) && at < word.n && word.p[at] == '=')
                return at + 1;
        }
    return word.n;
}

struct str conninfo_hidden_word(struct arena *arena, struct str word)
{
    struct buf shown = BUF_INIT(room_for(word));
    size_t scheme = behind_scheme(word);

    if (scheme > 0 || str_find(word, '@') < word.n)
        hide_uri(word, scheme, &shown);
    else if (secret_assigned(word) < word.n)
        buf_printf(&shown, "%.*s" HIDDEN, STR_ARG(str_first(word, secret_assigned(word))));
    else
        buf_append_str(&shown, word);
    return kept(arena, &shown);
}
