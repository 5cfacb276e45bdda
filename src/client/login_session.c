
#include "client/login_session.h"

#include "base/arena.h"
#include "base/rd.h"
#include "pgwire/hello.h"

void login_note_mechanisms(struct login_facts *facts, struct bytes mechanisms)
{
    struct rd r = rd_over(mechanisms);

    for (struct str name = rd_cstr(&r); !r.bad && name.n > 0; name = rd_cstr(&r)) {
        facts->offered_scram |= str_is(name, SCRAM_MECHANISM);
        facts->offered_plus |= str_is(name, SCRAM_MECHANISM_PLUS);
    }
}

enum code login_note_parameter(struct login_facts *facts, struct arena *arena, struct bytes body,
                               struct err *e)
{
    struct rd r = rd_over(body);
    struct str name = rd_cstr(&r), value = rd_cstr(&r);
    struct str *where = NULL;

    if (rd_end(&r) != OK)
        return err_set(e, E_PROTOCOL, "received invalid ParameterStatus message");
    if (str_is(name, "server_version"))
        where = &facts->server_version;
    else if (str_is(name, "default_transaction_read_only"))
        where = &facts->default_read_only;
    else if (str_is(name, "in_hot_standby"))
        where = &facts->in_hot_standby;
    if (where && !arena_str(arena, value, where))
        return err_set(e, E_NOMEM, "out of memory");
    return OK;
}

#define BAD_KEY "received invalid BackendKeyData message: "

enum code login_note_key(struct login_facts *facts, struct bytes body, struct err *e)
{
    struct rd r = rd_over(body);
    uint32_t pid = rd_u32(&r);
    size_t n = r.left.n;

    if (r.bad)
        return err_set(e, E_PROTOCOL, BAD_KEY "message too short");
    if (facts->protocol == PROTOCOL_3_0 && n != 4)
        return err_set(
            e, E_PROTOCOL,
            BAD_KEY "cancel key with length %zu not allowed in protocol version 3.0 (must be 4 bytes)", n);
    if (n < 4)
        return err_set(e, E_PROTOCOL, BAD_KEY "cancel key with length %zu is too short (minimum 4 bytes)", n);
    if (n > sizeof facts->key)
        return err_set(e, E_PROTOCOL, BAD_KEY "cancel key with length %zu is too long (maximum 256 bytes)",
                       n);
    facts->pid = pid;
    facts->key_n = n;
    memcpy(facts->key, r.left.p, n);
    return OK;
}

enum code server_error_parse(struct bytes body, struct server_error *out)
{
    struct rd r = rd_over(body);
    struct server_error error = { .body = body };

    for (uint8_t field = rd_u8(&r); field != 0; field = rd_u8(&r)) {
        struct str value = rd_cstr(&r);
        if (field == 'V' || (field == 'S' && error.severity.n == 0)) /* V: never translated */
            error.severity = value;
        else if (field == 'C')
            error.sqlstate = value;
        else if (field == 'M')
            error.message = value;
        else if (field == 'D')
            error.detail = value;
        else if (field == 'H')
            error.hint = value;
        else if (field == 'R')
            error.routine = value;
    }
    TRY(rd_end(&r));
    *out = error;
    return OK;
}

bool server_error_is_full(const struct server_error *error, bool admitted)
{
    return str_is(error->sqlstate, "53300") && (!admitted || str_is(error->routine, "InitPostgres"));
}

/* ---- target_session_attrs ---- */

static bool is_on(struct str value)
{
    return str_is(value, "on") || str_is(value, "t");
}

/* `known` false: the server did not say. */
static enum attrs_verdict login_session_judge(bool suits, bool known, const char *text, struct err *e)
{
    if (!known)
        return ATTRS_UNKNOWN;
    if (suits)
        return ATTRS_SUITS;
    (void)err_set(e, E_UNAVAILABLE, "%s", text);
    return ATTRS_MISMATCH;
}

enum host_role login_role(const struct login_facts *facts)
{
    if (!facts->in_hot_standby.p)
        return HOST_ROLE_UNKNOWN;
    return is_on(facts->in_hot_standby) ? HOST_ROLE_STANDBY : HOST_ROLE_PRIMARY;
}

enum attrs_verdict login_attrs(const struct login_facts *facts, enum session_attrs wanted, struct err *e)
{
    bool standby_known = facts->in_hot_standby.p != NULL;
    bool read_known = standby_known && facts->default_read_only.p != NULL;
    bool standby = standby_known && is_on(facts->in_hot_standby);
    bool read_only = standby || (read_known && is_on(facts->default_read_only));

    switch (wanted) {
    case ATTRS_ANY:
        return ATTRS_SUITS;
    case ATTRS_READ_WRITE:
        return login_session_judge(!read_only, read_known, "session is read-only", e);
    case ATTRS_READ_ONLY:
        return login_session_judge(read_only, read_known, "session is not read-only", e);
    case ATTRS_PRIMARY:
        return login_session_judge(!standby, standby_known, "server is in hot standby mode", e);
    case ATTRS_STANDBY:
    case ATTRS_PREFER_STANDBY:
        return login_session_judge(standby, standby_known, "server is not in hot standby mode", e);
    }
    return ATTRS_UNKNOWN;
}

struct str login_attrs_query(enum session_attrs wanted)
{
    if (wanted == ATTRS_READ_WRITE || wanted == ATTRS_READ_ONLY)
        return STR("SHOW transaction_read_only");
    return STR("SELECT pg_catalog.pg_is_in_recovery()");
}

enum attrs_verdict login_attrs_answer(enum session_attrs wanted, struct str value, struct err *e)
{
    bool read_question = wanted == ATTRS_READ_WRITE || wanted == ATTRS_READ_ONLY;
    struct login_facts facts = { .default_read_only = read_question ? value : STR("off"),
                                 .in_hot_standby = read_question ? STR("off") : value };

    return login_attrs(&facts, wanted, e);
}

/* ---- parameters ---- */

struct adder {
    struct parameter *out;
    size_t n;
};

static void login_session_add(struct adder *a, const char *name, struct str value)
{
    if (value.n > 0)
        a->out[a->n++] = (struct parameter){ str_c(name), value };
}

/* [src: PostgreSQL 18, fe-protocol3.c build_startup_packet] */
size_t login_parameters(const struct conninfo *info, const struct conn_world *world, struct parameter *out)
{
    static const char *const environment[][2] = { { "PGDATESTYLE", "datestyle" },
                                                  { "PGTZ", "timezone" },
                                                  { "PGGEQO", "geqo" } };
    const struct str *v = info->options.v;
    struct adder a = { out, 0 };

    login_session_add(&a, "user", info->user);
    login_session_add(&a, "database", info->dbname);
    login_session_add(&a, "replication", v[CONN_REPLICATION]);
    login_session_add(&a, "options", v[CONN_OPTIONS]);
    login_session_add(&a, "application_name",
                      v[CONN_APPLICATION_NAME].n > 0 ? v[CONN_APPLICATION_NAME]
                                                     : v[CONN_FALLBACK_APPLICATION_NAME]);
    if (!str_is(v[CONN_CLIENT_ENCODING], "auto")) /* the locale's: there is no text here that would need it */
        login_session_add(&a, "client_encoding", v[CONN_CLIENT_ENCODING]);
    for (size_t i = 0; world->getenv && i < sizeof environment / sizeof environment[0]; i++) {
        const char *value = world->getenv(world->ctx, environment[i][0]);
        if (value && !str_equal_nocase(str_c(value), STR("default")))
            login_session_add(&a, environment[i][1], str_c(value));
    }
    return a.n;
}
