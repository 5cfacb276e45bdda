/* What rooms may ask of their session, and what wakes it. */
#include "gate/session/session.h"

#include "base/env.h"
#include "conf/route.h"
#include "gate/stats/tally.h"
#include "gate/work/worker.h"

#include <stdio.h>

const char *state_name(enum state state)
{
    static const char *const names[] = {
#define X(name, phase, arrows, enter, step, leave, drain, cancel, waits_for) [STATE_##name] = #name,
#include "states.def"
#undef X
    };

    return names[state];
}

const struct env *session_env(const struct session *s)
{
    return &s->worker->env;
}

const struct settings *session_settings(const struct session *s)
{
    return snapshot_settings(s->snapshot);
}

/* PostgreSQL's line; a gate forks nothing. [src: PostgreSQL 18, log_connections = setup_durations] */
static void log_durations(struct session *s)
{
    struct log_line line;
    char text[160];

    if (!(session_settings(s)->log_connections & 1u << CONF_LOG_SETUP_DURATIONS))
        return;
    (void)snprintf(text, sizeof text,
                   "connection ready: setup total=%.3f ms, fork=%.3f ms, authentication=%.3f ms",
                   (double)(s->ready_mono_us - s->began_mono_us) / 1000, 0.0,
                   (double)(s->admitted_mono_us - s->admission_mono_us) / 1000);
    session_log(s, &line, SEV_LOG, "connection_ready");
    log_c(&line, "message", text);
    log_end(&line);
}

void session_ready(struct session *s)
{
    const struct env *env = session_env(s);

    s->ready_us = env->now_unix_us(env->ctx);
    s->ready_mono_us = env_mono_us(env);
    log_durations(s);
}

void session_host(const struct session *s, char *out, size_t size)
{
    address_host(&s->peer, out, size);
}

void session_log(struct session *s, struct log_line *line, enum severity severity, const char *event)
{
    char client[64];

    log_begin(line, session_env(s), severity, event);
    log_int(line, "session", (long long)s->id);
    address_text(&s->peer, client, sizeof client);
    log_c(line, "client", client);
    if (s->balancer) {
        address_text(s->balancer, client, sizeof client);
        log_c(line, "proxy", client);
    }
    if (s->balancer_id.n > 0)
        log_str(line, "unique_id", s->balancer_id);
    if (s->startup.user.n > 0)
        log_str(line, "user", s->startup.user);
    if (s->startup.database.n > 0)
        log_str(line, "database", s->startup.database);
}

void session_log_received(struct session *s)
{
    struct log_line line;

    if (!(session_settings(s)->log_connections & 1u << CONF_LOG_RECEIPT))
        return;
    session_log(s, &line, SEV_LOG, "connection_received");
    log_end(&line);
}

enum step session_fail(struct session *s, enum parting parting)
{
    s->parting = parting;
    return STEP_FAIL;
}

enum step session_goto(struct session *s, enum state next)
{
    s->next = next;
    return STEP_DONE;
}

void session_phase_auth(struct session *s)
{
    s->admission_mono_us = env_mono_us(session_env(s));
    timer_set(s->deadline, (int64_t)session_settings(s)->authentication_timeout_s * 1000);
}

void session_phase_none(struct session *s)
{
    timer_stop(s->deadline);
}

bool session_send(struct session *s)
{
    struct err e;

    if (s->state == STATE_FAREWELL)
        return false;
    if (!buf_ok(&s->out)) {
        err_set(&e, E_NOMEM, "out of memory");
        session_end(s, PARTING_LOGGED, &e);
        return false;
    }
    if (s->out.n == 0)
        return true;
    enum code code = stream_write(&s->client, buf_bytes(&s->out), &e);
    buf_fini_secret(&s->out);
    if (code != OK) {
        session_end(s, PARTING_SILENT, NULL);
        return false;
    }
    return true;
}

const struct settings_route *session_route(const struct session *s)
{
    return settings_route_for(session_settings(s), s->tls.sni, s->startup.database);
}

bool session_is_console(const struct session *s)
{
    return s->startup.replication == REPLICATION_NONE &&
           str_equal(s->startup.database, session_settings(s)->status_database);
}

/* ---- the way on is the walk's ---- */

void session_resume(struct session *s)
{
    s->walk->resume(s);
}

void session_end(struct session *s, enum parting parting, const struct err *e)
{
    s->walk->end(s, parting, e);
}

void session_drain(struct session *s, bool now)
{
    s->walk->drain(s, now);
}

void session_cancel(struct session *s)
{
    s->walk->cancel(s);
}

void session_login_over(struct session *s)
{
    s->walk->login_over(s);
}

void session_gone(struct session *s)
{
    stream_set_reading(&s->client, false);
    timer_set(s->deadline, 0);
}
