/* Which far end: the status database, a server, or nothing at all. */
#include "gate/session/admission.h"
#include "gate/session/console.h"
#include "gate/session/rooms.h"
#include "pgwire/backend.h"

enum step route_step(struct session *s, struct err *e)
{
    if (console_wanted(s) && !s->admission->relayed)
        return session_goto(s, STATE_CONSOLE);
    if (snapshot_upstream(s->snapshot, s->admission->route)->configured)
        return session_goto(s, STATE_UPSTREAM);
    if (console_wanted(s)) {
        s->reason = "auth_source is upstream, and there is no upstream that could judge the password.";
        err_set(e, E_UNAVAILABLE, "the server behind is not available");
        return session_fail(s, PARTING_FATAL);
    }
    /* As PostgreSQL, which authenticates first and then finds no such database. */
    buf_append_buf(&s->out, &s->admission->final);
    backend_auth(&s->out, AUTH_OK, bytes_of(NULL, 0));
    err_set(e, E_NO_DATABASE, "database \"%.*s\" does not exist", STR_ARG(s->startup.database));
    return session_fail(s, PARTING_FATAL);
}
