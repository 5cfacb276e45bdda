/*
 * The first packets of a connection.
 *
 * Everything here is read from a stranger before anything is known of him, so each rule is PostgreSQL's to
 * the byte: which lengths are refused in silence, which versions get an answer, where a StartupMessage must
 * end.
 */
#include "pgwire/hello.h"

#include "base/arena.h"
#include "base/clean.h"
#include "base/rd.h"

enum { PROTOCOL_LATEST = PROTOCOL_3_2 };

#define PQ_PREFIX STR("_pq_.")

enum code hello_next(const struct hello *hello, struct bytes in, struct hello_packet *out)
{
    struct rd r = rd_over(in);

    if (in.n < 4)
        return E_MORE;
    uint32_t length = rd_u32(&r);
    if (length < HELLO_LENGTH_MIN || length > HELLO_LENGTH_MAX)
        return E_PROTOCOL;
    if (in.n < length)
        return E_MORE;
    uint32_t code = rd_u32(&r);
    *out = (struct hello_packet){ HELLO_STARTUP, code, rd_bytes(&r, length - HELLO_LENGTH_MIN), length };
    if (code == HELLO_CODE_CANCEL)
        out->kind = HELLO_CANCEL;
    else if (code == HELLO_CODE_SSL && !hello->ssl_done)
        out->kind = HELLO_SSL;
    else if (code == HELLO_CODE_GSSENC && !hello->gss_done)
        out->kind = HELLO_GSSENC;
    return OK;
}

char hello_answer_ssl(struct hello *hello, bool usable)
{
    hello->ssl_done = true;
    hello->gss_done |= usable;
    return usable ? 'S' : 'N';
}

char hello_answer_gss(struct hello *hello)
{
    hello->gss_done = true;
    return 'N';
}

enum code cancel_parse(struct bytes body, struct cancel *out, struct err *e)
{
    struct rd r = rd_over(body);
    struct cancel c;

    c.pid = rd_u32(&r);
    if (r.bad)
        return err_set(e, E_PROTOCOL, "invalid length of cancel request packet");
    c.key = rd_rest(&r, 1, CANCEL_KEY_MAX);
    if (rd_end(&r) != OK)
        return err_set(e, E_PROTOCOL, "invalid length of cancel key in cancel request packet");
    *out = c;
    return OK;
}

bool startup_error_is_v2(uint32_t version)
{
    return version >> 16 < 3 && version != 0;
}

/* *logical: "database" was said before. It stays said, whatever follows; on and off are about the rest. */
static enum code read_replication(struct str value, bool *logical, enum replication *out, struct err *e)
{
    bool on;

    if (str_is(value, "database")) {
        *logical = true;
        *out = REPLICATION_LOGICAL;
        return OK;
    }
    if (!str_to_bool(value, &on)) {
        err_set(e, E_PARAM, "invalid value for parameter \"replication\": \"%.*s\"", STR_ARG(value));
        err_hint(e, "Valid values are: \"false\", 0, \"true\", 1, \"database\".");
        return E_PARAM;
    }
    *out = !on ? REPLICATION_NONE : *logical ? REPLICATION_LOGICAL : REPLICATION_PHYSICAL;
    return OK;
}

/* How many pairs the body can hold at most: each takes two NULs. */
static size_t pairs_at_most(struct bytes body)
{
    size_t nuls = 0;

    for (size_t i = 0; i < body.n; i++)
        nuls += body.p[i] == 0;
    return nuls / 2 + 1;
}

static enum code take_pair(struct parameter pair, bool *logical, struct startup *s, struct err *e)
{
    struct str name = pair.name, value = pair.value;

    if (str_is(name, "user"))
        s->user = str_first(value, PG_NAME_MAX);
    else if (str_is(name, "database"))
        s->database = str_first(value, PG_NAME_MAX);
    else if (str_is(name, "replication"))
        return read_replication(value, logical, &s->replication, e);
    else if (str_starts(name, PQ_PREFIX))
        s->pq_options[s->pq_option_count++] = name;
    else
        s->parameters[s->parameter_count++] = pair;
    if (str_is(name, "application_name"))
        s->application_name = value;
    return OK;
}

/*
 * Reading stops at an empty name, at a name after which no byte is left for a value, or at the end, and it
 * must have stopped at the last byte of the packet. A missing NUL at the very end counts as one that stands
 * after it.
 */
static enum code read_pairs(struct str body, struct startup *s, struct err *e)
{
    size_t at = 0;
    bool logical = false;

    while (at < body.n && body.p[at] != '\0') {
        struct str name = str_first(str_from(body, at), str_find(str_from(body, at), '\0'));
        size_t value_at = at + name.n + 1;
        if (value_at >= body.n)
            break;
        struct str value = str_first(str_from(body, value_at), str_find(str_from(body, value_at), '\0'));
        TRY(take_pair((struct parameter){ name, value }, &logical, s, e));
        at = value_at + value.n + 1;
    }
    if (at + 1 != body.n)
        return err_set(e, E_PROTOCOL, "invalid startup packet layout: expected terminator as last byte");
    return OK;
}

enum code startup_parse(uint32_t version, struct bytes body, struct arena *arena, struct startup *out,
                        struct err *e)
{
    struct startup s = { .requested = version, .version = version };
    struct bytes copy;

    if (version >> 16 != 3)
        return err_set(e, E_UNSUPPORTED, "unsupported frontend protocol %u.%u: server supports 3.0 to 3.2",
                       version >> 16, version & 0xffff);
    if (version > PROTOCOL_LATEST)
        s.version = PROTOCOL_LATEST;
    s.parameters = arena_array(arena, pairs_at_most(body), sizeof *s.parameters);
    s.pq_options = arena_array(arena, pairs_at_most(body), sizeof *s.pq_options);
    if (!s.parameters || !s.pq_options || !arena_bytes(arena, body, &copy))
        return err_set(e, E_NOMEM, "out of memory");
    TRY(read_pairs(str_from_bytes(copy), &s, e));
    if (s.database.n == 0)
        s.database = s.user;
    if (s.replication == REPLICATION_PHYSICAL)
        s.database = STR("");
    if (!clean_text(CLEAN_NAME, s.user, arena, &s.shown.user) ||
        !clean_text(CLEAN_NAME, s.database, arena, &s.shown.database) ||
        !clean_application_name(s.application_name, PG_NAME_MAX, arena, &s.shown.application_name))
        return err_set(e, E_NOMEM, "out of memory");
    *out = s;
    return OK;
}

enum code startup_check_user(const struct startup *startup, struct err *e)
{
    if (startup->user.n == 0)
        return err_set(e, E_AUTH, "no PostgreSQL user name specified in startup packet");
    return OK;
}

bool startup_must_negotiate(const struct startup *startup)
{
    return startup->requested > PROTOCOL_LATEST || startup->pq_option_count > 0;
}
