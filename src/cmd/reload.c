/*
 * `pgseal reload`: the running gate loads its files, and says what came of it.
 *
 * It is asked in its status database, over a Unix-domain socket: there the gate's own account and root are let
 * in, and pg_reload_conf() tells in a notice what a signal could not.
 */
#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "client/login.h"
#include "client/login_session.h"
#include "cmd/cmd.h"
#include "conf/settings.h"
#include "net/socket.h"
#include "pgwire/frontend.h"
#include "pgwire/hello.h"
#include "pgwire/msg.h"

#include <errno.h>
#include <jansson.h>
#include <sys/time.h>
#include <unistd.h>

enum {
    RELOAD_ARENA_MAX = 16 * 1024 * 1024,
    ANSWER_MAX = 256 * 1024,
    WAIT_S = 60 /* the gate itself gives up before */
};

struct asking {
    int fd;
    struct buf in;
    size_t used;              /* of `in` */
    struct arena arena;       /* of its texts */
    struct server_error told; /* the last notice or error */
    bool failed;              /* it was an error */
};

static void asking_auto(struct asking *a)
{
    if (a->fd >= 0)
        (void)close(a->fd);
    buf_fini(&a->in);
    arena_fini(&a->arena);
}

/* ---- the conversation ---- */

static enum code dial(const struct settings *settings, int *out_fd, struct err *e)
{
    const struct timeval wait = { .tv_sec = WAIT_S };
    struct str dir = settings->unix_socket_directories.at[0];
    char path[SOCKET_PATH_MAX];
    struct address address;

    int n = snprintf(path, sizeof path, "%.*s/.s.PGSQL.%d", STR_ARG(dir), settings->port);
    if (n < 0 || (size_t)n >= sizeof path)
        return err_set(e, E_LIMIT, "Unix-domain socket path \"%.*s\" is too long", STR_ARG(dir));
    TRY(address_unix(path, &address, e));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&address.ss, address.n) == 0) {
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
        *out_fd = fd;
        return OK;
    }
    err_set(e, E_CONNECT, "could not connect to the gate at \"%s\": %m", path);
    err_hint(e, "Is it running? Run this as root or as the account of the gate.");
    if (fd >= 0)
        (void)close(fd);
    return E_CONNECT;
}

static enum code say(struct asking *a, struct buf *out, struct err *e)
{
    struct bytes data = buf_bytes(out);

    while (buf_ok(out) && data.n > 0) {
        ssize_t n = send(a->fd, data.p, data.n, MSG_NOSIGNAL);
        if (n < 0 && errno != EINTR)
            return err_set(e, E_CONNECT, "could not send to the gate: %m");
        if (n > 0)
            data = bytes_from(data, (size_t)n);
    }
    enum code code = buf_ok(out) ? OK : err_set(e, E_NOMEM, "out of memory");
    buf_reset(out);
    return code;
}

static enum code hear(struct asking *a, struct msg *out, struct err *e)
{
    uint8_t room[4096];
    size_t used;

    for (;;) {
        enum code code = msg_next(bytes_from(buf_bytes(&a->in), a->used), ANSWER_MAX, out, &used);
        if (code == OK)
            a->used += used;
        if (code != E_MORE)
            return code == OK ? OK : err_set(e, E_PROTOCOL, "the gate's answer is not PostgreSQL's protocol");
        ssize_t n = recv(a->fd, room, sizeof room, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_set(e, E_CONNECT, "could not hear from the gate: %m");
        if (n == 0)
            return err_set(e, E_CONNECT, "the gate closed the connection");
        if (!buf_append(&a->in, bytes_of(room, (size_t)n)))
            return err_set(e, E_PROTOCOL, "the gate's answer is too long");
    }
}

/* Until ReadyForQuery, or an error that ends the session. */
static enum code hear_out(struct asking *a, struct err *e)
{
    struct msg m;

    for (;;) {
        TRY(hear(a, &m, e));
        if (m.type == 'R' && (m.body.n != 4 || memcmp(m.body.p, "\0\0\0", 4) != 0)) {
            err_set(e, E_ACCESS, "the gate asks for a password");
            err_hint(e, "Run this as root or as the account of the gate.");
            return E_ACCESS;
        }
        if (m.type == 'E' || m.type == 'N') {
            a->failed = m.type == 'E';
            struct bytes body;
            if (!arena_bytes(&a->arena, m.body, &body) || server_error_parse(body, &a->told) != OK)
                return err_set(e, E_PROTOCOL, "the gate's answer is not PostgreSQL's protocol");
        }
        if (m.type == 'Z' || (m.type == 'E' && !str_is(a->told.severity, "ERROR")))
            return OK;
    }
}

static enum code ask(struct asking *a, const struct settings *settings, struct err *e)
{
    const struct parameter who[] = {
        { STR("user"), STR("pgseal") },
        { STR("database"), settings->status_database },
        { STR("application_name"), STR("pgseal reload") },
    };
    AUTO(buf) struct buf out = BUF_INIT(ANSWER_MAX);

    TRY(dial(settings, &a->fd, e));
    frontend_startup(&out, PROTOCOL_3_0, who, COUNT_OF(who));
    TRY(say(a, &out, e));
    TRY(hear_out(a, e));
    if (a->failed)
        return OK;
    frontend_query(&out, STR("SELECT pg_reload_conf()"));
    TRY(say(a, &out, e));
    TRY(hear_out(a, e));
    if (a->told.message.n == 0)
        return err_set(e, E_PROTOCOL, "the gate did not say what came of it");
    return OK;
}

/* ---- the command ---- */

static void print_json(const struct cmd *cmd, const struct server_error *told, bool loaded)
{
    json_t *object = json_object();

    (void)json_object_set_new(object, "reloaded", json_boolean(loaded));
    (void)json_object_set_new(object, "message", json_stringn(told->message.p, told->message.n));
    (void)json_object_set_new(object, "detail",
                              told->detail.n ? json_stringn(told->detail.p, told->detail.n) : json_null());
    (void)json_dumpf(object, cmd->out, JSON_INDENT(2));
    (void)fputc('\n', cmd->out);
    json_decref(object);
}

static int tell(struct cmd *cmd, const struct asking *a, const char *dir)
{
    const struct server_error *told = &a->told;
    bool loaded = !a->failed && str_is(told->sqlstate, code_sqlstate(OK));
    bool refused = !a->failed && str_is(told->sqlstate, code_sqlstate(E_CONFIG));
    struct err e;

    if (cmd->json)
        print_json(cmd, told, loaded);
    else if (loaded)
        (void)fprintf(cmd->out, "%.*s\n", STR_ARG(told->message));
    if (loaded)
        return EXIT_FINE;
    err_set(&e, refused ? E_CONFIG : E_UNAVAILABLE, "%.*s", STR_ARG(told->message));
    if (told->detail.n > 0)
        err_detail(&e, "%.*s", STR_ARG(told->detail));
    if (refused)
        err_hint(&e, "pgseal serve -D %s --check shows every error.", dir);
    else if (told->hint.n > 0)
        err_hint(&e, "%.*s", STR_ARG(told->hint));
    if (!cmd->json)
        return cmd_error(cmd, &e);
    return code_exit(e.code);
}

/* A file that does not load here does not load there: where the gate listens stays unknown. */
static int settings_refused(const struct cmd *cmd, const struct diags *diags, enum code code)
{
    struct err e;
    int status = cmd_diags(cmd, diags);

    err_set(&e, code,
            "the gate was not asked to reload: its settings contain errors, and what is in force stays");
    (void)cmd_error(cmd, &e);
    return status ? status : code_exit(code);
}

int cmd_reload(struct cmd *cmd)
{
    const char *dir = cmd_value(cmd, OPT_reload_directory);
    __attribute__((cleanup(asking_auto))) struct asking a = { .fd = -1, .in = BUF_INIT(ANSWER_MAX) };
    AUTO(arena) struct arena arena;
    struct settings *settings = NULL;
    struct diags diags;
    struct err e = { 0 };

    arena_init(&arena, RELOAD_ARENA_MAX, 1024);
    arena_init(&a.arena, RELOAD_ARENA_MAX, 1024);
    if (!dir)
        return cmd_usage(cmd, "no directory given: use -D DIR");
    if (cmd->n_args > 0)
        return cmd_usage(cmd, "too many arguments (first is \"%s\")", cmd->args[0]);
    diags_init(&diags, &arena);
    const struct settings_params params = { .dir = str_c(dir) };
    enum code code = settings_load(&params, &settings, &diags);
    if (code != OK)
        return settings_refused(cmd, &diags, code);
    if (settings->unix_socket_directories.n == 0)
        code = err_set(&e, E_CONNECT, "the gate has no Unix-domain socket: unix_socket_directories is empty");
    else
        code = ask(&a, settings, &e);
    settings_unref(settings);
    return code == OK ? tell(cmd, &a, dir) : cmd_error(cmd, &e);
}
