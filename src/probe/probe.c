/*
 * One look at one endpoint: addresses, first bytes, TLS, authentication, then the sslmodes, then what it all
 * means.
 *
 * Every question is a connection of its own, so that no answer depends on the one before. Whatever goes wrong
 * on a connection is an answer; only lack of memory ends the look.
 */
#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/env.h"
#include "client/conninfo_defaults.h"
#include "client/login_session.h"
#include "client/pasted.h"
#include "pgwire/frontend.h"
#include "pgwire/hello.h"
#include "probe/handshake.h"
#include "probe/mode.h"
#include "probe/offers.h"
#include "probe/probe_run.h"
#include "probe/problems.h"
#include "tls/client_context.h"

#include <netdb.h>

enum code probe_kit_init(struct probe_kit *kit)
{
    *kit = (struct probe_kit){ .library = tls_library_new(), .port = tls_port_new() };
    if (kit->library && kit->port)
        return OK;
    probe_kit_fini(kit);
    return E_NOMEM;
}

void probe_kit_fini(struct probe_kit *kit)
{
    tls_port_free(kit->port);
    tls_library_free(kit->library);
    *kit = (struct probe_kit){ 0 };
}

const char *problem_severity_name(enum problem_severity severity)
{
    static const char *const names[] = { "low", "medium", "high" };

    return names[severity];
}

/* ---- where ---- */

static enum code resolve(struct probe_run *run, struct str host, struct err *e)
{
    int error = conn_addrs_look_up(host, run->addrs, HOST_ADDRESSES_MAX, &run->n_addrs);
    bool ok = true;

    if (error != 0)
        ok = arena_printf(run->arena, &run->resolve_error,
                          "could not translate host name \"%.*s\" to address: %s", STR_ARG(host),
                          gai_strerror(error));
    return ok ? OK : err_set(e, E_NOMEM, "out of memory");
}

/* Let the sequence of attempts tell the addresses: it knows ports, sockets and abstract names. */
static enum code find_addresses(struct probe_run *run, struct err *e)
{
    struct attempts attempts;

    TRY(attempts_init(&attempts, &run->info, NULL, run->params->env, run->arena));
    if (attempts.step.action == ATTEMPT_RESOLVE) {
        TRY(resolve(run, run->info.hosts[0].host, e));
        TRY(attempts_resolved(&attempts, run->addrs, run->n_addrs));
    }
    run->n_addrs = 0;
    while (attempts.step.action == ATTEMPT_CONNECT && run->n_addrs < HOST_ADDRESSES_MAX) {
        run->addrs[run->n_addrs++] = attempts.step.addr;
        attempts_event(&attempts, EVENT_CONNECT_FAILED);
    }
    if (run->n_addrs == 0 && run->resolve_error.n == 0 && attempts.passed.code != OK &&
        !arena_str(run->arena, str_c(err_text(&attempts.passed)), &run->resolve_error))
        return err_set(e, E_NOMEM, "out of memory");
    return OK;
}

/* ---- single questions ---- */

static void see_fingerprint(struct probe_run *run, struct address_seen *seen)
{
    AUTO(cert) X509 *cert = tls_engine_peer(run->dial->tls);

    seen->has_certificate = cert && cert_sha256(cert, seen->sha256);
}

static enum code see_address(struct probe_run *run, size_t i, struct err *e)
{
    struct address_seen *seen = &run->report->addresses[i];
    const struct probe_handshake how = { .address = i };
    struct err why = { 0 };
    char text[128];

    conn_addr_text(&run->addrs[i], text);
    bool ok = arena_str(run->arena, str_c(text), &seen->text);
    seen->error = STR("");
    seen->reachable = dial_open(run->dial, &run->addrs[i], run->params->timeout_s, &why) == OK;
    if (!seen->reachable)
        ok = ok && arena_str(run->arena, str_c(err_text(&why)), &seen->error);
    else if (!run->report->unix_socket && run->n_addrs > 1 && probe_handshake(run, &how, &why) == OK)
        see_fingerprint(run, seen);
    dial_close(run->dial);
    return ok ? OK : err_set(e, E_NOMEM, "out of memory");
}

static enum code see_addresses(struct probe_run *run, struct err *e)
{
    struct probe_report *r = run->report;

    r->addresses = arena_array(run->arena, run->n_addrs, sizeof *r->addresses);
    if (!r->addresses)
        return err_set(e, E_NOMEM, "out of memory");
    r->n_addresses = run->n_addrs;
    for (size_t i = run->n_addrs; i-- > 0;) {
        TRY(see_address(run, i, e));
        if (r->addresses[i].reachable) {
            run->best = i;
            r->reachable = true;
        }
    }
    return OK;
}

/* The first byte of the answer to a request, 0: none. */
static char see_answer(struct probe_run *run, void (*request)(struct buf *out))
{
    AUTO(buf) struct buf out = BUF_INIT(64), in = BUF_INIT(PROBE_INPUT_MAX);
    struct err ignored;
    char answer = '\0';

    request(&out);
    if (dial_open(run->dial, &run->addrs[run->best], run->params->timeout_s, &ignored) == OK &&
        dial_send(run->dial, buf_bytes(&out), &ignored) == OK && dial_receive(run->dial, &in, &ignored) == OK)
        answer = (char)in.p[0];
    dial_close(run->dial);
    return answer;
}

static struct str method_name(const struct login_facts *facts)
{
    if (!facts->requested_authentication)
        return facts->in_auth_ok ? STR("trust") : STR("");
    switch (facts->asked) {
    case AUTH_BIT_PASSWORD:
        return STR("password");
    case AUTH_BIT_MD5:
        return STR("md5");
    case AUTH_BIT_GSS:
        return STR("gss");
    case AUTH_BIT_SSPI:
        return STR("sspi");
    case AUTH_BIT_SCRAM:
        return facts->offered_scram || facts->offered_plus ? STR("scram-sha-256") : STR("sasl");
    case AUTH_BIT_OAUTH:
    case AUTH_BIT_NONE:
    case AUTH_BIT_ALL:
        break;
    }
    return STR("unknown");
}

/* Over the connection that stands. */
static void see_auth(struct probe_run *run, struct auth_seen *out)
{
    AUTO(login_drive) struct login_drive *drive = NULL;
    struct err e = { 0 };
    enum login_step step = probe_mode_login(run, &run->info, &drive, &e);

    if (drive) {
        const struct login *login = login_drive_login(drive);
        const struct login_facts *facts = login_facts(login);
        out->method = method_name(facts);
        out->reached = facts->requested_authentication || facts->in_auth_ok;
        out->scram_plus = facts->offered_plus;
        if (step == LOGIN_REFUSED && !out->reached)
            out->refusal = probe_mode_server_text(run, login_server_error(login), &e);
        else if (!out->reached)
            (void)arena_str(run->arena, str_c(err_text(&e)), &out->refusal);
    }
    dial_close(run->dial);
}

static void see_plain(struct probe_run *run)
{
    struct err e = { 0 };

    if (dial_open(run->dial, &run->addrs[run->best], run->params->timeout_s, &e) == OK)
        see_auth(run, &run->report->auth_plain);
    run->silent = run->dial->timed_out;
    dial_close(run->dial);
}

static enum answer see_direct(struct probe_run *run, bool no_alpn)
{
    const struct probe_handshake how = { .direct = true, .no_alpn = no_alpn, .address = run->best };
    AUTO(buf) struct buf in = BUF_INIT(PROBE_INPUT_MAX), out = BUF_INIT(256);
    struct parameter user = { STR("user"), run->info.user };
    struct err e;
    bool ok = probe_handshake(run, &how, &e) == OK;

    if (ok && !no_alpn) {
        ok = tls_engine_alpn(run->dial->tls);
    } else if (ok) { /* a refusal without ALPN comes after the handshake: see whether anybody listens */
        frontend_startup(&out, PROTOCOL_3_0, &user, 1);
        ok = dial_send(run->dial, buf_bytes(&out), &e) == OK && dial_receive(run->dial, &in, &e) == OK;
    }
    dial_close(run->dial);
    return ok ? ANSWER_YES : ANSWER_NO;
}

/* A server that has the fault mended answers anyway, to say what it thinks of such bytes. */
static bool is_taken(struct bytes in)
{
    struct server_error error;
    struct msg m;
    size_t used;

    if (in.n == 0 || in.p[0] != 'E')
        return in.n > 0 && in.p[0] == 'R';
    if (msg_next(in, LOGIN_MESSAGE_MAX, &m, &used) != OK || server_error_parse(m.body, &error) != OK)
        return false;
    return !str_is(error.sqlstate, code_sqlstate(E_PROTOCOL));
}

/*
 * A StartupMessage in the same packet as the SSLRequest: a server that answers it once TLS stands has taken
 * bytes that anybody could have put there for the session's [src: CVE-2021-23214].
 */
static enum answer see_injected(struct probe_run *run)
{
    enum { PATIENCE_US = 1000000 };
    AUTO(buf) struct buf out = BUF_INIT(2048), in = BUF_INIT(PROBE_INPUT_MAX);
    struct parameter user = { STR("user"), run->info.user };
    const struct tls_client_params params = { TLS_CLIENT_LOOKS };
    struct tls_context *context = NULL;
    struct err e;

    frontend_ssl_request(&out);
    frontend_startup(&out, PROTOCOL_3_0, &user, 1);
    bool taken = dial_open(run->dial, &run->addrs[run->best], run->params->timeout_s, &e) == OK &&
                 dial_send(run->dial, buf_bytes(&out), &e) == OK && dial_receive(run->dial, &in, &e) == OK &&
                 in.n == 1 && in.p[0] == 'S' &&
                 tls_client_context_new(run->kit->library, &params, &context, &e) == OK &&
                 dial_handshake(run->dial, context, "", true, &e) == OK;
    buf_reset(&in);
    run->dial->deadline_us = env_mono_us(run->params->env) + PATIENCE_US;
    taken = taken && dial_receive(run->dial, &in, &e) == OK && is_taken(buf_bytes(&in));
    tls_context_free(context);
    dial_close(run->dial);
    return taken ? ANSWER_YES : ANSWER_NO;
}

/* The handshake that the report's TLS facts come from, and the login over it. */
static enum code see_tls(struct probe_run *run, struct err *e)
{
    struct probe_report *r = run->report;
    const struct probe_handshake how = { .address = run->best, .direct = run->use_direct };
    struct err why = { 0 };
    bool ok = true;

    r->tls = probe_handshake(run, &how, &why) == OK;
    if (!r->tls)
        return arena_str(run->arena, str_c(err_text(&why)), &r->tls_error) ? OK : E_NOMEM;
    struct tls_engine *tls = run->dial->tls;
    ok = arena_str(run->arena, str_c(tls_engine_version(tls)), &r->tls_version) &&
         arena_str(run->arena, str_c(tls_engine_cipher(tls)), &r->tls_cipher) &&
         arena_str(run->arena, str_c(tls_engine_group(tls)), &r->tls_group);
    see_fingerprint(run, &r->addresses[run->best]);
    r->alpn = tls_engine_alpn(tls);
    r->cert_requested = tls_engine_cert_requested(tls);
    if (!ok)
        return err_set(e, E_NOMEM, "out of memory");
    TRY(probe_certificate_problems(run, e));
    see_auth(run, &r->auth_tls);
    return OK;
}

static enum code see_over_tcp(struct probe_run *run, struct err *e)
{
    struct probe_report *r = run->report;

    r->ssl_answer = see_answer(run, frontend_ssl_request);
    run->silent = run->silent && run->dial->timed_out;
    if (run->silent)
        return arena_str(run->arena, STR("timeout expired"), &r->tls_error) ? OK : E_NOMEM;
    r->gss_answer = see_answer(run, frontend_gssenc_request);
    r->direct_tls = see_direct(run, false);
    run->use_direct = r->ssl_answer != 'S' && r->direct_tls == ANSWER_YES;
    TRY(see_tls(run, e));
    if (!r->tls)
        return OK;
    r->direct_no_alpn = r->direct_tls == ANSWER_YES ? see_direct(run, true) : ANSWER_NO;
    r->injected = r->ssl_answer == 'S' ? see_injected(run) : ANSWER_NO;
    return run->params->quick ? OK : probe_offers(run, e);
}

/* ---- the whole ---- */

static void forget_secrets(struct conn_options *options)
{
    static const enum conn_option secrets[] = { CONN_PASSWORD, CONN_SCRAM_CLIENT_KEY, CONN_SCRAM_SERVER_KEY };

    for (size_t i = 0; i < COUNT_OF(secrets); i++)
        options->v[secrets[i]] = (struct str){ 0 };
}

static enum code prepare(struct probe_run *run, const struct probe_target *target, struct err *e)
{
    run->options = run->params->options;
    for (size_t i = 0; i < CONN_OPTION_COUNT; i++) {
        if (target->options.v[i].p)
            run->options.v[i] = target->options.v[i];
    }
    if (target->options.v[CONN_HOST].p && !run->options.v[CONN_HOSTADDR].p)
        run->options.v[CONN_HOSTADDR] = STR(""); /* PGHOSTADDR is about some other server */
    TRY(conn_options_defaults(&run->options, run->params->world, CONN_LIBPQ, run->arena, e));
    if (!run->params->send_password)
        forget_secrets(&run->options);
    if (!run->options.v[CONN_SCRAM_CLIENT_KEY].p != !run->options.v[CONN_SCRAM_SERVER_KEY].p)
        return err_set(e, E_PARAM, "\"scram_client_key\" and \"scram_server_key\" must be given together");
    struct conn_options plain = run->options;
    struct str host = run->options.v[CONN_HOST], port = run->options.v[CONN_PORT];
    if (str_find(host, ',') < host.n || str_find(port, ',') < port.n)
        return err_set(e, E_PARAM, "an endpoint is one host: %.*s", STR_ARG(target->text));
    plain.v[CONN_SSLNEGOTIATION] = STR("postgres"); /* the facts do not depend on the user's preferences */
    plain.v[CONN_SSLROOTCERT] = STR("");
    plain.v[CONN_SSLMODE] = STR("disable");
    return conninfo_build(&plain, run->params->world, CONN_LIBPQ, run->arena, &run->info, e);
}

static enum code probe_all(struct probe_run *run, const struct probe_target *target, struct err *e)
{
    struct probe_report *r = run->report;

    TRY(prepare(run, target, e));
    r->unix_socket = run->info.hosts[0].kind == CONN_HOST_UNIX;
    TRY(find_addresses(run, e));
    TRY(see_addresses(run, e));
    if (r->reachable) {
        see_plain(run);
        if (!r->unix_socket)
            TRY(see_over_tcp(run, e));
    }
    for (unsigned mode = 0; mode < PROBE_MODES; mode++) {
        if (run->silent && mode > 0)
            r->modes[mode] =
                r->modes[0]; /* neither plaintext nor SSLRequest was answered: all time out alike */
        else
            TRY(probe_mode(run, (enum sslmode)mode, &r->modes[mode], e));
    }
    return probe_problems(run, e);
}

enum code probe_endpoint(const struct probe_params *params, struct probe_kit *kit,
                         const struct probe_target *target, struct arena *arena, struct probe_report *out,
                         struct err *e)
{
    struct probe_run *run = ARENA_NEW(arena, struct probe_run);
    AUTO(dial) struct dial *dial = dial_new(params->env, kit->port);
    struct probe_report report = { .target = *target };

    if (!run || !dial)
        return err_set(e, E_NOMEM, "out of memory");
    if (target->pasted)
        report.meaning = conn_meaning_pasted(target->pasted,
                                             conn_meaning_reads_root_file(target->pasted->driver) &&
                                                 conn_meaning_has_root_file(params->world, arena));
    *run = (struct probe_run){
        .params = params, .kit = kit, .arena = arena, .report = &report, .dial = dial
    };
    TRY(probe_all(run, target, e));
    *out = report;
    return OK;
}
