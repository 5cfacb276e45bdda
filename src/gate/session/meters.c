/* Which event is counted under which labels. */
#include "gate/session/meters.h"

#include "base/count.h"
#include "base/env.h"
#include "gate/load/snapshot.h"
#include "gate/session/session.h"
#include "gate/work/worker.h"
#include "policy/method.h"
#include "tls/context.h"
#include "tls/diag.h"
#include "tls/engine_facts.h"

#include <ctype.h>
#include <stdatomic.h>

static struct counters *counters_of(const struct session *s)
{
    return s->worker->counters;
}

static struct str transport_of(const struct session *s)
{
    return s->peer.ss.ss_family == AF_UNIX ? STR("unix") : STR("tcp");
}

static struct str version_of(const struct session *s)
{
    return s->tls.used ? str_c(s->tls.version) : STR("none");
}

void meters_accepted(struct session *s)
{
    const struct str labels[] = { transport_of(s) };

    s->began_mono_us = env_mono_us(session_env(s));
    count_add(count_cell(counters_of(s), METRIC_CONNECTIONS, labels), 1);
    meters_moved(s);
}

void meters_moved(struct session *s)
{
    const char *name = state_name(s->state);
    char step[16] = "";

    for (size_t i = 0; name[i] && i + 1 < sizeof step; i++)
        step[i] = (char)tolower((unsigned char)name[i]);
    const struct str labels[] = { str_c(step), version_of(s) };

    count_add(s->metered, -1);
    s->metered = count_cell(counters_of(s), METRIC_SESSIONS, labels);
    count_add(s->metered, 1);
}

void meters_freed(struct session *s)
{
    meters_bytes(s);
    count_add(s->metered, -1);
    s->metered = NULL;
}

void meters_bytes(struct session *s)
{
    count_add(s->worker->received, (int64_t)(s->client.received - s->metered_in));
    count_add(s->worker->sent, (int64_t)(s->client.sent - s->metered_out));
    s->metered_in = s->client.received;
    s->metered_out = s->client.sent;
}

/* ---- handshakes ---- */

void meters_handshake_begins(struct session *s)
{
    s->handshake_us = -env_mono_us(session_env(s));
}

void meters_handshake_ended(struct session *s, bool done)
{
    struct tls_handshake_facts facts;
    struct str labels[] = { version_of(s), STR(""), STR(""), STR("ok") };

    s->handshake_us += env_mono_us(session_env(s));
    if (done) {
        labels[1] = str_c(s->tls.cipher);
        labels[2] = str_c(s->tls.group);
        count_time(count_cell(counters_of(s), METRIC_HANDSHAKE_SECONDS, labels), s->handshake_us);
    } else {
        tls_engine_facts(s->client.tls, &facts);
        labels[0] = str_c(facts.offered_max ? tls_version_name((enum tls_version)facts.offered_max) : "");
        labels[3] = STR("failed");
    }
    count_add(count_cell(counters_of(s), METRIC_HANDSHAKES, labels), 1);
}

void meters_connected(struct session *s)
{
    const struct str labels[] = { version_of(s) };

    count_time(count_cell(counters_of(s), METRIC_CONNECT_SECONDS, labels),
               env_mono_us(session_env(s)) - s->began_mono_us);
}

/* ---- ends ---- */

void meters_failed(struct counters *counters, enum cause cause)
{
    const struct str labels[] = { str_c(cause_id(cause)) };

    count_add(count_cell(counters, METRIC_FAILURES, labels), 1);
}

void meters_startup(struct session *s, bool admitted)
{
    if (s->startup.user.n == 0)
        return;
    const struct str labels[] = { transport_of(s), version_of(s),
                                  admitted ? STR("admitted") : STR("refused") };

    count_add(count_cell(counters_of(s), METRIC_STARTUPS, labels), 1);
}

void meters_authenticated(struct session *s, enum meters_auth result)
{
    static const char *const words[] = {
        [METERS_AUTH_OK] = "ok", [METERS_AUTH_REFUSED] = "refused", [METERS_AUTH_UNFINISHED] = "unfinished"
    };

    if (!s->rule)
        return;
    const struct str labels[] = { str_c(hba_method_name(s->rule->method)), str_c(words[result]) };
    count_add(count_cell(counters_of(s), METRIC_AUTHENTICATIONS, labels), 1);
}

static struct count_cell *server_ended(struct session *s, bool told)
{
    const struct str labels[] = { session_route(s)->label, told ? STR("told") : STR("lost") };

    return count_cell(counters_of(s), METRIC_UPSTREAM_ENDED, labels);
}

void meters_upstream(struct session *s, bool reached)
{
    const struct env *env = session_env(s);
    const struct settings_route *route = session_route(s);
    const struct str labels[] = { route->label, reached ? STR("ok") : STR("failed") };
    enum metric when = reached ? METRIC_UPSTREAM_OK_TIME : METRIC_UPSTREAM_FAILED_TIME;

    count_add(count_cell(counters_of(s), METRIC_UPSTREAM_CONNECTS, labels), 1);
    count_set(count_cell(counters_of(s), when, labels), env->now_unix_us(env->ctx));
    (void)count_cell(counters_of(s), METRIC_LOGIN_WAIT_SECONDS, labels); /* told as 0 */
    (void)count_cell(counters_of(s), METRIC_UPSTREAM_FULL, labels);
    (void)count_cell(counters_of(s), METRIC_UPSTREAM_LOST, labels);
    (void)server_ended(s, true);
    (void)server_ended(s, false);
}

void meters_login_waited(struct session *s, int64_t waited_us)
{
    const struct settings_route *route = session_route(s);
    const struct str labels[] = { route->label };

    count_time(count_cell(counters_of(s), METRIC_LOGIN_WAIT_SECONDS, labels), waited_us);
}

void meters_login_full(struct session *s)
{
    const struct settings_route *route = session_route(s);
    const struct str labels[] = { route->label };

    count_add(count_cell(counters_of(s), METRIC_UPSTREAM_FULL, labels), 1);
}

void meters_lost(struct session *s)
{
    const struct str labels[] = { s->upstream->route->label };

    count_add(count_cell(counters_of(s), METRIC_UPSTREAM_LOST, labels), 1);
}

void meters_server_ended(struct session *s, bool told)
{
    count_add(server_ended(s, told), 1);
}

void meters_trial(struct counters *counters, const char *kind, const char *result)
{
    const struct str labels[] = { str_c(kind), str_c(result) };

    count_add(count_cell(counters, METRIC_TRIALS, labels), 1);
}

void meters_cancel(struct counters *counters, const char *result)
{
    const struct str labels[] = { str_c(result) };

    count_add(count_cell(counters, METRIC_CANCELS, labels), 1);
}

/* ---- a drain ---- */

void meters_drains(struct session *s)
{
    if (s->worker->draining && s->ready_us && !(s->flags & SESSION_DRAINING))
        atomic_fetch_add_explicit(&s->worker->shared->drain_left, 1, memory_order_relaxed);
}

void meters_drained(struct session *s, bool told)
{
    struct gate_shared *shared = s->worker->shared;
    enum drained how = !told ? DRAINED_CLIENT : s->flags & SESSION_DUE ? DRAINED_IDLE : DRAINED_CUT;

    if (!s->worker->draining || !s->ready_us || !(s->flags & SESSION_DRAINING))
        return;
    atomic_fetch_sub_explicit(&shared->drain_left, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&shared->drained[how], 1, memory_order_relaxed);
}

void meters_gone_over(struct session *s)
{
    if (s->worker->draining && s->ready_us && s->flags & SESSION_DRAINING)
        atomic_fetch_sub_explicit(&s->worker->shared->drain_left, 1, memory_order_relaxed);
}
