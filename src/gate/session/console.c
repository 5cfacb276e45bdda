/*
 * The status database.
 *
 * The engine (status/console.h) speaks the protocol; this room carries bytes to and from it, gathers the rows
 * a statement needs, and has it run on the SQL thread. A statement may outlive its session: then it is
 * cancelled, and what belongs to it is freed when it comes back.
 */

#include "gate/session/console.h"

#include "base/check.h"
#include "base/env.h"
#include "gate/session/admission.h"
#include "gate/session/console_actions.h"
#include "gate/session/registry.h"
#include "gate/session/tally_session.h"
#include "gate/stats/tally.h"
#include "gate/work/clerk_link.h"
#include "gate/work/sql_thread.h"
#include "gate/work/worker.h"
#include "pgwire/backend.h"
#include "pki/name.h"
#include "policy/method.h"
#include "status/console_job.h"
#include "tls/engine_facts.h"

#include <stdlib.h>

enum { KEY_N_3_0 = 4, KEY_N_3_2 = 32 };

enum doing { DOING_NOTHING, DOING_GATHER, DOING_RUN };

struct console_room {
    struct session *s; /* NULL: has gone while a statement ran */
    struct worker *worker;
    struct console *console;
    struct console_job *job; /* while it runs */
    struct gather *gather;   /* while sessions are copied */
    enum console_step step;  /* what the engine said last */
    enum doing doing;
    bool returned; /* the job has run */
};

static void room_free(struct console_room *r)
{
    console_free(r->console);
    free(r);
}

/* ---- statements ---- */

/* On the worker: a statement has run, or nobody wants to know any more. */
static void job_returned(void *arg)
{
    struct console_room *r = arg;

    r->doing = DOING_NOTHING;
    r->job = NULL;
    if (!r->s) {
        room_free(r);
        return;
    }
    r->returned = true;
    session_resume(r->s);
}

/* On the SQL thread. */
static void run_job(void *arg)
{
    struct console_room *r = arg;

    console_job_run(r->job);
    loop_post_owed(r->worker->loop, job_returned, r);
}

static enum step job_failed(struct session *s, struct err *e)
{
    err_set(e, E_NOMEM, "out of memory");
    return session_fail(s, PARTING_FATAL);
}

/* `gather` is taken; NULL where the statement needs no sessions. */
static bool hand_to_sql(struct console_room *r, struct gather *gather)
{
    const struct view_services *views = r->worker->shared->views;
    struct row_source source;

    if (console_job_views(r->job) != 0) {
        if (!views->rows(r->worker, gather, &source)) {
            views->free(gather);
            return false;
        }
        console_job_rows(r->job, source);
    }
    r->doing = DOING_RUN;
    if (sql_thread_post(r->worker->shared->sql, run_job, r))
        return true;
    r->doing = DOING_NOTHING;
    return false;
}

static void on_gathered(void *arg)
{
    struct console_room *r = arg;
    struct gather *gather = r->gather;
    struct err e;

    r->gather = NULL;
    r->doing = DOING_NOTHING;
    if (hand_to_sql(r, gather))
        return;
    (void)job_failed(r->s, &e);
    session_end(r->s, PARTING_FATAL, &e);
}

static bool start_job(struct console_room *r)
{
    r->job = console_job(r->console);
    if (!r->worker->shared->views->gather(r->worker, console_job_views(r->job), on_gathered, r, &r->gather))
        return false;
    if (!r->gather)
        return hand_to_sql(r, NULL);
    r->doing = DOING_GATHER;
    return true;
}

/* ---- the walk ---- */

static bool idle(const struct console_room *r)
{
    return r->doing == DOING_NOTHING && r->step == CONSOLE_MORE && r->s->in.n == 0 &&
           console_transaction_state(r->console) == 'I';
}

static enum step shut_down(struct session *s, struct err *e)
{
    err_set(e, E_SHUTDOWN, "terminating connection due to administrator command");
    return session_fail(s, PARTING_FATAL);
}

/* The engine waits for the client. Returns STEP_DONE when it has been fed. */
static enum step feed(struct console_room *r, struct err *e)
{
    struct session *s = r->s;

    if (s->in.n == 0) {
        if (s->flags & SESSION_DUE && idle(r))
            return shut_down(s, e);
        return s->flags & SESSION_DEAF ? session_fail(s, PARTING_SILENT) : STEP_MORE;
    }
    s->active_ms = loop_now_ms(s->worker->loop);
    r->step = console_feed(r->console, buf_bytes(&s->in), &s->out);
    buf_fini(&s->in);
    return STEP_DONE;
}

/* One turn of the engine. STEP_DONE: there may be another one. */
static enum step turn(struct console_room *r, struct err *e)
{
    struct session *s = r->s;

    switch (r->step) {
    case CONSOLE_MORE:
    case CONSOLE_WAIT:
        return feed(r, e);
    case CONSOLE_DRAIN:
        r->step = console_next(r->console, &s->out);
        return STEP_DONE;
    case CONSOLE_JOB:
        if (!r->returned)
            return start_job(r) ? STEP_JOB : job_failed(s, e);
        r->returned = false;
        r->step = console_next(r->console, &s->out);
        return STEP_DONE;
    case CONSOLE_DONE:
        return session_fail(s, PARTING_SILENT);
    }
    UNREACHABLE();
}

enum step console_step(struct session *s, struct err *e)
{
    struct console_room *r = s->console;
    enum step step = STEP_DONE;

    while (step == STEP_DONE) {
        if (r->doing != DOING_NOTHING)
            return STEP_JOB;
        if (!session_send(s) || stream_blocked(&s->client))
            return STEP_JOB; /* on_client() goes on when the client has taken it */
        step = turn(r, e);
    }
    return step;
}

/* ---- coming ---- */

static struct str cut(struct str name)
{
    return str_first(name, PG_NAME_MAX);
}

/* One row for each name of each attribute. */
static const struct dn_field *dn_fields(struct arena *arena, const struct name_attribute *from, size_t n,
                                        size_t *out_n)
{
    struct dn_field *fields = arena_array(arena, 3 * n, sizeof *fields);

    for (size_t i = 0; fields && i < n; i++) {
        fields[3 * i] = (struct dn_field){ from[i].short_name, from[i].value };
        fields[3 * i + 1] = (struct dn_field){ from[i].long_name, from[i].value };
        fields[3 * i + 2] = (struct dn_field){ from[i].dotted, from[i].value };
    }
    *out_n = 3 * n;
    return fields;
}

static bool extension_params(struct session *s, X509 *cert, struct console_tls *out)
{
    struct peer_extension *from;
    struct err ignored;

    if (peer_cert_extensions(cert, &s->scratch, &from, &out->extension_count, &ignored) != OK)
        return false;
    struct ssl_extension *extensions = arena_array(&s->scratch, out->extension_count, sizeof *extensions);
    for (size_t i = 0; extensions && i < out->extension_count; i++)
        extensions[i] = (struct ssl_extension){ from[i].name, from[i].value, from[i].critical };
    out->extensions = extensions;
    return extensions != NULL;
}

static bool cert_params(struct session *s, struct console_tls *out)
{
    AUTO(cert) X509 *cert = tls_engine_peer(s->client.tls);
    struct peer_names names;
    struct err ignored;

    if (!cert || !extension_params(s, cert, out) ||
        peer_cert_names(cert, &s->scratch, &names, &ignored) != OK)
        return false;
    out->subject_fields = dn_fields(&s->scratch, names.subject, names.n_subject, &out->subject_field_count);
    out->issuer_fields = dn_fields(&s->scratch, names.issuer, names.n_issuer, &out->issuer_field_count);
    out->field_known = name_field_known;
    return out->subject_fields && out->issuer_fields;
}

static bool tls_params(struct session *s, struct console_tls *out)
{
    const struct tls_facts *t = &s->tls;

    *out = (struct console_tls){ .used = t->used };
    if (!t->used)
        return true;
    out->version = str_c(t->version);
    out->cipher = str_c(t->cipher);
    out->cert_present = t->has_cert;
    if (!t->has_cert)
        return true;
    out->client_dn = cut(t->cert.slash);
    out->issuer_dn = cut(t->cert.issuer);
    out->client_serial = t->cert.serial;
    return cert_params(s, out);
}

/* "method:identity"; empty: the method proves nothing [src: PostgreSQL 18, system_user]. */
static bool system_user(struct session *s, struct str *out)
{
    *out = STR("");
    if (!s->identity.p)
        return true;
    return arena_printf(&s->scratch, out, "%s:%.*s",
                        hba_method_name(s->rule ? s->rule->method : HBA_METHOD_PEER), STR_ARG(s->identity));
}

static bool addresses(struct session *s, struct console_params *params)
{
    struct address own = { .n = sizeof own.ss };
    char host[64];

    if (s->peer.ss.ss_family == AF_UNIX)
        return true;
    address_host(&s->peer, host, sizeof host);
    params->client_port = (int)address_port(&s->peer);
    if (!arena_str(&s->scratch, str_c(host), &params->client_addr))
        return false;
    if (getsockname(s->client.fd, (struct sockaddr *)&own.ss, &own.n) != 0)
        return true;
    address_host(&own, host, sizeof host);
    params->server_port = (int)address_port(&own);
    return arena_str(&s->scratch, str_c(host), &params->server_addr);
}

static bool options(struct session *s, struct console_params *params)
{
    const struct startup *st = &s->startup;
    struct console_option *list = arena_array(&s->scratch, st->parameter_count, sizeof *list);

    if (!list)
        return false;
    for (size_t i = 0; i < st->parameter_count; i++)
        list[i] = (struct console_option){ st->parameters[i].name, st->parameters[i].value };
    params->options = list;
    params->option_count = st->parameter_count;
    return true;
}

static struct console *make(struct session *s)
{
    const struct settings *settings = session_settings(s);
    struct console_params params = {
        .env = &s->worker->env,
        .user = s->startup.user,
        .database = s->startup.database,
        .pid = s->pid,
        .is_admin = s->origin == ORIGIN_OWNER || settings_listed(&settings->admin_users, s->startup.user),
        .can_see_all = settings_listed(&settings->stats_users, s->startup.user),
        .started_us = s->worker->shared->started_us,
        .loaded_us = snapshot_loaded_us(s->snapshot),
        .scram_iterations = settings->scram_iterations,
        .actions = console_actions_of(s->worker),
    };

    if (!tls_params(s, &params.tls) || !system_user(s, &params.system_user) || !addresses(s, &params) ||
        !options(s, &params))
        return NULL;
    const struct clerk_line line = clerk_link_line(s->worker->shared->clerk);
    return console_new(&params, &line);
}

static void log_authorized(struct session *s)
{
    struct log_line line;

    if (!(session_settings(s)->log_connections & 1u << CONF_LOG_AUTHORIZATION))
        return;
    session_log(s, &line, SEV_LOG, "connection_authorized");
    if (s->startup.application_name.n > 0)
        log_str(&line, "application_name", s->startup.application_name);
    if (s->tls.used) {
        log_c(&line, "protocol", s->tls.version);
        log_c(&line, "cipher", s->tls.cipher);
        log_int(&line, "bits", s->tls.bits);
    }
    log_int(&line, "pid", s->pid);
    log_end(&line);
}

static enum code console_begin(struct session *s)
{
    struct gate_shared *shared = s->worker->shared;
    struct console_room *r = calloc(1, sizeof *r);

    if (!r)
        return E_NOMEM;
    s->console = r;
    r->s = s;
    r->worker = s->worker;
    s->pid = CONSOLE_PID_FIRST + (atomic_fetch_add_explicit(&shared->console_pid, 1, memory_order_relaxed) &
                                  (CONSOLE_PID_FIRST - 1));
    r->console = make(s);
    if (!r->console)
        return E_NOMEM;
    return registry_add(s->worker, s, s->startup.requested < PROTOCOL_3_2 ? KEY_N_3_0 : KEY_N_3_2);
}

enum step console_enter(struct session *s, struct err *e)
{
    if (console_begin(s) != OK) {
        err_set(e, E_NOMEM, "out of memory");
        return session_fail(s, PARTING_FATAL);
    }
    session_phase_none(s);
    log_authorized(s);
    buf_append_buf(&s->out, &s->admission->final);
    backend_auth(&s->out, AUTH_OK, bytes_of(NULL, 0));
    console_greet(s->console->console, &s->out);
    backend_key_data(&s->out, (uint32_t)s->pid, bytes_of(s->key, s->key_n));
    backend_ready(&s->out, 'I');
    session_login_over(s);
    arena_fini(&s->scratch);
    stream_relax(&s->client);
    session_ready(s);
    session_tally_admitted(s);
    return console_step(s, e);
}

/* ---- going ---- */

void console_drain(struct session *s, bool now)
{
    struct err e;

    if (!now && !(s->flags & SESSION_DUE && console_room_idle(s)))
        return;
    (void)shut_down(s, &e);
    session_end(s, PARTING_FATAL, &e);
}

void console_leave(struct session *s)
{
    struct console_room *r = s->console;

    s->console = NULL;
    if (!r)
        return;
    r->s = NULL;
    r->worker->shared->views->forget(r->gather);
    if (r->doing == DOING_RUN)
        console_cancel(r->console);
    else
        room_free(r);
}

/* ---- what others ask ---- */

bool console_room_idle(const struct session *s)
{
    return s->console && idle(s->console);
}

char console_room_state(const struct session *s, bool *out_busy)
{
    *out_busy = s->console->doing != DOING_NOTHING;
    return console_transaction_state(s->console->console);
}

struct str console_room_query(const struct session *s)
{
    return console_last_query(s->console->console);
}

struct console_times console_room_times(const struct session *s)
{
    return console_times_of(s->console->console);
}

void console_room_cancel(struct session *s)
{
    if (s->console && s->console->doing == DOING_RUN)
        console_cancel(s->console->console);
}
