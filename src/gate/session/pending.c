/* Places for connections: pending, at a server to be judged, authenticated. */
#include "gate/session/pending.h"

#include "base/check.h"
#include "base/env.h"
#include "gate/session/limit.h"
#include "gate/session/tally_session.h"
#include "gate/stats/tally.h"
#include "gate/stats/visits.h"
#include "gate/work/worker.h"
#include "net/limits.h"
#include "net/shares.h"
#include "net/turns.h"

#include <limits.h>

enum {
    PENDING_FACTOR = 4, /* [choice: what `max_pending_connections = 0` means] */
    LOCAL_PART = 4,     /* unix sockets have one place for so many of TCP's */
    LOCAL_LEAST = 8,
    DESCRIPTORS_OF_A_SESSION = 2,    /* the client's and the server's */
    DESCRIPTORS_OF_A_WORKER = 16,    /* its loop, listeners, look-ups, cancel requests */
    DESCRIPTORS_OF_A_GATE = 128,     /* files, HTTP */
    YIELDED_LINES_US = 10 * 1000000, /* between two lines in the log */
};

enum code pending_open(struct gate_shared *shared)
{
    shared->pending = shares_new();
    shared->pending_local = shares_new();
    shared->relayed = shares_new();
    shared->turns = turns_new();
    shared->limits = limits_new();
    shared->visits = visits_new();
    shared->pending_most = INT_MAX;
    return shared->pending && shared->pending_local && shared->relayed && shared->turns && shared->limits &&
                   shared->visits
               ? OK
               : E_NOMEM;
}

void pending_close(struct gate_shared *shared)
{
    shares_free(shared->pending);
    shares_free(shared->pending_local);
    shares_free(shared->relayed);
    turns_free(shared->turns);
    limits_free(shared->limits);
    visits_free(shared->visits);
}

int pending_limit(const struct gate_shared *shared, const struct settings *settings, bool local)
{
    int limit = settings->max_pending_connections;

    if (limit == 0)
        limit = PENDING_FACTOR * settings->max_connections;
    if (limit > shared->pending_most)
        limit = shared->pending_most;
    if (!local)
        return limit;
    return limit / LOCAL_PART > LOCAL_LEAST ? limit / LOCAL_PART : LOCAL_LEAST;
}

long pending_descriptors(const struct gate_shared *shared, const struct settings *settings)
{
    return (long)settings->max_connections * DESCRIPTORS_OF_A_SESSION +
           pending_limit(shared, settings, false) + pending_limit(shared, settings, true) +
           (long)shared->n_workers * DESCRIPTORS_OF_A_WORKER + DESCRIPTORS_OF_A_GATE;
}

static struct shares *shares_of(const struct session *s)
{
    const struct gate_shared *shared = s->worker->shared;

    return session_is_local(s) ? shared->pending_local : shared->pending;
}

struct prefix pending_prefix(const struct session *s)
{
    uid_t uid;
    gid_t gid;

    if (session_is_local(s) && socket_peer_ids(s->client.fd, &uid, &gid))
        return prefix_of_user(uid);
    return prefix_of_address(&s->peer.ss);
}

/* ---- taking away ---- */

/* Whoever opens connections as fast as he can shall not fill the log: a line tells of many. */
static void log_yielded(struct session *s)
{
    struct worker *worker = s->worker;
    int64_t now = env_mono_us(&worker->env);
    struct log_line line;

    worker->n_yielded++;
    session_tally_failure(s, CAUSE_PENDING);
    if (worker->yielded_us && now - worker->yielded_us < YIELDED_LINES_US)
        return;
    session_log(s, &line, SEV_LOG, "pending_yielded");
    log_c(&line, "message",
          "too many connections have not logged in: the oldest of the largest prefix is closed");
    log_int(&line, "count", (long long)worker->n_yielded);
    log_c(&line, "cause", cause_id(CAUSE_PENDING));
    log_c(&line, "likely", cause_text(CAUSE_PENDING));
    log_c(&line, "next", cause_next(CAUSE_PENDING));
    log_end(&line);
    worker->n_yielded = 0;
    worker->yielded_us = now;
}

static void yield(struct session *s)
{
    struct err e;

    switch (s->state) {
    case STATE_GREET:
    case STATE_SEAL:
    case STATE_STARTUP:
    case STATE_CANCEL:
        log_yielded(s);
        session_end(s, PARTING_ABRUPT, NULL);
        return;
    case STATE_ADMIT:
    case STATE_ROUTE:
    case STATE_UPSTREAM:
        s->cause = CAUSE_PENDING;
        err_set(&e, E_TOO_MANY, "sorry, too many clients already");
        session_end(s, PARTING_YIELDED, &e);
        return;
    case STATE_FAREWELL:
        session_gone(s);
        return;
    case STATE_RELAY:
    case STATE_CONSOLE:
    case STATE_COUNT:
        break;
    }
    UNREACHABLE();
}

static void on_pending_yields(void *arg)
{
    struct session *s = arg;

    s->pending = NULL;
    yield(s);
}

static void on_relayed_yields(void *arg)
{
    struct session *s = arg;

    s->relayed = NULL;
    yield(s);
}

/* ---- pending ---- */

bool pending_enter(struct session *s)
{
    const struct share_owner owner = { s->worker->loop, on_pending_yields, s };
    const struct prefix prefix = pending_prefix(s);

    share_leave(s->pending);
    s->pending = shares_take(shares_of(s), &prefix, &owner);
    if (!s->pending)
        return false;
    shares_trim(shares_of(s),
                (size_t)pending_limit(s->worker->shared, session_settings(s), session_is_local(s)));
    return true;
}

void pending_leave(struct session *s)
{
    share_leave(s->pending);
    s->pending = NULL;
    share_leave(s->relayed);
    s->relayed = NULL;
}

bool pending_make_room(struct gate_shared *shared)
{
    return shares_make_room(shared->pending) || shares_make_room(shared->pending_local);
}

/* ---- max_connections ---- */

/* Of whom PostgreSQL would say that he is a superuser: root or the gate's own user at its socket, and
 * administrators. */
static bool is_privileged(const struct session *s)
{
    uid_t uid;
    gid_t gid;

    if (session_is_local(s) && socket_peer_ids(s->client.fd, &uid, &gid) &&
        (uid == 0 || uid == s->worker->shared->uid))
        return true;
    return settings_listed(&session_settings(s)->admin_users, s->startup.user);
}

/* [src: PostgreSQL 18, InitProcess, InitPostgres] */
static enum code too_many(long connections, const struct settings *settings, bool *out_late, struct err *e)
{
    *out_late = connections < settings->max_connections;
    if (*out_late)
        return err_set(e, E_TOO_MANY,
                       "remaining connection slots are reserved for roles with the SUPERUSER attribute");
    return err_set(e, E_TOO_MANY, "sorry, too many clients already");
}

static long limit_for(const struct session *s)
{
    const struct settings *settings = session_settings(s);

    return settings->max_connections - (is_privileged(s) ? 0 : settings->superuser_reserved_connections);
}

enum code pending_relay(struct session *s, struct err *e)
{
    struct gate_shared *shared = s->worker->shared;
    const struct share_owner owner = { s->worker->loop, on_relayed_yields, s };
    const struct prefix prefix = pending_prefix(s);
    long connections = atomic_load(&shared->connections);
    bool late;

    if (connections >= limit_for(s))
        return too_many(connections, session_settings(s), &late, e);
    s->relayed = shares_take(shared->relayed, &prefix, &owner);
    if (!s->relayed)
        return err_set(e, E_NOMEM, "out of memory");
    /* Looked at again: who was admitted meanwhile did not see this place. */
    long left = session_settings(s)->max_connections - atomic_load(&shared->connections);
    shares_trim(shared->relayed, left > 0 ? (size_t)left : 0);
    return OK;
}

enum code pending_admit(struct session *s, bool *out_late, struct err *e)
{
    struct gate_shared *shared = s->worker->shared;
    long connections = atomic_load(&shared->connections), limit = limit_for(s);

    do {
        if (connections >= limit)
            return too_many(connections, session_settings(s), out_late, e);
    } while (!atomic_compare_exchange_weak(&shared->connections, &connections, connections + 1));
    enum code code = limit_enter(s, e);
    if (code != OK) {
        atomic_fetch_sub_explicit(&shared->connections, 1, memory_order_relaxed);
        *out_late = true; /* after AuthenticationOk, as in PostgreSQL */
        return code;
    }
    s->flags |= SESSION_COUNTED;
    pending_leave(s);
    long left = session_settings(s)->max_connections - (connections + 1);
    shares_trim(shared->relayed, (size_t)left);
    return OK;
}
