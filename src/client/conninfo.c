/*
 * From raw option values to settings: every check of libpq's, in libpq's order, with its words.
 * [src: PostgreSQL 18, fe-connect.c pqConnectOptions2]
 */
#include "client/conninfo.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/closest.h"
#include "client/conninfo_defaults.h"
#include "client/conninfo_text.h"
#include "client/conninfo_values.h"
#include "lex/conninfo_hide.h"
#include "pgwire/hello.h"

enum { HINT_MAX = 256 };

struct build {
    const struct conn_options *options;
    const struct conn_world *world;
    enum conn_dialect dialect;
    struct arena *arena;
    struct conninfo *out;
    struct err *e;
};

static struct str conninfo_value_of(const struct build *b, enum conn_option option)
{
    return b->options->v[option];
}

static enum code conninfo_no_memory(const struct build *b)
{
    return err_set(b->e, E_NOMEM, "out of memory");
}

/* ---- hosts ---- */

static size_t count_list(struct str list)
{
    size_t n = 1;

    for (size_t i = 0; i < list.n; i++)
        n += list.p[i] == ',';
    return n;
}

/* The next part of a comma list; an empty list has one empty part. False after the last. */
static struct str next_part(struct str *list, bool *more)
{
    size_t at = str_find(*list, ',');
    struct str part = str_first(*list, at);

    *more = at < list->n;
    *list = str_from(*list, at + 1);
    return part;
}

static enum code fill_names(const struct build *b)
{
    struct conninfo *o = b->out;
    struct str host = conninfo_value_of(b, CONN_HOST), hostaddr = conninfo_value_of(b, CONN_HOSTADDR);
    bool more;

    if (hostaddr.n > 0 && host.n > 0 && count_list(host) != o->host_count)
        return err_set(b->e, E_PARAM, "could not match %zu host names to %zu hostaddr values",
                       count_list(host), o->host_count);
    for (size_t i = 0; i < o->host_count; i++) {
        struct conn_host *h = &o->hosts[i];
        h->host = host.n > 0 ? next_part(&host, &more) : STR("");
        h->hostaddr = hostaddr.n > 0 ? next_part(&hostaddr, &more) : STR("");
        if (h->hostaddr.n > 0) {
            h->kind = CONN_HOST_ADDRESS;
        } else if (h->host.n > 0) {
            h->kind = h->host.p[0] == '/' || h->host.p[0] == '@' ? CONN_HOST_UNIX : CONN_HOST_NAME;
        } else {
            h->host = STR(CONN_DEFAULT_SOCKET_DIR);
            h->kind = CONN_HOST_UNIX;
        }
    }
    return OK;
}

/* What is in a port's place in a URI may be the beginning of a password with an unencoded slash. */
static enum code read_port(const struct build *b, struct str text, int32_t *out)
{
    enum code code = conn_parse_int(text, "port", out, b->e);

    if (code != E_PARAM || !b->options->port_of_uri)
        return code;
    (void)err_set(b->e, E_PARAM, "invalid integer value \"" HIDDEN "\" for connection option \"port\"");
    err_hint(b->e, CONN_ENCODE_HINT);
    return code;
}

/*
 * libpq finds a bad port when it gets to that host; a number out of range lets it go on to the next one,
 * which we keep by port 0, but what is not a number is refused here, before anything is connected
 * [choice: a list with such an entry is a mistake, whichever host answers].
 */
static enum code fill_ports(const struct build *b)
{
    struct conninfo *o = b->out;
    struct str list = conninfo_value_of(b, CONN_PORT);
    size_t n = list.n > 0 ? count_list(list) : 1;
    struct str part = STR("");
    bool more = true;

    if (n != 1 && n != o->host_count)
        return err_set(b->e, E_PARAM, "could not match %zu port numbers to %zu hosts", n, o->host_count);
    for (size_t i = 0; i < o->host_count; i++) {
        int32_t port = 5432;
        if (more && list.n > 0)
            part = next_part(&list, &more);
        if (part.n > 0)
            TRY(read_port(b, part, &port));
        bool valid = port >= 1 && port <= 65535;
        if (!valid && b->dialect == CONN_GATE)
            return err_set(b->e, E_PARAM, "invalid port number: \"%.*s\"", STR_ARG(part));
        o->hosts[i].port = valid ? (uint16_t)port : 0;
        o->hosts[i].port_text = part.n > 0 ? part : STR("5432");
    }
    return OK;
}

static enum code build_hosts(const struct build *b)
{
    struct conninfo *o = b->out;
    struct str host = conninfo_value_of(b, CONN_HOST), hostaddr = conninfo_value_of(b, CONN_HOSTADDR);

    o->host_count = hostaddr.n > 0 ? count_list(hostaddr) : (host.n > 0 ? count_list(host) : 1);
    if (o->host_count > CONN_HOSTS_MAX)
        return err_set(b->e, E_LIMIT, "more than %d hosts in a connection string", CONN_HOSTS_MAX);
    o->hosts = arena_array(b->arena, o->host_count, sizeof *o->hosts);
    if (!o->hosts)
        return conninfo_no_memory(b);
    TRY(fill_names(b));
    return fill_ports(b);
}

/* The gate fills in user and database of each session where the text names none. */
static enum code build_user(const struct build *b)
{
    struct conninfo *o = b->out;

    o->user = conninfo_value_of(b, CONN_USER);
    o->dbname = conninfo_value_of(b, CONN_DBNAME);
    if (b->dialect == CONN_GATE)
        return OK;
    if (o->user.n == 0)
        o->user = b->world->os_user;
    if (o->user.n == 0)
        return err_set(b->e, E_PARAM, "%.*s", STR_ARG(b->world->user_error));
    if (o->dbname.n == 0)
        o->dbname = o->user;
    o->password = str_bytes(conninfo_value_of(b, CONN_PASSWORD));
    return OK;
}

/* ---- words ---- */

/* libpq's sentence, and the words that it would have taken. */
static enum code refuse_word(enum conn_option option, const char *const *words, struct str value,
                             struct err *e)
{
    AUTO(buf) struct buf hint = BUF_INIT(HINT_MAX);
    struct closest near = closest_begin(value);

    for (size_t i = 0; words[i]; i++) {
        buf_printf(&hint, "%s%s", i == 0 ? "" : ", ", words[i]);
        closest_offer(&near, str_c(words[i]));
    }
    enum code code = err_set(e, E_PARAM, "invalid %s value: \"%.*s\"", conn_option_keyword(option),
                             STR_ARG(value));
    if (near.best.p)
        err_hint(e, "Perhaps you meant \"%.*s\". Available values: %s.", STR_ARG(near.best), buf_c(&hint));
    else
        err_hint(e, "Available values: %s.", buf_c(&hint));
    return code;
}

static enum code build_word(const struct build *b, enum conn_option option, const char *const *words,
                            unsigned *out)
{
    struct str value = conninfo_value_of(b, option);

    for (unsigned i = 0; value.p && words[i]; i++) {
        if (str_is(value, words[i])) {
            *out = i;
            return OK;
        }
    }
    return value.p ? refuse_word(option, words, value, b->e) : OK;
}

static const char *const sslmode_words[] = { "disable",   "allow",       "prefer", "require",
                                             "verify-ca", "verify-full", NULL };

const char *sslmode_name(enum sslmode mode)
{
    return sslmode_words[mode];
}

enum code conn_parse_sslmode(struct str value, enum sslmode *out, struct err *e)
{
    for (unsigned i = 0; sslmode_words[i]; i++) {
        if (str_is(value, sslmode_words[i])) {
            *out = (enum sslmode)i;
            return OK;
        }
    }
    return refuse_word(CONN_SSLMODE, sslmode_words, value, e);
}

static enum code build_sslmode(const struct build *b)
{
    static const char *const bindings[] = { "disable", "prefer", "require", NULL };
    static const char *const negotiations[] = { "postgres", "direct", NULL };
    struct conninfo *o = b->out;
    unsigned binding = CHANNEL_BINDING_PREFER, mode = SSLMODE_PREFER, negotiation = SSLNEG_POSTGRES;

    TRY(build_word(b, CONN_CHANNEL_BINDING, bindings, &binding));
    TRY(build_word(b, CONN_SSLMODE, sslmode_words, &mode));
    TRY(build_word(b, CONN_SSLNEGOTIATION, negotiations, &negotiation));
    o->channel_binding = (enum channel_binding)binding;
    o->sslmode = (enum sslmode)mode;
    o->sslnegotiation = (enum sslnegotiation)negotiation;
    if (o->sslnegotiation == SSLNEG_DIRECT && o->sslmode < SSLMODE_REQUIRE)
        return err_set(b->e, E_PARAM,
                       "weak sslmode \"%s\" may not be used with sslnegotiation=direct "
                       "(use \"require\", \"verify-ca\", or \"verify-full\")",
                       sslmode_name(o->sslmode));
    struct str root = conninfo_value_of(b, CONN_SSLROOTCERT);
    if (root.n > 0 && str_is(root, "system") && o->sslmode != SSLMODE_VERIFY_FULL)
        return err_set(b->e, E_PARAM,
                       "weak sslmode \"%s\" may not be used with sslrootcert=system (use \"verify-full\")",
                       sslmode_name(o->sslmode));
    return OK;
}

static enum code build_tls(const struct build *b)
{
    static const char *const certmodes[] = { "disable", "allow", "require", NULL };
    static const char *const gss[] = { "disable", "prefer", "require", NULL };
    struct conninfo *o = b->out;
    unsigned certmode = SSLCERT_ALLOW, gssencmode = 0;
    struct str sni = conninfo_value_of(b, CONN_SSLSNI);

    TRY(conn_parse_tls_bound(conninfo_value_of(b, CONN_SSL_MIN_PROTOCOL_VERSION), "ssl_min_protocol_version",
                             &o->tls_min, b->e));
    TRY(conn_parse_tls_bound(conninfo_value_of(b, CONN_SSL_MAX_PROTOCOL_VERSION), "ssl_max_protocol_version",
                             &o->tls_max, b->e));
    if (o->tls_min != TLS_BOUND_NONE && o->tls_max != TLS_BOUND_NONE && o->tls_min > o->tls_max)
        return err_set(b->e, E_PARAM, "invalid SSL protocol version range");
    TRY(build_word(b, CONN_SSLCERTMODE, certmodes, &certmode));
    o->sslcertmode = (enum sslcertmode)certmode;
    TRY(build_word(b, CONN_GSSENCMODE, gss, &gssencmode));
    if (gssencmode == 2)
        return err_set(b->e, E_PARAM,
                       "gssencmode value \"require\" invalid when GSSAPI support is not compiled in");
    o->sslsni = sni.n > 0 && sni.p[0] == '1';
    return OK;
}

static enum code build_session(const struct build *b)
{
    static const char *const attrs[] = { "any",     "read-write",     "read-only", "primary",
                                         "standby", "prefer-standby", NULL };
    static const char *const balance[] = { "disable", "random", NULL };
    struct conninfo *o = b->out;
    unsigned attr = ATTRS_ANY, random = 0;
    int32_t timeout = 0;

    TRY(build_word(b, CONN_TARGET_SESSION_ATTRS, attrs, &attr));
    o->session_attrs = (enum session_attrs)attr;
    TRY(conn_parse_scram_key(conninfo_value_of(b, CONN_SCRAM_CLIENT_KEY), "client", b->arena,
                             &o->scram_client_key, b->e));
    TRY(conn_parse_scram_key(conninfo_value_of(b, CONN_SCRAM_SERVER_KEY), "server", b->arena,
                             &o->scram_server_key, b->e));
    TRY(build_word(b, CONN_LOAD_BALANCE_HOSTS, balance, &random));
    o->load_balance = random == 1;
    TRY(conn_parse_protocols(conninfo_value_of(b, CONN_MIN_PROTOCOL_VERSION),
                             conninfo_value_of(b, CONN_MAX_PROTOCOL_VERSION), &o->protocol_min,
                             &o->protocol_max, b->e));
    if (conninfo_value_of(b, CONN_CONNECT_TIMEOUT).p)
        TRY(conn_parse_int(conninfo_value_of(b, CONN_CONNECT_TIMEOUT), "connect_timeout", &timeout, b->e));
    o->connect_timeout_s = timeout > 0 ? (uint32_t)timeout : 0;
    return OK;
}

/* What libpq looks at once a socket is there. */
static enum code build_socket(const struct build *b)
{
    struct conninfo *o = b->out;
    const struct {
        enum conn_option option;
        int32_t *out;
    } numbers[] = { { CONN_KEEPALIVES_IDLE, &o->keepalives_idle_s },
                    { CONN_KEEPALIVES_INTERVAL, &o->keepalives_interval_s },
                    { CONN_KEEPALIVES_COUNT, &o->keepalives_count },
                    { CONN_TCP_USER_TIMEOUT, &o->tcp_user_timeout_ms } };
    struct str keepalives = conninfo_value_of(b, CONN_KEEPALIVES);
    int32_t on = 1;

    o->requirepeer = conninfo_value_of(b, CONN_REQUIREPEER).p ? conninfo_value_of(b, CONN_REQUIREPEER)
                                                              : STR("");
    if (keepalives.p)
        TRY(conn_parse_int(keepalives, "keepalives", &on, b->e));
    o->keepalives = on != 0;
    for (size_t i = 0; i < COUNT_OF(numbers); i++) {
        bool wanted = o->keepalives || numbers[i].option == CONN_TCP_USER_TIMEOUT;
        if (wanted && conninfo_value_of(b, numbers[i].option).p)
            TRY(conn_parse_int(conninfo_value_of(b, numbers[i].option),
                               conn_option_keyword(numbers[i].option), numbers[i].out, b->e));
    }
    return OK;
}

/* ---- the gate's dialect ---- */

/*
 * What a gate's upstream cannot apply is refused rather than read and forgotten: these belong to the
 * session of the client, or to ways of logging in that the gate does not have.
 */
static enum code check_gate_options(const struct build *b)
{
    static const enum conn_option refused[] = {
        CONN_SERVICE,         CONN_CLIENT_ENCODING,           CONN_OPTIONS,          CONN_APPLICATION_NAME,
        CONN_REPLICATION,     CONN_SCRAM_CLIENT_KEY,          CONN_SCRAM_SERVER_KEY, CONN_OAUTH_ISSUER,
        CONN_OAUTH_CLIENT_ID, CONN_OAUTH_CLIENT_SECRET,       CONN_OAUTH_SCOPE,      CONN_SSLKEYLOGFILE,
        CONN_GSSLIB,          CONN_FALLBACK_APPLICATION_NAME,
    };

    if (conninfo_value_of(b, CONN_PASSWORD).p) {
        enum code code = err_set(b->e, E_PARAM,
                                 "\"password\" may not be used in an upstream connection string");
        err_hint(b->e, "Put the password into a file of mode 0600 and name it with \"passfile\".");
        return code;
    }
    for (size_t i = 0; i < COUNT_OF(refused); i++) {
        if (conninfo_value_of(b, refused[i]).n == 0)
            continue;
        enum code code = err_set(b->e, E_PARAM, "\"%s\" may not be used in an upstream connection string",
                                 conn_option_keyword(refused[i]));
        if (refused[i] == CONN_SERVICE)
            err_hint(b->e, "Service files are not read here: write the keywords of the service out, as in "
                           "host=db.example.com port=5432.");
        return code;
    }
    return OK;
}

enum code conninfo_build(const struct conn_options *options, const struct conn_world *world,
                         enum conn_dialect dialect, struct arena *arena, struct conninfo *out, struct err *e)
{
    struct conninfo info = { .options = *options };
    struct build b = { options, world, dialect, arena, &info, e };

    if (dialect == CONN_GATE)
        TRY(check_gate_options(&b));
    TRY(build_hosts(&b));
    TRY(build_user(&b));
    info.require_auth = conninfo_value_of(&b, CONN_REQUIRE_AUTH).p ? conninfo_value_of(&b, CONN_REQUIRE_AUTH)
                                                                   : STR("");
    TRY(conn_parse_require_auth(info.require_auth, &info.auth_allowed, e));
    TRY(build_sslmode(&b));
    TRY(build_tls(&b));
    TRY(build_session(&b));
    TRY(build_socket(&b));
    *out = info;
    return OK;
}

enum code conninfo_parse(struct str text, const struct conn_world *world, enum conn_dialect dialect,
                         struct arena *arena, struct conninfo *out, struct err *e)
{
    struct conn_options options;

    TRY(conn_options_parse(text, arena, &options, e));
    TRY(conn_options_defaults(&options, world, dialect, arena, e));
    return conninfo_build(&options, world, dialect, arena, out, e);
}

static void wipe_option(struct conninfo *info, enum conn_option option)
{
    struct str *v = &info->options.v[option];

    if (v->n > 0) /* memory of the arena, ours to write */
        wipe((char *)(uintptr_t)v->p, v->n);
}

void conninfo_wipe(struct conninfo *info)
{
    for (enum conn_option i = 0; i < CONN_OPTION_COUNT; i++)
        if (conninfo_is_secret(str_c(conn_option_keyword(i))))
            wipe_option(info, i);
    info->password = bytes_of(NULL, 0);
    if (info->scram_client_key)
        secret_wipe(info->scram_client_key);
    if (info->scram_server_key)
        secret_wipe(info->scram_server_key);
}
