#include "gate/session/route.h"

#include "gate/session/admission.h"
#include "gate/session/console.h"
#include "gate/session/pending.h"
#include "gate/upstream/lookup.h"
#include "pgwire/backend.h"

/* As PostgreSQL says it: first that the client is who it says, then that there is nothing for it. */
static enum step refuse_late(struct session *s)
{
    buf_append_buf(&s->out, &s->admission->final);
    backend_auth(&s->out, AUTH_OK, bytes_of(NULL, 0));
    return session_fail(s, PARTING_FATAL);
}

/* Whom the server is to judge has a place at it first, and counts when that has been done. */
static bool find_place(struct session *s, enum step *out, struct err *e)
{
    bool late = false;

    if ((s->admission->relayed ? pending_relay(s, e) : pending_admit(s, &late, e)) == OK)
        return true;
    *out = late ? refuse_late(s) : session_fail(s, PARTING_FATAL);
    return false;
}

enum step route_step(struct session *s, struct err *e)
{
    enum step refused;

    if (s->admission->credential.no_login && route_hides_user(s)) {
        lookup_forget(s->worker, s->startup.user); /* a right that is given counts at once */
        s->cause = CAUSE_NO_LOGIN;
        err_set(e, E_AUTH, "role \"%.*s\" is not permitted to log in", STR_ARG(s->startup.user));
        return refuse_late(s);
    }
    if (!find_place(s, &refused, e))
        return refused;
    if (session_is_console(s) && !s->admission->relayed)
        return session_goto(s, STATE_CONSOLE);
    if (snapshot_upstream(s->snapshot, s->admission->route)->configured)
        return session_goto(s, STATE_UPSTREAM);
    if (session_is_console(s)) {
        s->reason = "auth_source is upstream, and there is no upstream server to check the password.";
        err_set(e, E_UNAVAILABLE, "the upstream server is not available");
        return session_fail(s, PARTING_FATAL);
    }
    err_set(e, E_NO_DATABASE, "database \"%.*s\" does not exist", STR_ARG(s->startup.database));
    return refuse_late(s);
}
