/*
 * Error text, the last bytes, the log line, and the end of the session's memory.
 *
 * The client gets a moment to take what was said: closing a socket with unread input resets the connection
 * and may destroy an error or an alert on its way. What it sends meanwhile is thrown away.
 */
#include "gate/session/farewell.h"

#include "base/check.h"
#include "base/env.h"
#include "base/secret.h"
#include "gate/session/limit.h"
#include "gate/session/meters.h"
#include "gate/session/pending.h"
#include "gate/session/roster.h"
#include "gate/session/tally_session.h"
#include "gate/session/trial.h"
#include "gate/session/visit.h"
#include "gate/stats/tally.h"
#include "gate/work/worker.h"
#include "pgwire/backend.h"
#include "policy/words.h"

#include <stdatomic.h>
#include <stdlib.h>

enum { FAREWELL_MS = 2000 };

void farewell_release(struct session *s)
{
    stream_close(&s->client);
    stream_close(&s->server);
    timer_close(s->deadline);
    buf_fini_secret(&s->in);
    buf_fini_secret(&s->out);
    arena_fini(&s->scratch);
    arena_fini(&s->arena);
    snapshot_unref(s->snapshot);
    wipe(s->key, sizeof s->key);
    free(s);
}

static void session_free(struct session *s)
{
    struct worker *worker = s->worker;
    bool late = s->flags & SESSION_LATE;

    meters_freed(s);
    pending_leave(s);
    farewell_release(s);
    roster_freed(worker, late);
}

/* What the code of a refusal says, where nobody knew better. */
static enum cause cause_of_code(enum code code)
{
    static const struct {
        enum code code;
        enum cause cause;
    } causes[] = {
        { E_PASSWORD, CAUSE_PASSWORD },     { E_AUTH, CAUSE_IDENTITY },
        { E_CANCELED, CAUSE_TIMEOUT },      { E_TOO_MANY, CAUSE_TOO_MANY },
        { E_SHUTDOWN, CAUSE_STOPPING },     { E_UNAVAILABLE, CAUSE_UPSTREAM_DOWN },
        { E_CONNECT, CAUSE_UPSTREAM_DOWN }, { E_NO_DATABASE, CAUSE_NO_DATABASE },
        { E_PROTOCOL, CAUSE_PROTOCOL },     { E_UNSUPPORTED, CAUSE_PROTOCOL },
        { E_CONFIG, CAUSE_CONFIGURATION },  { E_NOMEM, CAUSE_RESOURCES },
        { E_LIMIT, CAUSE_RESOURCES },
    };

    for (size_t i = 0; i < COUNT_OF(causes); i++)
        if (causes[i].code == code)
            return causes[i].cause;
    return CAUSE_REFUSED;
}

/* The server's own refusal, which the client heard. */
static enum cause cause_of_server(const char *sqlstate)
{
    static const struct {
        const char *sqlstate;
        enum cause cause;
    } causes[] = {
        { "28P01", CAUSE_PASSWORD },
        { "3D000", CAUSE_SERVER_NO_DATABASE },
        { "53300", CAUSE_SERVER_FULL },
        { "57P03", CAUSE_SERVER_NOT_READY },
    };

    for (size_t i = 0; i < COUNT_OF(causes); i++)
        if (strcmp(causes[i].sqlstate, sqlstate) == 0)
            return causes[i].cause;
    return CAUSE_UPSTREAM_REFUSED;
}

/* Sessions that were served have not failed, and of clients that just left there is nothing to say. */
static enum cause cause_of(const struct session *s, const struct err *e)
{
    if (s->ready_us)
        return CAUSE_NONE;
    if (s->cause != CAUSE_NONE)
        return s->cause;
    if (s->parting == PARTING_LOGGED && e->code != E_CANCELED)
        return CAUSE_NONE;
    return s->parting == PARTING_RELAYED ? cause_of_server(err_sqlstate(e)) : cause_of_code(e->code);
}

/* A session that was served, or is told to go, was not refused. */
static const char *event_of(const struct session *s, const struct err *e)
{
    if (s->parting == PARTING_LOGGED)
        return "connection_lost";
    return s->ready_us || e->code == E_SHUTDOWN ? "terminated" : "refused";
}

static void log_end_of(struct session *s, const struct err *e)
{
    const struct env *env = session_env(s);
    struct log_line line;

    if (!s->ready_us && visit_of(s) == VISIT_CHECK)
        return;
    if (s->parting == PARTING_FATAL || s->parting == PARTING_YIELDED || s->parting == PARTING_FATAL_V2 ||
        s->parting == PARTING_RELAYED || (s->parting == PARTING_LOGGED && e)) {
        session_log(s, &line, s->parting == PARTING_LOGGED ? SEV_LOG : SEV_FATAL, event_of(s, e));
        log_err(&line, e);
        if (s->reason)
            log_c(&line, "reason", s->reason);
        if (s->rule) {
            log_str(&line, "rule_file", s->rule->file);
            log_int(&line, "rule_line", s->rule->line);
            if (s->rule->raw.n > 0 && !hba_rule_has_secret(s->rule))
                log_str(&line, "rule", s->rule->raw);
        }
        session_log_cause(s, &line, cause_of(s, e));
        log_end(&line);
    }
    if (s->ready_us && session_settings(s)->log_disconnections) {
        session_log(s, &line, SEV_LOG, "disconnection");
        log_int(&line, "session_ms", (env_mono_us(env) - s->ready_mono_us) / 1000);
        log_int(&line, "received", (long long)s->client.received);
        log_int(&line, "sent", (long long)s->client.sent);
        log_end(&line);
    }
}

static void farewell_say(struct session *s, const struct err *e)
{
    struct err ignored;

    switch (s->parting) {
    case PARTING_FATAL:
    case PARTING_YIELDED:
        backend_fatal(&s->out, e);
        break;
    case PARTING_FATAL_V2:
        backend_fatal_v2(&s->out, e);
        break;
    case PARTING_RELAYED:
        break;
    case PARTING_LOGGED:
    case PARTING_SILENT:
        /* What was said before still goes: an answer to a request, the last rows of a result. */
        break;
    case PARTING_ABRUPT:
        return;
    }
    if (buf_ok(&s->out) && s->out.n > 0)
        (void)!stream_write(&s->client, buf_bytes(&s->out), &ignored);
    buf_fini_secret(&s->out);
}

static void leave_lists(struct session *s)
{
    if (s->flags & SESSION_COUNTED)
        atomic_fetch_sub_explicit(&s->worker->shared->connections, 1, memory_order_relaxed);
    s->flags &= ~(unsigned)SESSION_COUNTED;
    limit_leave(s);
    roster_remove(s->worker, s);
}

void farewell_without_a_word(struct session *s)
{
    meters_gone_over(s);
    leave_lists(s);
    session_free(s);
}

void farewell_enter(struct session *s, const struct err *e)
{
    trial_ended(s);
    log_end_of(s, e);
    if (!s->ready_us)
        session_tally_ended(s, e);
    farewell_say(s, e);
    leave_lists(s);
    if (!s->deadline) { /* born without one: nobody else holds the session yet */
        session_free(s);
        return;
    }
    if (s->parting == PARTING_ABRUPT || (s->client.broken || s->client.unsendable)) {
        session_gone(s);
        return;
    }
    stream_finish(&s->client);
    if (s->parting == PARTING_YIELDED || (s->client.eof && !stream_blocked(&s->client))) {
        session_gone(s);
        return;
    }
    timer_set(s->deadline, FAREWELL_MS);
    s->client.tls_failed = false; /* from here on bytes are only thrown away */
    stream_set_reading(&s->client, true);
}

void farewell_client_readable(struct session *s)
{
    if (!stream_discard(&s->client))
        session_gone(s);
}

void farewell_client_writable(struct session *s)
{
    struct err e;

    if (stream_flush(&s->client, &e) != OK || (s->client.eof && !stream_blocked(&s->client)))
        session_gone(s);
}

void farewell_deadline(struct session *s)
{
    session_free(s);
}
