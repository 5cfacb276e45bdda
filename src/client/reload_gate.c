/* The conversation with a running gate. */
#include "client/reload_gate.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "client/login_session.h"
#include "conf/settings.h"
#include "net/socket.h"
#include "pgwire/frontend.h"
#include "pgwire/hello.h"
#include "pgwire/msg.h"

#include <errno.h>
#include <stdio.h>
#include <sys/time.h>
#include <unistd.h>

enum {
    ANSWER_MAX = 256 * 1024,
    WAIT_S = 60 /* the gate itself gives up before */
};

struct asking {
    int fd;
    struct buf in;
    size_t used;              /* of `in` */
    struct arena *arena;      /* of its texts; borrowed */
    struct server_error told; /* the last notice or error */
    bool failed;              /* it was an error */
};

static void asking_auto(struct asking *a)
{
    if (a->fd >= 0)
        (void)close(a->fd);
    buf_fini(&a->in);
}

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

static enum code reload_gate_say(struct asking *a, struct buf *out, struct err *e)
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
            return err_set(e, E_CONNECT, "could not receive from the gate: %m");
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
            if (!arena_bytes(a->arena, m.body, &body) || server_error_parse(body, &a->told) != OK)
                return err_set(e, E_PROTOCOL, "the gate's answer is not PostgreSQL's protocol");
        }
        if (m.type == 'Z' || (m.type == 'E' && !str_is(a->told.severity, "ERROR")))
            return OK;
    }
}

static enum code reload_gate_ask(struct asking *a, const struct settings *settings, struct err *e)
{
    const struct parameter who[] = {
        { STR("user"), STR("pgseal") },
        { STR("database"), settings->status_database },
        { STR("application_name"), STR("pgseal reload") },
    };
    AUTO(buf) struct buf out = BUF_INIT(ANSWER_MAX);

    TRY(dial(settings, &a->fd, e));
    frontend_startup(&out, PROTOCOL_3_0, who, COUNT_OF(who));
    TRY(reload_gate_say(a, &out, e));
    TRY(hear_out(a, e));
    if (a->failed)
        return OK;
    frontend_query(&out, STR("SELECT pg_reload_conf()"));
    TRY(reload_gate_say(a, &out, e));
    TRY(hear_out(a, e));
    if (a->told.message.n == 0)
        return err_set(e, E_PROTOCOL, "the gate did not report a result");
    return OK;
}

enum code reload_gate(const struct settings *settings, struct arena *arena, struct reload_answer *out,
                      struct err *e)
{
    AUTO(asking) struct asking a = { .fd = -1, .in = BUF_INIT(ANSWER_MAX), .arena = arena };

    if (settings->unix_socket_directories.n == 0)
        return err_set(e, E_CONNECT, "the gate has no Unix-domain socket: unix_socket_directories is empty");
    TRY(reload_gate_ask(&a, settings, e));
    *out = (struct reload_answer){ .told = a.told,
                                   .loaded = !a.failed && str_is(a.told.sqlstate, code_sqlstate(OK)),
                                   .refused = !a.failed && str_is(a.told.sqlstate, code_sqlstate(E_CONFIG)) };
    return OK;
}
