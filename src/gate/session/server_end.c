#include "gate/session/server_end.h"

#include "client/login_session.h"
#include "gate/session/meters.h"
#include "gate/session/session.h"
#include "pgwire/backend.h"

#include <string.h>

bool server_end_may_speak(const struct session *s)
{
    return msg_between(&s->follow) && !s->follow.bad;
}

static void log_end_of_server(struct session *s, const char *event, const struct err *e)
{
    struct log_line line;

    session_log(s, &line, SEV_LOG, event);
    log_err(&line, e);
    if (s->server_text.n > 0)
        log_str(&line, "upstream", s->server_text);
    if (s->pid)
        log_int(&line, "pid", s->pid);
    log_end(&line);
}

/* ---- with FATAL ---- */

static bool last_message(struct bytes said, struct msg *out)
{
    bool found = false;
    size_t used;

    for (; msg_next(said, UINT32_MAX, out, &used) == OK; said = bytes_from(said, used))
        found = true;
    return found && said.n == 0;
}

void server_end_note(struct session *s, struct bytes said, bool whole)
{
    struct server_error error;
    struct msg last;
    struct err e;

    if (!whole || !last_message(said, &last) || server_error_parse(last.body, &error) != OK) {
        s->flags |= SESSION_TOLD; /* perhaps: it came in pieces, and the client has it all */
        return;
    }
    if (!str_is(error.severity, "FATAL") && !str_is(error.severity, "PANIC"))
        return;
    s->flags |= SESSION_TOLD;
    err_set(&e, E_CLOSED, "%.*s", STR_ARG(error.message));
    err_sqlstate_set(&e, error.sqlstate);
    log_end_of_server(s, "server_ended", &e);
    meters_server_ended(s, true);
}

/* ---- without a word ---- */

/* The client has left, or has said that it will. */
static bool client_ended(const struct session *s)
{
    return stream_over(&s->client) || (s->asked.type == 'X' && msg_asked_whole(&s->asked));
}

/* [src: libpq, pqsecure_raw_read] */
static void say_why(const struct stream *server, struct err *e)
{
    err_set(e, E_CLOSED, "server closed the connection unexpectedly");
    if (server->error)
        err_detail(e, "could not %s server: %s", server->unsendable ? "send data to" : "receive data from",
                   strerror(server->error));
    else
        err_detail(e, "This probably means the server terminated abnormally before or while processing the "
                      "request.");
}

void server_end_session(struct session *s)
{
    struct err e;

    if (!(s->flags & SESSION_TOLD) && !client_ended(s)) {
        say_why(&s->server, &e);
        log_end_of_server(s, "server_lost", &e);
        meters_server_ended(s, false);
        if (server_end_may_speak(s))
            backend_fatal(&s->out, &e);
    }
    session_end(s, PARTING_SILENT, NULL);
}
