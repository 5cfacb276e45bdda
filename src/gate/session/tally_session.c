
#include "gate/session/tally_session.h"

#include "base/clean.h"
#include "base/env.h"
#include "gate/session/meters.h"
#include "gate/session/session.h"
#include "gate/session/visit.h"
#include "gate/stats/client_counts.h"
#include "gate/stats/tally.h"
#include "gate/work/worker.h"
#include "tls/context.h"
#include "tls/diag.h"
#include "tls/engine.h"

#include <stdio.h>

static void tally_session_put(char *to, size_t size, struct str from)
{
    (void)snprintf(to, size, "%.*s", STR_ARG(from));
}

static int64_t now_of(const struct session *s)
{
    const struct env *env = session_env(s);

    return env->now_unix_us(env->ctx);
}

/* Empty on a unix socket. `to` is zero. */
static void put_address(struct session *s, char *to, size_t size)
{
    if (s->peer.ss.ss_family != AF_UNIX)
        session_host(s, to, size);
}

/* Without memory it is not shown. */
static struct str clean(struct session *s, enum clean how, struct str text)
{
    struct str shown;

    return clean_text(how, text, &s->arena, &shown) ? shown : STR("");
}

/* ---- failures ---- */

/* What the handshake knows, when it did not come to an end. */
static void add_handshake(struct session *s, struct tally_row *row)
{
    struct tls_handshake_facts facts;

    tls_engine_facts(s->client.tls, &facts);
    if (row->sni[0] == '\0')
        tally_session_put(row->sni, sizeof row->sni, clean(s, CLEAN_ASCII, str_c(facts.sni)));
    if (facts.alert_received >= 0)
        row->alert = tls_alert_name(facts.alert_received);
    else if (facts.alert_sent >= 0)
        row->alert = tls_alert_name(facts.alert_sent);
    if (!*row->tls_version && facts.offered_max)
        row->tls_version = tls_version_name((enum tls_version)facts.offered_max);
}

void session_tally_failure(struct session *s, enum cause cause)
{
    struct tally_row row = { .key.cause = cause, .alert = "", .tls_version = "", .count = 1 };

    row.first_us = row.last_us = now_of(s);
    row.spans.last = tally_span_of(row.last_us);
    row.spans.counts[0] = 1;
    put_address(s, row.key.address, sizeof row.key.address);
    tally_session_put(row.user, sizeof row.user, s->startup.shown.user);
    tally_session_put(row.sni, sizeof row.sni, s->tls.sni);
    if (s->tls.used)
        row.tls_version = s->tls.version;
    if (s->client.tls)
        add_handshake(s, &row);
    tally_note(s->worker->tally, &row);
    meters_failed(s->worker->counters, cause);
}

/* ---- clients ---- */

static void tally_session_count(struct session *s, struct client_row *row)
{
    row->first_us = row->last_us = now_of(s);
    put_address(s, row->key.address, sizeof row->key.address);
    client_counts_note(s->worker, row);
}

/* What a StartupMessage proves: the client accepts the certificate that it was shown. */
static void add_proof(const struct session *s, struct client_row *row)
{
    switch (s->tls.trial) {
    case TRIAL_NONE:
        row->ca_new_us = snapshot_shows_next_ca(s->snapshot, s->worker->index, s->tls.context) ? row->tls_us
                                                                                               : 0;
        break;
    case TRIAL_NEXT_CA:
        row->ca_new_us = row->tls_us;
        break;
    case TRIAL_STRANGER:
        row->strange_taken_us = row->tls_us;
        break;
    case TRIAL_MISNAMED:
        row->misnamed_taken_us = row->tls_us;
        break;
    case TRIAL_KINDS:
        break;
    }
}

static void add_tls(struct session *s, bool refused, struct client_row *row)
{
    row->seen = CLIENT_TLS | (s->tls.direct ? (unsigned)CLIENT_DIRECT : 0);
    row->tls_us = now_of(s);
    row->tls_refused_us = refused ? row->tls_us : 0;
    row->alpn = s->tls.alpn;
    row->gs2 = s->gs2;
    if (s->startup.replication != REPLICATION_NONE)
        row->seen |= CLIENT_REPLICATES;
    add_proof(s, row);
    CLIENT_PUT(row->tls_version, str_c(s->tls.version));
    CLIENT_PUT(row->sni, s->tls.sni);
    if (!s->tls.has_cert)
        return;
    client_put_name(row->issuer, sizeof row->issuer, clean(s, CLEAN_NAME, s->tls.cert.issuer));
    client_put_name(row->subject, sizeof row->subject, clean(s, CLEAN_NAME, s->tls.cert.slash));
    CLIENT_PUT(row->serial, s->tls.cert.serial);
    row->cert_ends_s = s->tls.cert.not_after_s;
}

static void add_plain(const struct session *s, bool refused, struct client_row *row)
{
    row->plaintext = 1;
    row->seen = s->hello.ssl_done ? CLIENT_PLAIN_AFTER_N : CLIENT_PLAIN;
    if (s->hello.ssl_done) {
        row->tls_us = now_of(s); /* it would have taken it */
        return;
    }
    row->plain_us = now_of(s);
    row->plain_refused_us = refused ? row->plain_us : 0;
}

static void count_named(struct session *s, bool admitted, bool refused)
{
    struct client_row row = { .sessions = admitted };

    if (s->startup.user.n == 0 || session_settings(s)->clients_limit == 0)
        return;
    CLIENT_PUT(row.key.user, s->startup.shown.user);
    CLIENT_PUT(row.key.application, s->startup.shown.application_name);
    if (s->peer.ss.ss_family == AF_UNIX)
        row.seen = CLIENT_LOCAL;
    else if (s->tls.used)
        add_tls(s, refused, &row);
    else
        add_plain(s, refused, &row);
    tally_session_count(s, &row);
}

void session_tally_admitted(struct session *s)
{
    visit_is_client(s);
    meters_startup(s, true);
    meters_authenticated(s, METERS_AUTH_OK);
    count_named(s, true, false);
}

/* libpq tries the other way after every error but this one. [src: PostgreSQL 18, fe-connect.c] */
static bool tries_again(const struct session *s, const struct err *e)
{
    bool told = s->parting == PARTING_FATAL || s->parting == PARTING_YIELDED || s->parting == PARTING_RELAYED;

    return told && e && strcmp(err_sqlstate(e), code_sqlstate(E_UNAVAILABLE)) != 0;
}

void session_tally_ended(struct session *s, const struct err *e)
{
    bool refused = e && strncmp(err_sqlstate(e), "28", 2) == 0;
    enum visit_kind visit = visit_of(s);

    if (visit == VISIT_CHECK)
        return;
    meters_startup(s, false);
    meters_authenticated(s, refused ? METERS_AUTH_REFUSED : METERS_AUTH_UNFINISHED);
    if (visit == VISIT_CLIENT)
        count_named(s, false, tries_again(s, e));
}

void session_tally_stranger(struct session *s, enum client_seen seen)
{
    struct client_row row = { .seen = seen };
    struct tls_handshake_facts facts = { .sni = "" };

    if (session_settings(s)->clients_limit == 0 || s->peer.ss.ss_family == AF_UNIX)
        return;
    if (s->client.tls) {
        tls_engine_facts(s->client.tls, &facts);
        row.tls_failures = 1;
        row.seen |= s->tls.direct ? (unsigned)CLIENT_DIRECT : 0;
        CLIENT_PUT(row.sni, clean(s, CLEAN_ASCII, str_c(facts.sni)));
        CLIENT_PUT(row.tls_version,
                   str_c(s->tls.used         ? s->tls.version
                         : facts.offered_max ? tls_version_name((enum tls_version)facts.offered_max)
                                             : ""));
    }
    /* Who leaves after a good handshake may only have looked. */
    if (s->client.tls && (!s->tls.used || seen))
        row.tls_failed_us = now_of(s);
    tally_session_count(s, &row);
}

void session_tally_refused_trial(struct session *s)
{
    struct client_row row = { .seen = 0 };
    struct tls_handshake_facts facts;

    tls_engine_facts(s->client.tls, &facts);
    CLIENT_PUT(row.sni, clean(s, CLEAN_ASCII, str_c(facts.sni)));
    row.tls_failed_us = now_of(s); /* plaintext may follow; it does not count among the failures */
    if (s->tls.trial == TRIAL_NEXT_CA)
        row.ca_failed_us = row.tls_failed_us;
    else if (s->tls.trial == TRIAL_STRANGER)
        row.strange_refused_us = row.tls_failed_us;
    else
        row.misnamed_refused_us = row.tls_failed_us;
    tally_session_count(s, &row);
}

void session_log_cause(struct session *s, struct log_line *line, enum cause cause)
{
    if (cause == CAUSE_NONE)
        return;
    session_tally_failure(s, cause);
    log_c(line, "cause", cause_id(cause));
    log_c(line, "likely", cause_text(cause));
    log_c(line, "next", cause_next(cause));
}
