/*
 * The verdict of one sslmode: libpq's sequence of attempts, played to its end or to a request for a password
 * that we are not to send.
 */
#include "probe/mode.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "client/login_session.h"
#include "client/negotiate.h"
#include "client/passfile.h"
#include "client/socket.h"
#include "client/tlsfiles.h"
#include "client/verify.h"
#include "pgwire/frontend.h"
#include "pgwire/hello.h"
#include "probe/probe_run.h"
#include "tls/client_context.h"

enum { ERROR_TEXT_MAX = 1 << 16 };

struct play {
    struct probe_run *run;
    const struct conninfo *info;
    struct attempts attempts;
    struct mode_verdict *verdict;
    struct buf error;         /* one line after another, as psql shows them */
    enum attempt_event event; /* of the attempt that failed last */
    enum proof proof;
    bool encrypted;
};

/* options with one sslmode, as a connection would have them. E_PARAM with libpq's text. */
static enum code probe_mode_conninfo(const struct probe_run *run, enum sslmode mode, struct conninfo *out,
                                     struct err *e)
{
    struct conn_options options = run->options;

    options.v[CONN_SSLMODE] = str_c(sslmode_name(mode));
    return conninfo_build(&options, run->params->world, CONN_LIBPQ, run->arena, out, e);
}

struct str probe_mode_server_text(struct probe_run *run, const struct server_error *error,
                                  const struct err *e)
{
    AUTO(buf) struct buf text = BUF_INIT(ERROR_TEXT_MAX);
    struct str out = STR("");

    if (error->severity.n > 0)
        (void)buf_printf(&text, "%.*s:  ", STR_ARG(error->severity));
    (void)buf_printf(&text, "%.*s", STR_ARG(error->message));
    if (error->detail.n > 0)
        (void)buf_printf(&text, "\nDETAIL:  %.*s", STR_ARG(error->detail));
    if (error->hint.n > 0)
        (void)buf_printf(&text, "\nHINT:  %.*s", STR_ARG(error->hint));
    if (text.n == 0 && e)
        (void)buf_append_c(&text, err_text(e));
    (void)arena_str(run->arena, buf_str(&text), &out);
    return out;
}

static void mode_complain(struct play *p, struct str text)
{
    if (p->error.n > 0)
        (void)buf_append_byte(&p->error, '\n');
    attempts_prefix(&p->attempts, &p->error);
    (void)buf_append_str(&p->error, text);
}

/* ---- TLS as this sslmode wants it ---- */

static enum code make_context(struct play *p, struct tls_context **out, struct err *e)
{
    static const enum tls_version bounds[] = { [TLS_BOUND_NONE] = TLS_ANY,
                                               [TLS_BOUND_1_0] = TLS_1_0,
                                               [TLS_BOUND_1_1] = TLS_1_1,
                                               [TLS_BOUND_1_2] = TLS_1_2,
                                               [TLS_BOUND_1_3] = TLS_1_3 };
    struct tls_files files;

    TRY(tls_files_find(p->info, p->run->params->world, p->run->arena, &files, e));
    const struct tls_client_params params = {
        .root_file = files.root == TLS_ROOT_SYSTEM ? "system" : files.root_file.p,
        .crl_file = files.crl_file.p,
        .crl_dir = files.crl_dir.p,
        .cert_file = files.cert.p,
        .key_file = files.key.p,
        .key_password = files.key_password.n > 0 ? files.key_password.p : NULL,
        .no_prompt = true,
        .keylog_file = p->info->options.v[CONN_SSLKEYLOGFILE].n > 0 ? p->info->options.v[CONN_SSLKEYLOGFILE].p
                                                                    : NULL,
        .min_version = bounds[p->info->tls_min],
        .max_version = bounds[p->info->tls_max],
    };
    p->proof = files.root == TLS_ROOT_NONE ? PROOF_NO : (files.verify_name ? PROOF_FULL : PROOF_CA);
    return tls_client_context_new(p->run->kit->library, &params, out, e);
}

static enum code check_peer(struct play *p, enum conn_method method, struct err *e)
{
    struct dial *dial = p->run->dial;
    struct cert_names names;
    AUTO(cert) X509 *cert = tls_engine_peer(dial->tls);

    TRY(negotiate_alpn(method, tls_engine_alpn(dial->tls) ? STR("postgresql") : STR(""), e));
    if (p->proof != PROOF_FULL)
        return OK;
    if (!cert)
        return err_set(e, E_TLS, "certificate could not be obtained: no SSL error reported");
    TRY(cert_names_of(cert, p->run->arena, &names, e));
    return verify_host(&names, p->info->hosts[p->attempts.step.host].host, e);
}

static enum code seal(struct play *p, enum conn_method method, struct err *e)
{
    struct probe_run *run = p->run;
    struct tls_context *context = NULL;
    char name[256] = "";

    p->event = EVENT_TLS_FAILED;
    TRY(make_context(p, &context, e));
    (void)str_to_c(negotiate_sni(p->info, &p->info->hosts[p->attempts.step.host]), name, sizeof name);
    enum code code = dial_handshake(run->dial, context, name, true, e);
    tls_context_free(context); /* the session holds what it needs */
    if (code == OK)
        code = check_peer(p, method, e);
    if (run->dial->timed_out)
        p->event = EVENT_TIMEOUT;
    p->encrypted = code == OK;
    return code;
}

/* SSLRequest and its answer. */
static enum code ask_for_tls(struct play *p, struct err *e)
{
    AUTO(buf) struct buf out = BUF_INIT(64), in = BUF_INIT(PROBE_INPUT_MAX);

    negotiate_hello(METHOD_TLS, &out);
    p->event = EVENT_CLOSED;
    enum code code = dial_send(p->run->dial, buf_bytes(&out), e);
    if (code == OK)
        code = dial_receive(p->run->dial, &in, e);
    if (p->run->dial->timed_out)
        p->event = EVENT_TIMEOUT;
    if (code != OK)
        return code;
    return negotiate_reply(buf_bytes(&in), &p->event, e) == NEGOTIATE_TLS ? OK : E_PROTOCOL;
}

/* ---- logging in ---- */

static struct bytes password_for(struct probe_run *run, const struct conninfo *info, struct password *room)
{
    const struct conn_host *host = &info->hosts[0];
    const struct passfile_key key = { passfile_host(host), host->port_text, info->dbname, info->user };
    struct str file = info->options.v[CONN_PASSFILE];
    struct err ignored;
    bool found = false;

    if (!run->params->send_password)
        return bytes_of(NULL, 0);
    if (info->password.n > 0)
        return info->password;
    if (file.n == 0 && run->params->world->home.n > 0 &&
        !arena_printf(run->arena, &file, "%.*s/.pgpass", STR_ARG(run->params->world->home)))
        return bytes_of(NULL, 0);
    if (passfile_lookup(run->params->world, file, &key, room, &found, &ignored) != OK || !found)
        return bytes_of(NULL, 0);
    return password_bytes(room);
}

/* scram_client_key and scram_server_key: both, or none. */
static bool keys_for(const struct conninfo *info, struct scram_keys *out)
{
    if (!info->scram_client_key || !info->scram_server_key)
        return false;
    *out = (struct scram_keys){ .iterations = 0 };
    memcpy(out->client_key, info->scram_client_key->p, sizeof out->client_key);
    memcpy(out->server_key, info->scram_server_key->p, sizeof out->server_key);
    return true;
}

static enum code send_login(void *to, struct bytes data, struct err *e)
{
    return dial_send(to, data, e);
}

static struct login_drive *make_login(struct probe_run *run, const struct conninfo *info)
{
    AUTO(password) struct password room = { 0 };
    AUTO(scram_keys) struct scram_keys keys = { .iterations = 0 };
    struct parameter parameters[LOGIN_PARAMETERS_MAX];
    const struct login_params params = {
        .parameters = parameters,
        .parameter_count = login_parameters(info, run->params->world, parameters),
        .user = info->user,
        .creds = { .password = password_for(run, info, &room), .keys = keys_for(info, &keys) ? &keys : NULL },
        .auth_allowed = info->auth_allowed,
        .env = run->params->env,
    };
    const struct login_line line = { .tls = run->dial->tls, .send = send_login, .to = run->dial };

    return login_drive_new(info, &params, &line);
}

/* Exchange messages until the session is ready or something ends it. */
static enum login_step converse(struct probe_run *run, struct login_drive *login, struct err *e)
{
    AUTO(buf) struct buf in = BUF_INIT(PROBE_INPUT_MAX);
    enum login_step step = login_drive_begin(login, e) == OK ? LOGIN_MORE : LOGIN_LOST;

    while (step == LOGIN_MORE || step == LOGIN_AUTHENTICATED) {
        if (step == LOGIN_MORE && dial_receive(run->dial, &in, e) != OK)
            return LOGIN_LOST;
        step = login_drive_feed(login, &in, e);
    }
    return step;
}

enum login_step probe_mode_login(struct probe_run *run, const struct conninfo *info,
                                 struct login_drive **out_login, struct err *e)
{
    struct login_drive *login = make_login(run, info);
    AUTO(buf) struct buf bye = BUF_INIT(64);
    struct err ignored;

    *out_login = login;
    if (!login) {
        (void)err_set(e, E_NOMEM, "out of memory");
        return LOGIN_FAIL;
    }
    enum login_step step = converse(run, login, e);
    if (step == LOGIN_READY) {
        frontend_terminate(&bye);
        (void)!dial_send(run->dial, buf_bytes(&bye), &ignored);
    }
    return step;
}
/* True when the attempt ended well. */
static bool log_in(struct play *p, struct err *e)
{
    AUTO(login_drive) struct login_drive *drive = NULL;
    enum login_step step = probe_mode_login(p->run, p->info, &drive, e);
    bool accepted = step == LOGIN_READY;

    p->event = p->run->dial->timed_out ? EVENT_TIMEOUT : EVENT_CLOSED;
    if (!drive)
        return false;
    const struct login *login = login_drive_login(drive);
    if (step == LOGIN_FAIL && login_facts(login)->lacks_password && !p->run->params->send_password)
        accepted = true; /* so far, so good: the password is not ours to send */
    else if (step == LOGIN_FAIL || step == LOGIN_REFUSED)
        p->event = login_event(login);
    if (accepted && step == LOGIN_READY && !attempts_any_attrs(&p->attempts) &&
        login_attrs(login_facts(login), p->info->session_attrs, e) == ATTRS_MISMATCH) {
        p->event = EVENT_ATTRS_MISMATCH;
        accepted = false;
    }
    if (step == LOGIN_REFUSED)
        mode_complain(p, probe_mode_server_text(p->run, login_server_error(login), e));
    else if (!accepted)
        mode_complain(p, str_c(err_text(e)));
    return accepted;
}

/* ---- the sequence ---- */

static enum code open_address(struct play *p, struct err *e)
{
    static const char tcp[] = "\n\tIs the server running on that host and accepting TCP/IP connections?";
    static const char local[] = "\n\tIs the server running locally and accepting connections on that socket?";
    const struct attempt_step *step = &p->attempts.step;

    p->encrypted = false;
    enum code code = dial_open(p->run->dial, &step->addr, p->run->params->timeout_s, e);
    if (code == OK) {
        p->event = EVENT_LOCAL_ERROR;
        code = conn_socket_check_peer(p->info, &step->addr, p->run->dial->fd, e);
        if (code != OK)
            mode_complain(p, str_c(err_text(e)));
        return code;
    }
    p->event = p->run->dial->timed_out ? EVENT_TIMEOUT : EVENT_CONNECT_FAILED;
    mode_complain(p, str_c(err_text(e)));
    if (p->event == EVENT_CONNECT_FAILED)
        (void)buf_append_c(&p->error, conn_addr_is_unix(&step->addr) ? local : tcp);
    return code;
}

/* One attempt; true when it was the last one needed. */
static bool attempt(struct play *p)
{
    const struct attempt_step step = p->attempts.step;
    struct err e = { 0 };
    enum code code = OK;

    if (step.action == ATTEMPT_CONNECT && open_address(p, &e) != OK) {
        attempts_event(&p->attempts, p->event);
        return false;
    }
    if (step.method == METHOD_TLS)
        code = ask_for_tls(p, &e);
    if (code == OK && step.method != METHOD_PLAIN)
        code = seal(p, step.method, &e);
    if (code == OK && log_in(p, &e))
        return true;
    size_t before = p->error.n;
    if (code != OK)
        mode_complain(p, str_c(err_text(&e)));
    attempts_event(&p->attempts, p->event);
    if (p->attempts.step.action == ATTEMPT_CONTINUE)
        p->error.n = before; /* an `N` is worth a word only where nothing follows on this connection */
    return false;
}

static enum code play(struct play *p, struct err *e)
{
    struct probe_run *run = p->run;

    TRY(attempts_init(&p->attempts, p->info, NULL, run->params->env, run->arena));
    for (;;) {
        switch (p->attempts.step.action) {
        case ATTEMPT_RESOLVE:
            if (run->resolve_error.n > 0)
                (void)buf_append_str(&p->error, run->resolve_error);
            TRY(attempts_resolved(&p->attempts, run->addrs, run->n_addrs));
            break;
        case ATTEMPT_CONNECT:
        case ATTEMPT_CONTINUE:
            if (attempt(p)) {
                p->verdict->connects = true;
                return OK;
            }
            break;
        case ATTEMPT_FAIL:
            if (p->error.n == 0)
                (void)buf_append_c(&p->error, err_text(&p->attempts.passed));
            return buf_ok(&p->error) ? OK : err_set(e, E_NOMEM, "out of memory");
        }
    }
}

enum code probe_mode(struct probe_run *run, enum sslmode mode, struct mode_verdict *out, struct err *e)
{
    struct conninfo info;
    struct mode_verdict verdict = { .error = STR("") };
    struct play p = { .run = run, .info = &info, .verdict = &verdict, .error = BUF_INIT(ERROR_TEXT_MAX) };
    struct err why;
    enum code code = probe_mode_conninfo(run, mode, &info, &why);

    if (code == OK)
        code = play(&p, e);
    else
        (void)buf_append_c(&p.error, err_text(&why));
    dial_close(run->dial);
    if (code == E_PARAM)
        code = OK; /* options that contradict each other are the verdict */
    verdict.encrypted = verdict.connects && p.encrypted;
    verdict.verified = verdict.encrypted ? p.proof : PROOF_NO;
    if (code == OK && !verdict.connects && !arena_str(run->arena, buf_str(&p.error), &verdict.error))
        code = err_set(e, E_NOMEM, "out of memory");
    buf_fini(&p.error);
    if (code == OK)
        *out = verdict;
    return code;
}
