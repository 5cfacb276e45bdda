/* Handshakes with the servers that a file of roots is for. It waits: this is for commands. */
#include "renew/servers.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/env.h"
#include "client/conninfo_defaults.h"
#include "client/dial.h"
#include "client/login_drive.h"
#include "client/negotiate.h"
#include "client/tlsfiles.h"
#include "client/verify.h"
#include "conf/settings.h"
#include "pgwire/hello.h"
#include "pki/chain.h"
#include "tls/client_context.h"
#include "tls/context.h"
#include "tls/engine.h"

#include <netdb.h>
#include <openssl/x509.h>
#include <sys/stat.h>

enum { SERVERS_MAX = 1024, TIMEOUT_S = 5, HOST_SIZE = 256 };

static enum code servers_nomem(struct err *e)
{
    return err_set(e, E_NOMEM, "out of memory");
}

/* ---- who they are ---- */

struct finding {
    const char *roots_path; /* NULL: whose certificate is cert_path */
    const char *cert_path;
    const struct conn_world *world;
    struct arena *arena;
    struct renew_servers *out;
    struct err *e;
};

static bool same_path(const char *a, const char *b)
{
    struct stat x, y;

    return strcmp(a, b) == 0 ||
           (stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino);
}

static enum code add_host(const struct finding *f, const struct renew_server *like, size_t i)
{
    const struct conn_host *host = &like->info->hosts[i];
    struct str name = host->host.n > 0 ? host->host : host->hostaddr;
    bool bare6 = str_find(name, ':') < name.n;

    if (host->kind == CONN_HOST_UNIX || host->port == 0)
        return OK;
    if (f->out->n == SERVERS_MAX)
        return err_set(f->e, E_LIMIT, "there are more than %d servers to check", SERVERS_MAX);
    struct renew_server *server = &f->out->items[f->out->n++];
    *server = *like;
    server->host = i;
    return arena_printf(f->arena, &server->label, bare6 ? "[%.*s]:%u" : "%.*s:%u", STR_ARG(name),
                        (unsigned)host->port)
               ? OK
               : servers_nomem(f->e);
}

/* What else libpq would take into the handshake. A key that cannot be used is the gate's own to tell. */
static void add_files(const struct finding *f, struct renew_server *like)
{
    struct tls_files files;
    struct err ignored;

    if (tls_files_find(like->info, f->world, f->arena, &files, &ignored) != OK)
        return;
    like->root = files.root == TLS_ROOT_SYSTEM ? STR("system") : files.root_file;
    like->cert = files.cert;
    like->key = files.key;
    like->key_password = files.key_password;
    like->crl_file = files.crl_file;
    like->crl_dir = files.crl_dir;
    like->crl_required = like->info->options.v[CONN_SSLCRL].n > 0 || files.crl_dir.n > 0;
}

static enum code add_upstream(const struct finding *f, const struct settings_route *route, bool main_one)
{
    struct conninfo *info = ARENA_NEW(f->arena, struct conninfo);
    struct renew_server like = { .info = info, .setting = STR("upstream") };
    struct err ignored;

    if (!info ||
        (!main_one && !arena_printf(f->arena, &like.setting, "upstream.%.*s", STR_ARG(route->label))))
        return servers_nomem(f->e);
    enum conn_option option = f->roots_path ? CONN_SSLROOTCERT : CONN_SSLCERT;
    /* One that cannot be understood is refused by the gate. */
    if (conninfo_parse(route->upstream, f->world, CONN_GATE, f->arena, info, &ignored) != OK ||
        info->sslmode == SSLMODE_DISABLE || info->options.v[option].n == 0)
        return OK;
    const char *file = arena_c(f->arena, info->options.v[option]);
    if (!file)
        return servers_nomem(f->e);
    const char *own = f->roots_path ? f->roots_path : f->cert_path;
    if (!own || !same_path(file, own))
        return OK;
    like.verify_name = info->sslmode == SSLMODE_VERIFY_FULL;
    add_files(f, &like);
    for (size_t i = 0; i < info->host_count; i++)
        TRY(add_host(f, &like, i));
    return OK;
}

/* HOST[:PORT], an IPv6 address in brackets. An empty host: it is not that. */
static void split_endpoint(struct str text, struct str *host, struct str *port)
{
    bool brackets = text.n > 0 && text.p[0] == '[';
    size_t end = str_find(text, brackets ? ']' : ':');
    struct str rest = str_from(text, brackets && end < text.n ? end + 1 : end);

    *host = brackets ? str_first(str_from(text, 1), end - 1) : str_first(text, end);
    *port = rest.n > 0 ? str_from(rest, 1) : STR("");
    if ((brackets && end == text.n) || (rest.n > 0 && (rest.p[0] != ':' || rest.n == 1)))
        *host = STR("");
}

static enum code add_endpoint(const struct finding *f, const struct renew_rule *rule, struct str text)
{
    struct conninfo *info = ARENA_NEW(f->arena, struct conninfo);
    struct renew_server like = { .info = info, .setting = STR("endpoints"), .verify_name = true };
    struct conn_options options = { 0 };
    struct str host, port;
    struct err why;

    if (!info)
        return servers_nomem(f->e);
    split_endpoint(text, &host, &port);
    options.v[CONN_HOST] = host;
    options.v[CONN_SSLMODE] = STR("verify-full");
    options.v[CONN_SSLROOTCERT] = str_c(f->roots_path);
    if (port.n > 0)
        options.v[CONN_PORT] = port;
    enum code code = conn_options_defaults(&options, f->world, CONN_GATE, f->arena, &why);
    if (code == OK)
        code = conninfo_build(&options, f->world, CONN_GATE, f->arena, info, &why);
    if (code != OK || host.n == 0 || info->host_count != 1 || info->hosts[0].port == 0)
        return err_set(f->e, E_CONFIG, "%.*s.endpoints: \"%.*s\" is not HOST[:PORT]", STR_ARG(rule->name),
                       STR_ARG(text));
    return add_host(f, &like, 0);
}

static enum code add_upstreams(const struct finding *f, const struct renew_target *target)
{
    f->out->items = arena_array(f->arena, SERVERS_MAX, sizeof *f->out->items);
    if (!f->out->items)
        return servers_nomem(f->e);
    for (size_t i = 0; target->is_gate && i < target->settings->n_routes; i++) {
        const struct settings_route *route = &target->settings->routes[i];
        if (route->upstream.n > 0 && (i == 0 || route->owns_upstream))
            TRY(add_upstream(f, route, i == 0));
    }
    return OK;
}

enum code renew_servers_shown(const struct renew_target *target, const char *cert_path, struct arena *arena,
                              struct renew_servers *out, struct err *e)
{
    const struct conn_world world = conn_world_files();
    struct renew_servers servers = { .n = 0 };
    struct finding f = { .cert_path = cert_path, .world = &world, .arena = arena, .out = &servers, .e = e };

    TRY(add_upstreams(&f, target));
    *out = servers;
    return OK;
}

enum code renew_servers_find(const struct renew_target *target, const struct renew_rule *rule,
                             const char *roots_path, struct arena *arena, struct renew_servers *out,
                             struct err *e)
{
    const struct conn_world world = conn_world_files();
    struct renew_servers servers = { .n = 0 };
    struct finding f = { .roots_path = roots_path, .world = &world, .arena = arena, .out = &servers, .e = e };
    struct str rest = rule->v[RENEW_SET_ENDPOINTS], part;

    TRY(add_upstreams(&f, target));
    while (str_split(&rest, ',', &part))
        TRY(add_endpoint(&f, rule, str_trim(part)));
    *out = servers;
    return OK;
}

/* ---- one visit ---- */

struct visit {
    struct renew_server *server;
    const struct renew_target *target;
    const struct env *env;
    const struct renew_shown *shown; /* NULL: the handshake is all */
    const char *roots_file;
    struct tls_context *context;
    struct dial *dial;
    struct arena *arena;
    bool answered;
};

static const char *text_or_none(struct str text)
{
    return text.n > 0 ? text.p : "";
}

static enum code make_context(const struct visit *v, struct tls_context **out, struct err *e)
{
    const struct renew_server *server = v->server;
    const struct conninfo *info = server->info;
    const struct tls_client_params params = {
        .root_file = v->roots_file,
        .crl_file = text_or_none(server->crl_file),
        .crl_dir = text_or_none(server->crl_dir),
        .crl_required = server->crl_required,
        .cert_file = v->shown ? v->shown->cert_path : text_or_none(server->cert),
        .key_file = v->shown ? v->shown->key_path : text_or_none(server->key),
        .key_password = server->key_password.n > 0 ? server->key_password.p : NULL,
        .no_prompt = true,
        .min_version = info->tls_min ? (enum tls_version)(TLS_1_0 + info->tls_min - TLS_BOUND_1_0) : TLS_ANY,
        .max_version = info->tls_max ? (enum tls_version)(TLS_1_0 + info->tls_max - TLS_BOUND_1_0) : TLS_ANY,
    };

    return tls_client_context_new(v->target->library, &params, out, e);
}

static enum code ask_for_tls(struct dial *dial, struct err *e)
{
    AUTO(buf) struct buf out = BUF_INIT(64), in = BUF_INIT(DIAL_ROOM);
    enum attempt_event event;

    negotiate_hello(METHOD_TLS, &out);
    TRY(dial_send(dial, buf_bytes(&out), e));
    TRY(dial_receive(dial, &in, e));
    if (negotiate_reply(buf_bytes(&in), &event, e) == NEGOTIATE_TLS)
        return OK;
    return event == EVENT_TLS_REFUSED ? E_TLS : E_CONNECT;
}

/* Why it is not verified: libpq's text does not say it. */
static enum code visit_handshake(struct visit *v, const char *sni, struct err *e)
{
    struct tls_handshake_facts facts;
    enum code code = dial_handshake(v->dial, v->context, sni, true, e);

    if (code != E_TLS)
        return code;
    tls_engine_facts(v->dial->tls, &facts);
    if (facts.verify_error != 0)
        (void)err_set(e, E_TLS, "certificate verify failed: %s, at depth %d",
                      chain_error_text(facts.verify_error), facts.verify_depth);
    return code;
}

/* ---- a login ---- */

static enum code send_login(void *to, struct bytes data, struct err *e)
{
    return dial_send(to, data, e);
}

static enum code find_user(const struct visit *v, struct str *out, struct err *e)
{
    struct name_value cn;

    *out = v->server->info->user;
    if (out->n > 0)
        return OK;
    TRY(name_cn(X509_get_subject_name(v->shown->cert), v->arena, &cn, e));
    if (!cn.present)
        return err_set(e, E_CONFIG, "neither the connection string nor the certificate names a user");
    *out = cn.value;
    return OK;
}

static enum code converse(struct visit *v, struct login_drive *login, struct err *e)
{
    AUTO(buf) struct buf in = BUF_INIT(LOGIN_MESSAGE_MAX * 2);
    enum login_step step = LOGIN_MORE;

    TRY(login_drive_begin(login, e));
    while (step == LOGIN_MORE) {
        TRY(dial_receive(v->dial, &in, e));
        step = login_drive_feed(login, &in, e);
    }
    if (step == LOGIN_REFUSED)
        return err_set(e, E_AUTH, "%.*s", STR_ARG(login_server_error(login_drive_login(login))->message));
    /* A password is not shown: that it is asked for says that the certificate was taken. */
    bool asks = step == LOGIN_FAIL && login_facts(login_drive_login(login))->requested_authentication;
    return step == LOGIN_AUTHENTICATED || step == LOGIN_READY || asks ? OK : E_CONNECT;
}

static enum code log_in(struct visit *v, struct err *e)
{
    struct str user;

    TRY(find_user(v, &user, e));
    const struct parameter parameters[] = { { STR("user"), user }, { STR("database"), v->shown->database } };
    const struct login_params params = { .parameters = parameters,
                                         .parameter_count = COUNT_OF(parameters),
                                         .user = user,
                                         .auth_allowed = AUTH_BIT_ALL,
                                         .env = v->env };
    const struct login_line line = { .tls = v->dial->tls, .send = send_login, .to = v->dial };
    AUTO(login_drive) struct login_drive *login = login_drive_new(v->server->info, &params, &line);

    return login ? converse(v, login, e) : servers_nomem(e);
}

static enum code visit_address(struct visit *v, const struct address *addr, struct err *e)
{
    const struct conninfo *info = v->server->info;
    const struct conn_host *host = &info->hosts[v->server->host];
    struct cert_names names;
    char sni[HOST_SIZE] = "";

    TRY(dial_open(v->dial, addr, TIMEOUT_S, e));
    if (info->sslnegotiation != SSLNEG_DIRECT)
        TRY(ask_for_tls(v->dial, e));
    v->answered = true;
    (void)str_to_c(negotiate_sni(info, host), sni, sizeof sni);
    TRY(visit_handshake(v, sni, e));
    AUTO(cert) X509 *cert = tls_engine_peer(v->dial->tls);
    if (!cert)
        return err_set(e, E_TLS, "the server sent no certificate");
    if (v->server->verify_name) {
        TRY(cert_names_of(cert, v->arena, &names, e));
        TRY(verify_host(&names, host->host, e));
    }
    return v->shown ? log_in(v, e) : OK;
}

/* Every address that answers has to be verified; one of them must answer. */
static enum code visit_addresses(struct visit *v, const struct address *addresses, size_t n, struct err *e)
{
    bool any = false;

    for (size_t i = 0; i < n; i++) {
        v->answered = false;
        enum code code = visit_address(v, &addresses[i], e);
        any = any || code == OK;
        if (code != OK && v->answered && !v->dial->timed_out)
            return code == E_AUTH ? code : E_TLS;
        if (code == E_TLS)
            return code;
    }
    return any ? OK : E_CONNECT;
}

static enum code visit_server(struct visit *v, struct err *e)
{
    const struct conn_host *host = &v->server->info->hosts[v->server->host];
    struct str name = host->hostaddr.n > 0 ? host->hostaddr : host->host;
    struct address found[HOST_ADDRESSES_MAX];
    size_t n;

    int error = conn_addrs_look_up(name, found, HOST_ADDRESSES_MAX, &n);
    if (error != 0)
        return err_set(e, E_CONNECT, "could not translate host name \"%.*s\" to address: %s", STR_ARG(name),
                       gai_strerror(error));
    for (size_t i = 0; i < n; i++)
        address_set_port(&found[i], host->port);
    return visit_addresses(v, found, n, e);
}

static void make_visit(struct visit v)
{
    AUTO(arena) struct arena arena = { .blocks = NULL };
    struct tls_port *port = tls_port_new();
    struct err *e = &v.server->why;

    arena_init(&arena, 1 << 20, 4096);
    v.arena = &arena;
    v.dial = port ? dial_new(v.env, port) : NULL;
    *e = (struct err){ 0 };
    enum code code = v.dial ? make_context(&v, &v.context, e) : servers_nomem(e);
    v.server->result = code == OK ? visit_server(&v, e) : code;
    dial_free(v.dial);
    tls_port_free(port);
    tls_context_free(v.context);
}

enum code renew_servers_show(struct renew_servers *servers, const struct renew_target *target,
                             const struct renew_shown *shown, const struct env *env, struct err *e)
{
    struct renew_server *bad = NULL;

    for (size_t i = 0; i < servers->n; i++) {
        struct renew_server *server = &servers->items[i];
        make_visit((struct visit){ .server = server,
                                   .target = target,
                                   .env = env,
                                   .shown = shown,
                                   .roots_file = text_or_none(server->root) });
        bad = bad || server->result == OK ? bad : server;
    }
    if (!bad)
        return OK;
    return err_set(e, bad->result, "%.*s (%.*s) does not accept the client certificate: %s",
                   STR_ARG(bad->label), STR_ARG(bad->setting), err_text(&bad->why));
}

enum code renew_servers_ask(struct renew_servers *servers, const struct renew_target *target,
                            const char *roots_file, bool silent_may_be, const struct env *env, struct err *e)
{
    enum code first = OK;

    for (size_t i = 0; i < servers->n; i++) {
        struct renew_server *server = &servers->items[i];
        make_visit(
            (struct visit){ .server = server, .target = target, .env = env, .roots_file = roots_file });
        if (server->result == OK || first != OK || (silent_may_be && server->result == E_CONNECT))
            continue;
        first = server->result;
        (void)err_set(e, first, "the new roots do not verify %.*s (%.*s): %s", STR_ARG(server->label),
                      STR_ARG(server->setting), err_text(&server->why));
        if (first == E_CONNECT) {
            (void)err_set(e, first,
                          "%.*s (%.*s) does not answer, and a root that it may need is to be "
                          "removed: %s",
                          STR_ARG(server->label), STR_ARG(server->setting), err_text(&server->why));
        }
    }
    return first;
}
