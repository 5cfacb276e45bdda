/*
 * Logging in as a client.
 *
 * Before AuthenticationOk a server may say three things: R (a request, or Ok), v (another protocol version),
 * E. Each R is first held against the policy (require_auth, channel binding), then answered; what the policy
 * does not allow is never answered, so no secret leaves for a server that asks in the wrong way. After
 * AuthenticationOk parameters, the cancel key and notices pass until ReadyForQuery.
 * [src: PostgreSQL 18, "Message Flow"; fe-connect.c PQconnectPoll; fe-auth.c check_expected_areq]
 */
#include "auth/verifier.h"
#include "base/arena.h"
#include "base/rd.h"
#include "base/wr.h"
#include "client/login_impl.h"
#include "client/login_session.h"
#include "pgwire/backend.h"
#include "pgwire/frontend.h"
#include "pgwire/hello.h"

#define NO_PASSWORD "fe_sendauth: no password supplied" /* libpq's words, here and in scram_client.c */

/* ---- life ---- */

struct login *login_new(const struct login_params *params, struct arena *arena)
{
    struct login *login = ARENA_NEW(arena, struct login);
    struct parameter *copy = arena_array(arena, params->parameter_count, sizeof *copy);
    bool ok = login && copy;

    for (size_t i = 0; ok && i < params->parameter_count; i++)
        ok = arena_str(arena, params->parameters[i].name, &copy[i].name) &&
             arena_str(arena, params->parameters[i].value, &copy[i].value);
    if (!ok || !arena_str(arena, params->user, &login->user))
        return NULL;
    login->params = *params;
    login->params.parameters = copy;
    login->params.user = login->user;
    login->arena = arena;
    login->event = EVENT_CLOSED;
    login->facts.protocol = params->protocol;
    login->work = BUF_INIT(LOGIN_MESSAGE_MAX);
    if (!arena_str(arena, params->require_auth, &login->params.require_auth))
        return NULL;
    return login;
}

void login_free(struct login *login)
{
    if (!login)
        return;
    scram_client_fini(&login->scram);
    buf_fini_secret(&login->work);
    wipe(login->facts.key, sizeof login->facts.key);
}

void login_begin(struct login *login, struct buf *out)
{
    frontend_startup(out, login->params.protocol, login->params.parameters, login->params.parameter_count);
}

const struct login_facts *login_facts(const struct login *login)
{
    return &login->facts;
}

enum attempt_event login_event(const struct login *login)
{
    return login->event;
}

const struct server_error *login_server_error(const struct login *login)
{
    return &login->server_error;
}

/* ---- policy ---- */

static bool allows(const struct login *login, unsigned bits)
{
    return (login->params.auth_allowed & bits) != 0;
}

/* libpq's words; where the caller's own policy says what is allowed there is no require_auth to quote. */
static enum code demand_failed(const struct login *login, const char *reason, struct err *e)
{
    if (login->params.require_auth.n == 0)
        return err_set(e, E_AUTH, "authentication method requirement failed: %s", reason);
    return err_set(e, E_AUTH, "authentication method requirement \"%.*s\" failed: %s",
                   STR_ARG(login->params.require_auth), reason);
}

enum code login_check_certificate(enum sslcertmode mode, enum login_cert cert, struct err *e)
{
    if (mode == SSLCERT_REQUIRE && cert == LOGIN_CERT_NOT_REQUESTED)
        return err_set(e, E_AUTH, "server did not request an SSL certificate");
    if (mode == SSLCERT_REQUIRE && cert == LOGIN_CERT_NONE)
        return err_set(e, E_AUTH, "server accepted connection without a valid SSL certificate");
    return OK;
}

/* AuthenticationOk: was anything proved, and was it what was demanded? */
static enum code check_ok(const struct login *login, struct err *e)
{
    TRY(login_check_certificate(login->params.sslcertmode, login->params.cert, e));
    if (!login->answered && !allows(login, AUTH_BIT_NONE))
        return demand_failed(login, "server did not complete authentication", e);
    if (login->params.binding == CHANNEL_BINDING_REQUIRE && !login->facts.used_plus)
        return err_set(e, E_AUTH,
                       "channel binding required, but server authenticated client without channel binding");
    /* A server that breaks SCRAM off with Ok has not shown that it knows the secret. libpq lets that pass
     * where `none` is allowed [choice: nobody honest does it]. */
    if (login->in_scram && !login->answered)
        return err_set(e, E_AUTH, "server did not complete authentication");
    return OK;
}

/* `bit` 0: a method that nobody knows. */
static enum code check_request(const struct login *login, unsigned bit, const char *reason, struct err *e)
{
    /* Who has begun to ask for a proof does not get the password instead [choice: libpq hands it out; nobody
     * honest asks]. */
    if (login->in_scram && bit != AUTH_BIT_SCRAM)
        return err_set(e, E_PROTOCOL, "%s within a SASL exchange", reason);
    if (!allows(login, bit))
        return demand_failed(login, reason, e);
    if (login->params.binding == CHANNEL_BINDING_REQUIRE && bit != AUTH_BIT_SCRAM)
        return err_set(e, E_AUTH,
                       "channel binding required but not supported by server's authentication request");
    return OK;
}

static enum code need_password(const struct login *login, struct err *e)
{
    return login->params.creds.password.n > 0 ? OK : err_set(e, E_AUTH, NO_PASSWORD);
}

/* ---- requests ---- */

static enum code answer_cleartext(struct login *login, struct buf *out, struct err *e)
{
    TRY(check_request(login, AUTH_BIT_PASSWORD, "server requested a cleartext password", e));
    TRY(need_password(login, e));
    frontend_password(out, login->params.creds.password);
    login->answered = buf_ok(out);
    return login->answered ? OK : err_set(e, E_LIMIT, "the password is longer than servers accept");
}

static enum code answer_md5(struct login *login, struct bytes salt, struct buf *out, struct err *e)
{
    char secret[MD5_HEX_CHARS], response[MD5_TEXT_CHARS] = "md5";

    TRY(check_request(login, AUTH_BIT_MD5, "server requested a hashed password", e));
    TRY(need_password(login, e));
    if (salt.n != MD5_SALT_BYTES)
        return err_set(e, E_PROTOCOL, "received invalid authentication request");
    enum code code = md5_secret_hex(login->params.creds.password, login->params.user, secret);
    if (code == OK)
        code = md5_response_hex(secret, salt.p, response + 3);
    if (code == OK)
        frontend_password(out, bytes_of(response, sizeof response));
    wipe(secret, sizeof secret);
    login->answered = code == OK;
    return code == OK ? OK : err_set(e, code, "could not encrypt password to MD5");
}

static enum code start_scram(struct login *login, struct bytes mechanisms, struct buf *out, struct err *e)
{
    const struct scram_client_params params = { .password = login->params.creds.password,
                                                .keys = login->params.creds.keys,
                                                .channel_binding = login->params.binding,
                                                .tls = login->params.tls,
                                                .cert_hash = login->params.end_point,
                                                .iterations_max = login->params.iterations_max,
                                                .env = login->params.env };

    if (login->in_scram)
        return err_set(e, E_PROTOCOL, "duplicate SASL authentication request");
    login_note_mechanisms(&login->facts, mechanisms);
    if (!allows(login, AUTH_BIT_SCRAM | AUTH_BIT_OAUTH))
        return demand_failed(login, "server requested SASL authentication", e);
    if (!allows(login, AUTH_BIT_SCRAM))
        return demand_failed(login,
                             login->facts.offered_plus && login->params.tls
                                 ? "server requested " SCRAM_MECHANISM_PLUS " authentication"
                                 : "server requested " SCRAM_MECHANISM " authentication",
                             e);
    scram_client_init(&login->scram, &params);
    login->in_scram = true;
    size_t before = out->n;
    struct wr w = wr_begin(out, 'p');
    enum code code = scram_client_start(&login->scram, mechanisms, out, e);
    wr_end(&w);
    if (code != OK)
        out->n = before; /* not even a header leaves */
    return code;
}

/* The proof; heavy where the server wants many iterations. */
void login_work(struct login *login)
{
    buf_reset(&login->work);
    login->work_code = scram_client_respond(&login->scram, &login->work, &login->work_err);
    login->work_state = WORK_DONE;
}

static enum code send_proof(struct login *login, struct buf *out, struct err *e)
{
    login->work_state = WORK_NONE;
    if (login->work_code != OK) {
        *e = login->work_err;
        return login->work_code;
    }
    frontend_sasl_response(out, buf_bytes(&login->work));
    return buf_ok(out) ? OK : err_set(e, E_NOMEM, "out of memory");
}

static enum code answer_challenge(struct login *login, struct bytes payload, struct buf *out, struct err *e)
{
    if (!login->in_scram)
        return err_set(e, E_PROTOCOL,
                       "fe_sendauth: invalid authentication request from server: "
                       "AUTH_REQ_SASL_CONT without AUTH_REQ_SASL");
    TRY(scram_client_challenge(&login->scram, payload, e));
    if (scram_client_cost(&login->scram) > SCRAM_ITERATIONS_INLINE) {
        login->work_state = WORK_WANTED;
        return OK;
    }
    login_work(login);
    return send_proof(login, out, e);
}

static enum code take_final(struct login *login, struct bytes payload, struct err *e)
{
    if (!login->in_scram)
        return err_set(e, E_PROTOCOL,
                       "fe_sendauth: invalid authentication request from server: "
                       "AUTH_REQ_SASL_CONT without AUTH_REQ_SASL");
    TRY(scram_client_finish(&login->scram, payload, e));
    login->answered = true;
    login->facts.verified = true;
    login->facts.used_plus = scram_client_bound(&login->scram);
    return OK;
}

static void note_request(struct login *login, unsigned bit)
{
    if (!login->facts.requested_authentication)
        login->facts.asked = (enum auth_method_bit)bit;
    login->facts.requested_authentication = true;
}

static enum code refuse_method(struct login *login, uint32_t request, struct err *e)
{
    switch (request) {
    case AUTH_GSS:
    case AUTH_GSS_CONTINUE:
        note_request(login, AUTH_BIT_GSS);
        TRY(check_request(login, AUTH_BIT_GSS, "server requested GSSAPI authentication", e));
        return err_set(e, E_AUTH, "GSSAPI authentication not supported");
    case AUTH_SSPI:
        note_request(login, AUTH_BIT_SSPI);
        TRY(check_request(login, AUTH_BIT_SSPI, "server requested SSPI authentication", e));
        return err_set(e, E_AUTH, "SSPI authentication not supported");
    default:
        if (login->params.require_auth.n > 0)
            return demand_failed(login, "server requested an unknown authentication type", e);
        TRY(check_request(login, AUTH_BIT_NONE, "server requested an unknown authentication type", e));
        return err_set(e, E_AUTH, "authentication method %u not supported", request);
    }
}

static enum code take_request(struct login *login, struct bytes body, struct buf *out, struct err *e)
{
    struct rd r = rd_over(body);
    uint32_t request = rd_u32(&r);

    switch (request) {
    case AUTH_OK:
        TRY(check_ok(login, e));
        login->facts.in_auth_ok = true;
        return OK;
    case AUTH_CLEARTEXT:
        note_request(login, AUTH_BIT_PASSWORD);
        return answer_cleartext(login, out, e);
    case AUTH_MD5:
        note_request(login, AUTH_BIT_MD5);
        return answer_md5(login, r.left, out, e);
    case AUTH_SASL:
        note_request(login, AUTH_BIT_SCRAM);
        return start_scram(login, r.left, out, e);
    case AUTH_SASL_CONTINUE:
        return answer_challenge(login, r.left, out, e);
    case AUTH_SASL_FINAL:
        return take_final(login, r.left, e);
    default:
        return refuse_method(login, request, e);
    }
}

/* ---- protocol version ---- */

#define BAD_NEGOTIATION "received invalid protocol negotiation message: "

static enum code check_version(uint32_t version, uint32_t asked, struct err *e)
{
    if (version > asked)
        return err_set(e, E_PROTOCOL,
                       BAD_NEGOTIATION "server requested downgrade to a higher-numbered version");
    if (version < PROTOCOL_3_0)
        return err_set(e, E_PROTOCOL,
                       BAD_NEGOTIATION "server requested downgrade to pre-3.0 protocol version");
    if (version == PROTOCOL_3_0 + 1)
        return err_set(e, E_PROTOCOL,
                       BAD_NEGOTIATION "server requested downgrade to non-existent 3.1 protocol version");
    return OK;
}

/* None were asked for, so the first one is one too many. */
static enum code unwanted_option(struct rd *r, struct err *e)
{
    struct str name = rd_cstr(r);

    if (r->bad)
        return err_set(e, E_PROTOCOL, BAD_NEGOTIATION "message too short");
    if (!str_starts(name, STR("_pq_.")))
        return err_set(e, E_PROTOCOL,
                       BAD_NEGOTIATION
                       "server reported unsupported parameter name without a \"_pq_.\" prefix (\"%.*s\")",
                       STR_ARG(name));
    return err_set(e, E_PROTOCOL,
                   BAD_NEGOTIATION
                   "server reported an unsupported parameter that was not requested (\"%.*s\")",
                   STR_ARG(name));
}

enum code login_negotiation(struct bytes body, uint32_t asked, uint32_t least, uint32_t *out, struct err *e)
{
    struct rd r = rd_over(body);
    uint32_t version = rd_u32(&r);
    uint32_t options = rd_u32(&r);

    if (r.bad)
        return err_set(e, E_PROTOCOL, BAD_NEGOTIATION "message too short");
    TRY(check_version(version, asked, e));
    if (options > INT32_MAX)
        return err_set(e, E_PROTOCOL,
                       BAD_NEGOTIATION "server reported negative number of unsupported parameters");
    if (version == asked && options == 0)
        return err_set(e, E_PROTOCOL, BAD_NEGOTIATION "server negotiated but asks for no changes");
    if (version < least)
        return err_set(
            e, E_PROTOCOL,
            "server only supports protocol version %u.%u, but \"min_protocol_version\" was set to %u.%u",
            version >> 16, version & 0xffff, least >> 16, least & 0xffff);
    if (options > 0)
        return unwanted_option(&r, e);
    if (rd_end(&r) != OK)
        return err_set(e, E_PROTOCOL, "received invalid protocol negotiation message");
    *out = version;
    return OK;
}

static enum code take_negotiation(struct login *login, struct bytes body, struct err *e)
{
    if (login->negotiated)
        return err_set(e, E_PROTOCOL, "received duplicate protocol negotiation message");
    login->negotiated = true;
    return login_negotiation(body, login->params.protocol, login->params.protocol_min, &login->facts.protocol,
                             e);
}

/* ---- messages ---- */

static enum login_step fail_here(struct login *login)
{
    login->event = EVENT_LOCAL_ERROR;
    login->ended = true;
    return LOGIN_FAIL;
}

static enum login_step fail_text(struct login *login, struct err *e, const char *text)
{
    (void)err_set(e, E_PROTOCOL, "%s", text);
    return fail_here(login);
}

/* A server of protocol 2, or one that could not even fork, sends bare text after its E. */
static enum login_step take_bare_error(struct login *login, struct bytes in, size_t *used, struct err *e)
{
    struct str text = str_from_bytes(bytes_from(in, 1));
    size_t end = str_find(text, '\0');

    if (end == text.n && text.n < LOGIN_MESSAGE_MAX)
        return LOGIN_MORE;
    *used = in.n;
    struct str shown = str_trim(str_first(text, end));
    if (!arena_str(login->arena, shown, &login->server_error.message))
        return fail_text(login, e, "out of memory");
    (void)err_set(e, E_AUTH, "%.*s", STR_ARG(shown));
    login->event = EVENT_LATE_ERROR; /* ends the sequence, as in libpq */
    login->ended = true;
    return LOGIN_REFUSED;
}

static enum login_step take_error(struct login *login, struct bytes body, struct err *e)
{
    struct bytes copy;

    if (!arena_bytes(login->arena, body, &copy))
        return fail_text(login, e, "out of memory");
    if (server_error_parse(copy, &login->server_error) != OK)
        return fail_text(login, e, "received invalid error message");
    (void)err_set(e, E_AUTH, "%.*s", STR_ARG(login->server_error.message));
    err_sqlstate_set(e, login->server_error.sqlstate);
    if (login->server_error.detail.n > 0)
        err_detail(e, "%.*s", STR_ARG(login->server_error.detail));
    if (login->server_error.hint.n > 0)
        err_hint(e, "%.*s", STR_ARG(login->server_error.hint));
    login->event = EVENT_SERVER_ERROR;
    if (login->facts.in_auth_ok)
        login->event = EVENT_LATE_ERROR;
    else if (str_is(login->server_error.sqlstate, code_sqlstate(E_UNAVAILABLE)))
        login->event = EVENT_SERVER_BUSY;
    login->ended = true;
    return LOGIN_REFUSED;
}

static enum login_step take_early(struct login *login, const struct msg *m, struct buf *out, struct err *e)
{
    enum code code;

    if (m->type == 'E')
        return take_error(login, m->body, e);
    code = m->type == 'v' ? take_negotiation(login, m->body, e) : take_request(login, m->body, out, e);
    if (code == OK && !buf_ok(out))
        code = err_set(e, E_NOMEM, "out of memory");
    if (code == E_AUTH && strcmp(e->message, NO_PASSWORD) == 0)
        login->facts.lacks_password = true;
    if (code != OK)
        return fail_here(login);
    if (login->work_state == WORK_WANTED)
        return LOGIN_WORK;
    return login->facts.in_auth_ok ? LOGIN_AUTHENTICATED : LOGIN_MORE;
}

static enum login_step take_late(struct login *login, const struct msg *m, struct err *e)
{
    enum code code = OK;

    switch (m->type) {
    case 'N':
        return LOGIN_MORE;
    case 'E':
        return take_error(login, m->body, e);
    case 'S':
        code = login_note_parameter(&login->facts, login->arena, m->body, e);
        break;
    case 'K':
        code = login_note_key(&login->facts, m->body, e);
        break;
    case 'Z':
        if (m->body.n != 1)
            return fail_text(login, e, "unexpected message from server during startup");
        login->facts.transaction_state = (char)m->body.p[0];
        return LOGIN_READY;
    default:
        return fail_text(login, e, "unexpected message from server during startup");
    }
    return code == OK ? LOGIN_MORE : fail_here(login);
}

/* Type and length of what comes before AuthenticationOk; LOGIN_MORE: look at the whole message. */
static enum login_step check_early_header(struct login *login, struct bytes in, size_t *used, struct err *e)
{
    char type = (char)in.p[0];
    struct rd r = rd_over(bytes_from(in, 1));
    uint32_t length = rd_u32(&r);

    if (type != 'R' && type != 'v' && type != 'E') {
        (void)err_set(e, E_PROTOCOL, "expected authentication request from server, but received %c", type);
        return fail_here(login);
    }
    if (r.bad)
        return LOGIN_MORE;
    if (type == 'E' && (length < HELLO_LENGTH_MIN || length > MSG_LOGIN_ERROR_MAX))
        return take_bare_error(login, in, used, e);
    if (type == 'R' && (length < HELLO_LENGTH_MIN || length > MSG_LOGIN_AUTH_MAX))
        return fail_text(login, e, "received invalid authentication request");
    if (type == 'v' && (length < HELLO_LENGTH_MIN || length > MSG_LOGIN_AUTH_MAX))
        return fail_text(login, e, "received invalid protocol negotiation message");
    return LOGIN_MORE;
}

static enum login_step take_one(struct login *login, struct bytes in, size_t *used, struct buf *out,
                                struct err *e)
{
    struct msg m;
    size_t n = 0;

    *used = 0;
    if (!login->facts.in_auth_ok) {
        enum login_step step = check_early_header(login, in, used, e);
        if (step != LOGIN_MORE)
            return step;
    }
    enum code code = msg_next(in, LOGIN_MESSAGE_MAX, &m, &n);
    if (code == E_MORE)
        return LOGIN_MORE;
    if (code != OK)
        return fail_text(login, e, "received invalid message length from server during startup");
    *used = n;
    return login->facts.in_auth_ok ? take_late(login, &m, e) : take_early(login, &m, out, e);
}

enum login_step login_feed(struct login *login, struct bytes in, size_t *used, struct buf *out, struct err *e)
{
    enum login_step step = LOGIN_MORE;
    size_t one;

    *used = 0;
    if (login->ended)
        return fail_text(login, e, "login has ended already");
    if (login->work_state == WORK_WANTED)
        return LOGIN_WORK;
    if (login->work_state == WORK_DONE && send_proof(login, out, e) != OK)
        return fail_here(login);
    while (step == LOGIN_MORE && *used < in.n) {
        step = take_one(login, bytes_from(in, *used), &one, out, e);
        *used += one;
        if (one == 0)
            break;
    }
    return step;
}
