#include "gate/session/limit.h"

#include "base/env.h"
#include "conf/route.h"
#include "gate/work/worker.h"
#include "net/limits.h"

/* The status database, replication, and who could raise the limit. [src: PostgreSQL 18, InitializeSessionUserId, CheckMyDatabase] */
static bool is_exempt(const struct session *s)
{
    return session_is_console(s) || s->startup.replication != REPLICATION_NONE ||
           settings_listed(&session_settings(s)->admin_users, s->startup.user);
}

static enum code limit_take(struct session *s, unsigned user_limit, unsigned database_limit, struct err *e)
{
    struct limits *limits = s->worker->shared->limits;

    enum code code = limits_take(limits, LIMIT_USER, s->startup.user, user_limit);
    if (code == E_TOO_MANY)
        return err_set(e, code, "too many connections for role \"%.*s\"", STR_ARG(s->startup.user));
    if (code == OK) {
        code = limits_take(limits, LIMIT_DATABASE, s->startup.database, database_limit);
        if (code != OK)
            limits_leave(limits, LIMIT_USER, s->startup.user);
    }
    if (code == E_TOO_MANY)
        return err_set(e, code, "too many connections for database \"%.*s\"", STR_ARG(s->startup.database));
    if (code != OK)
        return err_set(e, code, "out of memory");
    s->flags |= SESSION_LIMITED;
    return OK;
}

enum code limit_enter(struct session *s, struct err *e)
{
    const struct settings *settings = session_settings(s);

    if (!settings->limits_names || is_exempt(s))
        return OK;
    enum code code = limit_take(s, (unsigned)settings_max_user_connections(settings, s->startup.user),
                                (unsigned)settings_route(settings, s->startup.database)->max_db_connections,
                                e);
    if (code == E_TOO_MANY)
        s->cause = CAUSE_LIMIT;
    return code;
}

void limit_join(struct session *s)
{
    struct err ignored;

    if (snapshot_settings(s->worker->snapshot)->limits_names && s->flags & SESSION_COUNTED &&
        !(s->flags & SESSION_LIMITED) && !is_exempt(s))
        (void)!limit_take(s, 0, 0, &ignored); /* without memory it does not count */
}

void limit_leave(struct session *s)
{
    struct limits *limits = s->worker->shared->limits;

    if (!(s->flags & SESSION_LIMITED))
        return;
    s->flags &= ~(unsigned)SESSION_LIMITED;
    limits_leave(limits, LIMIT_USER, s->startup.user);
    limits_leave(limits, LIMIT_DATABASE, s->startup.database);
}

bool limit_begin(const struct session *s)
{
    const struct settings *settings = session_settings(s);

    if (settings->client_connection_rate_limit == 0 || session_is_local(s))
        return true;
    const struct prefix prefix = prefix_of_address(&s->peer.ss);
    return limits_begin(s->worker->shared->limits, &prefix, (unsigned)settings->client_connection_rate_limit,
                        env_mono_us(session_env(s)) / 1000);
}
