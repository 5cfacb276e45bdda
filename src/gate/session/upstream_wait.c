#include "gate/session/upstream_wait.h"

#include "base/log.h"
#include "client/conninfo.h"
#include "gate/load/snapshot.h"
#include "gate/session/session.h"
#include "gate/session/upstream_attempt.h"
#include "gate/session/upstream_turn.h"
#include "gate/work/worker.h"
#include "net/loop.h"

enum { RETRY_MS = 1000 /* [choice: the check tells at once; this is for when it does not know] */ };

static void begin_again(struct upstream_room *r)
{
    struct session *s = r->s;
    struct err e;

    r->lacks_primary = false;
    timer_stop(r->retry);
    server_conn_free(s->server_conn);
    s->server_conn = server_conn_new(s->worker, r->upstream, &r->owner);
    if (s->server_conn) {
        session_resume(s);
        return;
    }
    err_set(&e, E_NOMEM, "out of memory");
    upstream_fail(r, &e);
}

static void on_retry(void *arg)
{
    begin_again(arg);
}

bool upstream_may_wait(const struct upstream_room *r)
{
    return r->upstream->checked && !r->client_engaged && server_conn_may_recover(r->s->server_conn);
}

bool upstream_wait(struct upstream_room *r, const struct err *e)
{
    struct session *s = r->s;
    struct log_line line;

    if (!upstream_may_wait(r))
        return false;
    if (!r->retry)
        r->retry = timer_new(s->worker->loop, on_retry, r);
    if (!r->retry)
        return false;
    r->why = *e;
    r->why.code = E_UNAVAILABLE;
    buf_reset(&r->refusal);
    upstream_forget_attempt(r);
    upstream_turn_leave(r);
    r->lacks_primary = true;
    if (log_enabled(session_env(s)->log, SEV_DEBUG)) {
        session_log(s, &line, SEV_DEBUG, "upstream_waits");
        log_err(&line, &r->why);
        log_end(&line);
    }
    timer_set(r->retry, RETRY_MS);
    session_resume(s); /* is the client still there? */
    return true;
}

bool upstream_wait_over(struct upstream_room *r)
{
    if (!r->upstream->checked || r->client_engaged || r->waits || r->failed || r->handed_over)
        return false;
    if (!r->why.message[0])
        err_set(&r->why, E_UNAVAILABLE, "no host has answered within authentication_timeout");
    r->why.code = E_UNAVAILABLE;
    buf_reset(&r->refusal);
    upstream_turn_leave(r);
    r->failed = true;
    session_resume(r->s);
    return true;
}

void upstream_wait_news(struct upstream_room *r, const struct conn_host *host, bool lost)
{
    struct err e;

    if (r->failed || r->handed_over)
        return;
    if (r->lacks_primary) {
        if (!lost)
            begin_again(r);
        return;
    }
    if (!lost || !r->upstream->checked || !conn_host_equal(server_conn_host(r->s->server_conn), host))
        return;
    err_set(&e, E_UNAVAILABLE, "the server is no longer the primary");
    if (r->client_engaged)
        upstream_fail(r, &e);
    else
        server_conn_give_up(r->s->server_conn, &e);
}

void upstream_wait_leave(struct upstream_room *r)
{
    timer_close(r->retry);
    r->retry = NULL;
}
