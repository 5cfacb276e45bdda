#include "gate/session/upstream_login.h"

#include "base/check.h"
#include "client/conninfo_defaults.h"
#include "client/passfile.h"
#include "gate/session/upstream_impl.h"

/* ---- StartupMessage ---- */

/* The server knows no case in the names of settings. */
static bool is_ours(struct str name)
{
    return str_starts_nocase(name, STR("pgseal."));
}

static struct parameter *upstream_login_put(struct parameter *at, struct str name, struct str value)
{
    *at = (struct parameter){ name, value };
    return at + 1;
}

static size_t facts_of(struct session *s, struct parameter *out)
{
    struct parameter *at = out;
    struct str rule = STR("");
    char host[64];
    struct str address = STR("");

    session_host(s, host, sizeof host);
    if (!arena_str(&s->scratch, str_c(host), &address) ||
        !arena_printf(&s->scratch, &rule, "%.*s:%u", STR_ARG(s->rule->file), s->rule->line))
        return 0;
    at = upstream_login_put(at, STR("pgseal.ssl"), s->tls.used ? STR("on") : STR("off"));
    if (s->tls.used) {
        at = upstream_login_put(at, STR("pgseal.version"), str_c(s->tls.version));
        at = upstream_login_put(at, STR("pgseal.cipher"), str_c(s->tls.cipher));
    }
    at = upstream_login_put(at, STR("pgseal.client_addr"), address);
    if (s->tls.has_cert && !str_has_nul(s->tls.cert.slash))
        at = upstream_login_put(at, STR("pgseal.client_dn"), s->tls.cert.slash);
    at = upstream_login_put(at, STR("pgseal.rule"), rule);
    return (size_t)(at - out);
}

static size_t length_of(const struct parameter *parameters, size_t n)
{
    size_t total = HELLO_LENGTH_MIN + 1;

    for (size_t i = 0; i < n; i++)
        total += parameters[i].name.n + parameters[i].value.n + 2;
    return total;
}

/* As the server knows it: the dbname of an upstream.NAME renames; plain upstream has none. */
static struct str database_of(const struct session *s, const struct upstream *u)
{
    struct str renamed = s->admission->route->owns_upstream ? u->info.options.v[CONN_DBNAME] : STR("");

    return renamed.n ? renamed : s->startup.database;
}

/*
 * What the client said, with our changes; *out_n parameters in the scratch arena, NULL when memory ran out.
 */
struct parameter *upstream_parameters(struct upstream_room *r, size_t *out_n)
{
    struct session *s = r->s;
    const struct upstream *u = r->upstream;
    const struct startup *st = &s->startup;
    struct parameter *list = arena_array(&s->scratch, st->parameter_count + 3 + UPSTREAM_FACTS, sizeof *list);
    struct parameter *at = list;

    r->told_facts = false;
    if (!list)
        return NULL;
    at = upstream_login_put(at, STR("user"), s->upstream_user);
    if (session_is_console(s)) {
        *out_n = (size_t)(upstream_login_put(at, STR("database"), session_settings(s)->auth_dbname) - list);
        return list;
    }
    if (st->replication != REPLICATION_PHYSICAL)
        at = upstream_login_put(at, STR("database"), database_of(s, u));
    if (st->replication != REPLICATION_NONE)
        at = upstream_login_put(at, STR("replication"),
                                st->replication == REPLICATION_PHYSICAL ? STR("true") : STR("database"));
    for (size_t i = 0; i < st->parameter_count; i++)
        if (!is_ours(st->parameters[i].name))
            *at++ = st->parameters[i];
    size_t n = (size_t)(at - list);
    if (session_settings(s)->forward_facts && !atomic_load_explicit(u->refuses_facts, memory_order_relaxed)) {
        size_t more = facts_of(s, at);
        if (length_of(list, n + more) <= HELLO_LENGTH_MAX)
            n += more;
    }
    r->told_facts = n > (size_t)(at - list);
    *out_n = n;
    return list;
}

/* [src: PgBouncer, client.c, set_startup_options; its text is the same since 1.0] */
bool upstream_without_facts(struct upstream_room *r, const struct server_error *said)
{
    const struct str words = STR("unsupported startup parameter: pgseal.");
    struct log_line line;

    if (!r->told_facts || r->client_engaged || !str_is(said->sqlstate, code_sqlstate(E_PROTOCOL)) ||
        !str_starts(said->message, words))
        return false;
    if (!atomic_exchange_explicit(r->upstream->refuses_facts, true, memory_order_relaxed)) {
        session_log(r->s, &line, SEV_WARNING, "facts_refused");
        log_str(&line, "message", said->message);
        log_c(&line, "detail", "Sessions of this upstream do not get the parameters of forward_facts.");
        log_c(&line, "hint", "In front of a pooler such as PgBouncer set forward_facts = off.");
        log_end(&line);
    }
    return true;
}

/* ---- which credentials ---- */

/* Is this a way to log in, for this session over this connection? */
static bool applies(const struct upstream_room *r, enum conf_upstream_login login)
{
    const struct server_conn *conn = r->s->server_conn;
    const struct admission *a = r->s->admission;

    switch (login) {
    case CONF_LOGIN_SCRAM:
        return a->have_keys;
    case CONF_LOGIN_PASSWORD:
        return a->password.n > 0;
    case CONF_LOGIN_CERT:
        return server_conn_certificate(conn) == LOGIN_CERT_SENT;
    case CONF_LOGIN_PEER:
        return server_conn_is_unix(conn);
    case CONF_LOGIN_TRUST:
        return server_conn_is_unix(conn) || (server_conn_is_tls(conn) && r->upstream->verified);
    case CONF_LOGIN_SERVICE:
        return true;
    }
    return false;
}

bool upstream_is_service(const struct upstream_room *r)
{
    const struct settings_logins *logins = &r->s->admission->route->upstream_login;

    for (size_t i = 0; i < logins->n; i++)
        if (applies(r, logins->at[i]))
            return logins->at[i] == CONF_LOGIN_SERVICE;
    return false;
}

/* The conninfo's own user, with what belongs to it. */
static unsigned choose_service(const struct upstream_room *r, struct login_creds *creds)
{
    unsigned allowed = applies(r, CONF_LOGIN_CERT) ? AUTH_BIT_NONE : 0;

    if (r->password.n == 0)
        return allowed;
    creds->password = password_bytes(&r->password);
    return allowed | AUTH_BIT_PASSWORD | AUTH_BIT_MD5 | AUTH_BIT_SCRAM;
}

/* The client's own name, with the first secret that applies. */
static unsigned choose_own(const struct upstream_room *r, struct login_creds *creds)
{
    const struct admission *a = r->s->admission;
    const struct settings_logins *logins = &a->route->upstream_login;
    unsigned allowed = 0;

    for (size_t i = 0; i < logins->n; i++) {
        bool secret = creds->keys || creds->password.n > 0;
        if (!applies(r, logins->at[i]))
            continue;
        switch (logins->at[i]) {
        case CONF_LOGIN_SCRAM:
            if (secret)
                break;
            creds->keys = &a->keys;
            allowed |= AUTH_BIT_SCRAM;
            break;
        case CONF_LOGIN_PASSWORD:
            if (secret)
                break;
            creds->password = password_bytes(&a->password);
            allowed |= AUTH_BIT_PASSWORD | AUTH_BIT_MD5 | AUTH_BIT_SCRAM;
            break;
        case CONF_LOGIN_CERT:
        case CONF_LOGIN_PEER:
        case CONF_LOGIN_TRUST:
            allowed |= AUTH_BIT_NONE;
            break;
        case CONF_LOGIN_SERVICE:
            break; /* another user: the entries before it applied */
        }
    }
    return allowed;
}

unsigned upstream_choose_login(struct upstream_room *r, struct login_creds *creds)
{
    unsigned allowed = upstream_is_service(r) ? choose_service(r, creds) : choose_own(r, creds);

    if (server_conn_is_unix(r->s->server_conn)) /* what a server lets in by its socket is its own affair */
        allowed |= AUTH_BIT_NONE;
    return allowed & r->upstream->info.auth_allowed;
}

enum code upstream_find_password(struct upstream_room *r, struct err *e)
{
    const struct conn_host *host = server_conn_host(r->s->server_conn);
    struct str passfile = r->upstream->info.options.v[CONN_PASSFILE];
    const struct conn_world world = conn_world_files();
    bool found = false;

    password_wipe(&r->password);
    if (passfile.n == 0)
        return OK;
    const struct passfile_key key = { passfile_host(host), host->port_text, database_of(r->s, r->upstream),
                                      r->upstream->info.user };
    return passfile_lookup(&world, passfile, &key, &r->password, &found, e);
}
