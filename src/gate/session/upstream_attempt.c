#include "gate/session/upstream_attempt.h"

#include "gate/load/snapshot.h"
#include "gate/session/upstream_impl.h"

void upstream_fail(struct upstream_room *r, const struct err *e)
{
    r->failed = true;
    r->why = *e;
    session_resume(r->s);
}

/* What was learned from one server is of no use with the next. */
void upstream_forget_attempt(struct upstream_room *r)
{
    login_drive_free(r->login);
    r->login = NULL;
    r->stage = UPSTREAM_CONNECT;
    buf_reset(&r->in);
    buf_reset(&r->held);
    arena_reset(&r->arena);
    r->facts = (struct login_facts){ 0 };
}

/* Go on with the next attempt, unless the client has been asked already. */
void upstream_attempt_failed(struct upstream_room *r, enum attempt_event event, const struct err *e)
{
    if (r->client_engaged) {
        if (event == EVENT_SERVER_BUSY ||
            (event == EVENT_ATTRS_MISMATCH && !r->upstream->checked && !server_conn_unfit(r->s->server_conn)))
            server_conn_pass_over(r->s->server_conn);
        upstream_fail(r, e);
        return;
    }
    upstream_forget_attempt(r);
    server_conn_event(r->s->server_conn, event, e);
}
