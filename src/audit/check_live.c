#include "audit/check_live.h"

#include "audit/check_certs.h"
#include "audit/remedy.h"
#include "audit/subject_live.h"
#include "base/check.h"
#include "pki/cert.h"

/* ---- what is in force ---- */

static void check_in_force(struct audit *a)
{
    const struct subject_live *live = a->subject->live;

    for (size_t i = 0; i < live->n_stale; i++)
        audit_add(a, live->stale[i].rules ? CHECK_RULES_NOT_LOADED : CHECK_SETTINGS_NOT_IN_FORCE,
                  live->stale[i].path, "it was written after the server's last load, pg_conf_load_time()");
    for (size_t i = 0; i < live->n_pending; i++)
        audit_add(a, CHECK_SETTINGS_NOT_IN_FORCE, live->pending[i],
                  "the file has another value, which takes effect after a restart");
}

/* ---- who is there ---- */

static bool is_same_client(const struct live_session *x, const struct live_session *y)
{
    return str_equal(x->user, y->user) && str_equal(x->address, y->address) && x->standby == y->standby;
}

/* One finding per user and address, however many sessions they have: these follow each other. */
static void check_sessions(struct audit *a)
{
    const struct live_session *told = NULL;

    for (size_t i = 0; i < a->subject->live->n_sessions; i++) {
        const struct live_session *s = &a->subject->live->sessions[i];
        if (s->sealed || (told && is_same_client(told, s)))
            continue;
        told = s;
        audit_add(a, CHECK_SESSION_PLAINTEXT,
                  audit_text(a, "pg_stat_ssl, %s of \"%.*s\" at %.*s", s->standby ? "standby" : "session",
                             STR_ARG(s->user), STR_ARG(s->address)),
                  "\"%.*s\" is connected from %.*s without TLS now, application_name \"%.*s\"%s",
                  STR_ARG(s->user), STR_ARG(s->address), STR_ARG(s->application),
                  s->standby ? ": everything crosses the network in cleartext" : "");
    }
}

/* ---- services ---- */

static void check_service(struct audit *a)
{
    const struct subject_live *live = a->subject->live;

    if (live->requires_tls == LIVE_NO)
        audit_add(a, CHECK_SERVICE_TAKES_PLAINTEXT, live->requires_by,
                  "%.*s accepts connections without TLS: %.*s is off", STR_ARG(live->provider_name),
                  STR_ARG(live->requires_by));
}

/* ---- user mappings ---- */

/* [src: PostgreSQL 18, "postgres_fdw", password_required] */
static void check_mappings(struct audit *a)
{
    for (size_t i = 0; i < a->subject->live->n_mappings; i++) {
        const struct live_mapping *m = &a->subject->live->mappings[i];
        struct str user = STR("PUBLIC"), server = STR("");
        if (!m->without_password)
            continue;
        struct finding *f = audit_add(a, CHECK_MAPPING_WITHOUT_PASSWORD,
                                      audit_text(a, "user mapping of \"%.*s\" for foreign server \"%.*s\"",
                                                 STR_ARG(m->user), STR_ARG(m->server)),
                                      "password_required is off");
        bool quoted = (str_is(m->user, "public") || remedy_name(m->user, a->arena, &user)) &&
                      remedy_name(m->server, a->arena, &server);
        if (f && quoted)
            f->fix = audit_text(
                a, "ALTER USER MAPPING FOR %.*s SERVER %.*s OPTIONS (SET password_required 'true');",
                STR_ARG(user), STR_ARG(server));
    }
}

/* ---- the port ---- */

static void check_port(struct audit *a)
{
    const struct live_port *port = &a->subject->live->port;

    if (!port->answered)
        return;
    if (port->plaintext == LIVE_YES && !port->from_here && !a->subject->policy)
        audit_add(a, CHECK_PORT_TAKES_PLAINTEXT, port->endpoint,
                  "a client without TLS is asked for its password, or admitted");
    if (port->tls == LIVE_NO && a->subject->settings_seen && subject_raw(a->subject, "ssl") &&
        str_is(subject_raw(a->subject, "ssl")->value, "on"))
        audit_add(a, CHECK_SETTINGS_NOT_IN_FORCE, port->endpoint,
                  "ssl is on, but the port offers no TLS: another server or a proxy answers there");
    if (port->missing.n > 0)
        audit_add(a, CHECK_CERTIFICATE_CHAIN, port->endpoint,
                  "\"%.*s\" is not sent: clients that know only the root refuse the server",
                  STR_ARG(port->missing));
    for (size_t i = 0; i < port->n_chain; i++)
        check_certificate_seen(a, &port->chain[i], port->endpoint, i == 0);
}

void check_live(struct audit *a)
{
    if (!a->subject->live)
        return;
    check_in_force(a);
    check_sessions(a);
    check_service(a);
    check_mappings(a);
    check_port(a);
}
