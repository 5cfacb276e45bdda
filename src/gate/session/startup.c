#include "gate/session/startup.h"

#include "gate/session/trial.h"
#include "gate/session/visit.h"
#include "gate/work/worker.h"
#include "pgwire/backend.h"

static enum step refuse(struct session *s, const struct hello_packet *packet, const struct err *e)
{
    bool v2 = e->code == E_UNSUPPORTED && startup_error_is_v2(packet->code);

    return session_fail(s, v2 ? PARTING_FATAL_V2 : PARTING_FATAL);
}

enum step startup_step(struct session *s, struct err *e)
{
    struct hello_packet packet;

    if (hello_next(&s->hello, buf_bytes(&s->in), &packet) != OK || packet.kind == HELLO_SSL ||
        packet.kind == HELLO_GSSENC) {
        err_set(e, E_INTERNAL, "no startup packet"); /* greet comes here only with one */
        return session_fail(s, PARTING_LOGGED);
    }
    if (packet.kind == HELLO_CANCEL)
        return session_goto(s, STATE_CANCEL);
    if (s->origin == ORIGIN_GATE) {
        err_set(e, E_PROTOCOL, "received a startup packet where only a cancel request is allowed");
        return session_fail(s, PARTING_LOGGED);
    }
    if (startup_parse(packet.code, packet.body, &s->arena, &s->startup, e) != OK)
        return refuse(s, &packet, e);
    if (trial_startup(s, e) != STEP_DONE)
        return STEP_FAIL;
    if (startup_must_negotiate(&s->startup))
        backend_negotiate(&s->out, &s->startup);
    if (startup_check_user(&s->startup, e) != OK)
        return refuse(s, &packet, e);
    buf_consume(&s->in, packet.used);
    s->said_n = (uint32_t)(s->client.received - s->in.n);
    if (s->worker->draining) {
        s->cause = CAUSE_STOPPING;
        err_set(e, E_UNAVAILABLE, "the database system is shutting down");
        return session_fail(s, PARTING_FATAL);
    }
    if (s->flags & (SESSION_WITHOUT_DESCRIPTOR | SESSION_TOO_FAST)) {
        s->cause = s->flags & SESSION_TOO_FAST ? CAUSE_RATE : CAUSE_RESOURCES;
        err_set(e, E_TOO_MANY, "sorry, too many clients already");
        return session_fail(s, PARTING_FATAL);
    }
    if (!visit_names_only_user(s))
        visit_is_client(s);
    return session_goto(s, STATE_ADMIT);
}
