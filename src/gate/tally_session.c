/* What a session is counted as. */
#include "base/env.h"
#include "gate/session.h"
#include "gate/tally.h"
#include "gate/worker.h"
#include "tls/context.h"
#include "tls/engine.h"

#include <stdio.h>

static void put(char *to, size_t size, struct str from)
{
    (void)snprintf(to, size, "%.*s", STR_ARG(from));
}

static struct tally_row row_of(struct session *s, enum tally_kind kind)
{
    const struct env *env = session_env(s);
    struct tally_row row = { .kind = kind,
                             .cause = "",
                             .likely = "",
                             .hint = "",
                             .alert = "",
                             .tls_version = "",
                             .sslmode = "",
                             .binding = "" };

    row.first_us = row.last_us = env->now_unix_us(env->ctx);
    if (s->peer.ss.ss_family != AF_UNIX)
        session_host(s, row.address, sizeof row.address);
    put(row.user, sizeof row.user, s->startup.user);
    put(row.sni, sizeof row.sni, s->tls.sni);
    if (s->tls.used)
        row.tls_version = s->tls.version;
    return row;
}

/* What the handshake knows, when it did not come to an end. */
static void add_handshake(struct session *s, struct tally_row *row)
{
    struct tls_handshake_facts facts;

    tls_engine_facts(s->client.tls, &facts);
    if (row->sni[0] == '\0')
        put(row->sni, sizeof row->sni, str_c(facts.sni));
    if (facts.alert_received >= 0)
        row->alert = tls_alert_name(facts.alert_received);
    else if (facts.alert_sent >= 0)
        row->alert = tls_alert_name(facts.alert_sent);
    if (!*row->tls_version && facts.offered_max)
        row->tls_version = tls_version_name((enum tls_version)facts.offered_max);
}

void session_tally_failure(struct session *s, const char *cause, const char *likely, const char *hint)
{
    struct tally_row row = row_of(s, TALLY_FAILURE);

    row.cause = cause;
    row.likely = likely;
    row.hint = hint;
    row.count = 1;
    row.spans.last = tally_span_of(row.last_us);
    row.spans.counts[0] = 1;
    if (s->client.tls)
        add_handshake(s, &row);
    tally_note(worker_tally(s->worker), &row, true);
}

/* One connection shows so much, and no more. */
static const char *sslmode_of(const struct session *s)
{
    if (s->peer.ss.ss_family == AF_UNIX)
        return "";
    if (s->tls.direct)
        return "require or stronger, direct";
    if (s->tls.used)
        return "prefer or stronger";
    return s->hello.ssl_done ? "prefer" : "disable or allow";
}

void session_tally_client(struct session *s, bool admitted)
{
    struct tally_row row = row_of(s, TALLY_CLIENT);

    if (s->startup.user.n == 0)
        return;
    put(row.application, sizeof row.application, s->startup.application_name);
    row.count = admitted;
    row.plaintext = !s->tls.used && s->peer.ss.ss_family != AF_UNIX;
    row.sslmode = sslmode_of(s);
    row.direct = s->tls.direct;
    row.alpn = s->tls.alpn;
    if (s->bound)
        row.binding = "used";
    else if (admitted && s->tls.used && s->rule && s->rule->method == HBA_METHOD_SCRAM)
        row.binding = "none";
    if (s->tls.has_cert)
        put(row.issuer, sizeof row.issuer, s->tls.cert.issuer);
    tally_note(worker_tally(s->worker), &row, true);
}
