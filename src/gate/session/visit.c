#include "gate/session/visit.h"

#include "base/count.h"
#include "base/env.h"
#include "gate/stats/visits.h"
#include "gate/work/worker.h"

enum {
    CHECK_US = 1000000, /* a check takes no longer [choice: haproxy's and keepalived's take milliseconds] */
    REQUEST_SIZE = 8    /* an SSLRequest or GSSENCRequest */
};

/* As HAProxy's `option pgsql-check` does; drivers name a database, and most of them more. */
bool visit_names_only_user(const struct session *s)
{
    return s->startup.parameter_count == 0 && s->startup.pq_option_count == 0 &&
           s->startup.replication == REPLICATION_NONE && str_equal(s->startup.database, s->startup.user);
}

/* Connected, perhaps asked for TLS, and left without a word. */
static bool said_nothing(const struct session *s)
{
    uint64_t said = s->client.received - s->proxy_n;
    bool asked = s->client.tls != NULL; /* and heard S: who leaves at N insists on TLS, and is a client */

    return (s->flags & SESSION_DEAF || s->client.eof || s->client.broken) && s->in.n == 0 && !s->tls.direct &&
           (said == 0 || (asked && (said == REQUEST_SIZE || said == 2 * REQUEST_SIZE)));
}

/* Named a user, and left when it had heard the answer: who sends a password as well, even a wrong one, is no check. */
static bool said_who(const struct session *s)
{
    return s->said_n > 0 && s->client.received == s->said_n && visit_names_only_user(s);
}

static bool is_like_a_check(const struct session *s)
{
    if (s->ready_us || s->peer.ss.ss_family == AF_UNIX || s->origin == ORIGIN_BALANCER || s->tls.used ||
        env_mono_us(session_env(s)) - s->began_mono_us > CHECK_US)
        return false;
    return s->startup.user.n > 0 ? said_who(s) : said_nothing(s);
}

static void log_recognised(struct session *s)
{
    struct log_line line;

    session_log(s, &line, SEV_LOG, "health_check");
    log_c(
        &line, "message",
        "connections like this one are taken for health checks: they are logged at DEBUG1 from now on, and are not "
        "in pgseal_clients");
    log_c(&line, "hint", "A check of /readyz (http_listen) also tells whether the gate drains.");
    log_end(&line);
}

static enum visit_kind judge(struct session *s)
{
    char address[64];

    if (!is_like_a_check(s))
        return VISIT_CLIENT;
    if (s->flags & SESSION_SPOKE_LOCAL)
        return VISIT_CHECK;
    session_host(s, address, sizeof address);
    unsigned n = visits_note(s->worker->shared->visits, address, s->startup.user);
    if (n == VISITS_OF_A_CHECK)
        log_recognised(s);
    return n >= VISITS_OF_A_CHECK ? VISIT_CHECK : VISIT_LIKE_A_CHECK;
}

enum visit_kind visit_of(struct session *s)
{
    struct log_line line;

    if (s->flags & SESSION_JUDGED)
        return s->visit;
    s->flags |= SESSION_JUDGED;
    s->visit = (uint8_t)judge(s);
    if (s->visit == VISIT_CHECK) {
        count_add(count_cell(s->worker->counters, METRIC_HEALTH_CHECKS, NULL), 1);
        session_log(s, &line, SEV_DEBUG, "health_check");
        log_end(&line);
    } else if (!s->ready_us) {
        visit_is_client(s);
    }
    return s->visit;
}

void visit_log_received(struct session *s)
{
    char address[64];

    if (s->peer.ss.ss_family != AF_UNIX) {
        session_host(s, address, sizeof address);
        if (s->flags & SESSION_SPOKE_LOCAL || visits_known(s->worker->shared->visits, address)) {
            s->flags |= SESSION_UNSAID;
            return;
        }
    }
    session_log_received(s);
}

void visit_is_client(struct session *s)
{
    char address[64];

    if (s->flags & SESSION_UNSAID) {
        s->flags &= ~(unsigned)SESSION_UNSAID;
        session_log_received(s);
    }
    if (s->peer.ss.ss_family == AF_UNIX || (!s->ready_us && s->startup.application_name.n == 0))
        return;
    session_host(s, address, sizeof address);
    visits_forget(s->worker->shared->visits, address, s->startup.user);
}
