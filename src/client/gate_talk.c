/* The conversation with a running gate. */
#include "client/gate_talk.h"

#include "base/arena.h"
#include "base/check.h"
#include "base/rd.h"
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
    ANSWER_MAX = 64 << 20, /* all of a conversation */
    MESSAGE_MAX = 256 * 1024,
    SAID_MAX = 64 * 1024,
    WAIT_S = 60 /* the gate itself gives up before */
};

void gate_talk_close(struct gate_talk *talk)
{
    if (talk->fd >= 0)
        (void)close(talk->fd);
    talk->fd = -1;
    buf_fini(&talk->in);
}

void gate_talk_auto(struct gate_talk *talk)
{
    gate_talk_close(talk);
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

static enum code gate_say(struct gate_talk *talk, struct buf *out, struct err *e)
{
    struct bytes data = buf_bytes(out);

    while (buf_ok(out) && data.n > 0) {
        ssize_t n = send(talk->fd, data.p, data.n, MSG_NOSIGNAL);
        if (n < 0 && errno != EINTR)
            return err_set(e, E_CONNECT, "could not send to the gate: %m");
        if (n > 0)
            data = bytes_from(data, (size_t)n);
    }
    enum code code = buf_ok(out) ? OK : err_set(e, E_NOMEM, "out of memory");
    buf_reset(out);
    return code;
}

static enum code hear(struct gate_talk *talk, struct msg *out, struct err *e)
{
    uint8_t room[4096];
    size_t used;

    for (;;) {
        enum code code = msg_next(bytes_from(buf_bytes(&talk->in), talk->used), MESSAGE_MAX, out, &used);
        if (code == OK)
            talk->used += used;
        if (code != E_MORE)
            return code == OK ? OK : err_set(e, E_PROTOCOL, "the gate's answer is not PostgreSQL's protocol");
        ssize_t n = recv(talk->fd, room, sizeof room, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_set(e, E_CONNECT, "could not receive from the gate: %m");
        if (n == 0)
            return err_set(e, E_CONNECT, "the gate closed the connection");
        if (!buf_append(&talk->in, bytes_of(room, (size_t)n)))
            return err_set(e, E_PROTOCOL, "the gate's answer is too long");
    }
}

/* ---- rows ---- */

enum code gate_row_parse(struct bytes body, size_t columns, struct str *out)
{
    struct rd r = rd_over(body);

    if (rd_u16(&r) != columns)
        return E_PROTOCOL;
    for (size_t i = 0; i < columns; i++) {
        int32_t n = rd_i32(&r);
        struct bytes value = n >= 0 ? rd_bytes(&r, (size_t)n) : bytes_of(NULL, 0);
        if (n < -1)
            return E_PROTOCOL;
        out[i] = n < 0 ? str_of(NULL, 0) : str_from_bytes(value);
    }
    return rd_end(&r);
}

/* The cells' room doubles; what it had stays with the arena. */
static bool make_room(struct gate_talk *talk, struct gate_rows *rows)
{
    size_t cells = rows->columns * rows->n;

    if (rows->n != 0 && (rows->n & (rows->n - 1)) != 0)
        return true;
    struct str *more = arena_array(talk->arena, rows->columns * (rows->n ? 2 * rows->n : 1), sizeof *more);
    if (more && cells > 0)
        memcpy(more, rows->cells, cells * sizeof *more);
    rows->cells = more ? more : rows->cells;
    return more != NULL;
}

static enum code add_row(struct gate_talk *talk, struct bytes body, struct gate_rows *rows, struct err *e)
{
    if (rows->n == GATE_ROWS_MAX || !make_room(talk, rows))
        return err_set(e, E_LIMIT, "the gate's answer is too long");
    struct str *cells = rows->cells + rows->columns * rows->n;
    if (gate_row_parse(body, rows->columns, cells) != OK)
        return err_set(e, E_PROTOCOL, "the gate's answer is not PostgreSQL's protocol");
    for (size_t i = 0; i < rows->columns; i++)
        if (cells[i].p && !arena_str(talk->arena, cells[i], &cells[i]))
            return err_set(e, E_NOMEM, "out of memory");
    rows->n++;
    return OK;
}

static enum code take_row(struct gate_talk *talk, const struct msg *m, struct gate_rows *rows, struct err *e)
{
    struct rd r = rd_over(m->body);

    if (m->type == 'D')
        return add_row(talk, m->body, rows, e);
    *rows = (struct gate_rows){ .columns = rd_u16(&r) };
    return !r.bad && rows->columns <= GATE_COLUMNS_MAX
               ? OK
               : err_set(e, E_PROTOCOL, "the gate's answer is not PostgreSQL's protocol");
}

/* ---- a statement ---- */

/* Until ReadyForQuery, or an error that ends the session. */
static enum code hear_out(struct gate_talk *talk, struct gate_rows *rows, struct err *e)
{
    struct msg m;

    for (;;) {
        TRY(hear(talk, &m, e));
        if (m.type == 'R' && (m.body.n != 4 || memcmp(m.body.p, "\0\0\0", 4) != 0)) {
            err_set(e, E_ACCESS, "the gate asks for a password");
            err_hint(e, "Run this as root or as the account of the gate.");
            return E_ACCESS;
        }
        if (m.type == 'E' || m.type == 'N') {
            talk->failed = m.type == 'E';
            struct bytes body;
            if (!arena_bytes(talk->arena, m.body, &body) || server_error_parse(body, &talk->told) != OK)
                return err_set(e, E_PROTOCOL, "the gate's answer is not PostgreSQL's protocol");
        }
        if (rows && (m.type == 'T' || m.type == 'D'))
            TRY(take_row(talk, &m, rows, e));
        if (m.type == 'Z' || (m.type == 'E' && !str_is(talk->told.severity, "ERROR")))
            return OK;
    }
}

/* ---- */

static enum code log_in(struct gate_talk *talk, const struct settings *settings, const char *application,
                        struct err *e)
{
    const struct parameter who[] = {
        { STR("user"), STR("pgseal") },
        { STR("database"), settings->status_database },
        { STR("application_name"), str_c(application) },
    };
    AUTO(buf) struct buf out = BUF_INIT(SAID_MAX);

    TRY(dial(settings, &talk->fd, e));
    frontend_startup(&out, PROTOCOL_3_0, who, COUNT_OF(who));
    TRY(gate_say(talk, &out, e));
    return hear_out(talk, NULL, e);
}

enum code gate_talk_open(const struct settings *settings, const char *application, struct arena *arena,
                         struct gate_talk *out, struct err *e)
{
    *out = (struct gate_talk){ .fd = -1, .in = BUF_INIT(ANSWER_MAX), .arena = arena };
    if (settings->unix_socket_directories.n == 0)
        return err_set(e, E_CONNECT, "the gate has no Unix-domain socket: unix_socket_directories is empty");
    return log_in(out, settings, application, e);
}

enum code gate_talk_query(struct gate_talk *talk, struct str sql, struct gate_rows *rows, struct err *e)
{
    AUTO(buf) struct buf out = BUF_INIT(SAID_MAX);

    if (rows)
        *rows = (struct gate_rows){ .n = 0 };
    talk->failed = false;
    frontend_query(&out, sql);
    TRY(gate_say(talk, &out, e));
    return hear_out(talk, rows, e);
}
