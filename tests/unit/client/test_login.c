/* Logging in: what is answered, what is refused and in which words, versions, keys, session attributes. */
#include "../unit.h"

#include "auth/scram_server.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/env.h"
#include "client/login_drive.h"
#include "client/login_session.h"
#include "pgwire/backend.h"
#include "pgwire/hello.h"

#include <stdlib.h>

static struct arena arena;
static struct password password;
static struct env env;

static int set_up(void **state)
{
    (void)state;
    arena_init(&arena, 1 << 20, 4096);
    env = env_system();
    return password_set(&password, str_bytes(STR("secret"))) == OK ? 0 : 1;
}

static int tear_down(void **state)
{
    (void)state;
    arena_fini(&arena);
    password_wipe(&password);
    return 0;
}

static struct login_params plain_params(void)
{
    static const struct parameter user[] = { { { "user", 4 }, { "u", 1 } } };

    return (struct login_params){ .protocol = PROTOCOL_3_0,
                                  .protocol_min = PROTOCOL_3_0,
                                  .parameters = user,
                                  .parameter_count = 1,
                                  .user = STR("u"),
                                  .creds = { .password = password_bytes(&password) },
                                  .auth_allowed = AUTH_BIT_ALL,
                                  .require_auth = STR(""),
                                  .binding = CHANNEL_BINDING_PREFER,
                                  .sslcertmode = SSLCERT_ALLOW,
                                  .env = &env };
}

/* ---- a server made of messages ---- */

static struct bytes message(char type, const void *body, size_t n)
{
    uint8_t *p = arena_alloc(&arena, n + 5);
    uint32_t length = (uint32_t)n + 4;

    assert_non_null(p);
    p[0] = (uint8_t)type;
    for (int i = 0; i < 4; i++)
        p[1 + i] = (uint8_t)(length >> (24 - 8 * i));
    memcpy(p + 5, body, n);
    return bytes_of(p, n + 5);
}

#define MSG(type, literal) message(type, literal, sizeof(literal) - 1)

/* Feed one message to a fresh login; returns the text of the failure, or of the answer's type. */
static void one(const struct login_params *params, struct bytes m, enum login_step expected, const char *text)
{
    struct login *login = login_new(params, &arena);
    AUTO(buf) struct buf out = BUF_INIT(65536);
    struct err e = { 0 };
    size_t used;

    assert_non_null(login);
    assert_int_equal(login_feed(login, m, &used, &out, &e), expected);
    if (expected == LOGIN_FAIL || expected == LOGIN_REFUSED) {
        assert_string_equal(e.message, text);
        assert_int_equal(out.n, 0); /* what is refused is not answered */
    } else {
        assert_true(out.n >= strlen(text));
        assert_memory_equal(out.p, text, strlen(text));
    }
    login_free(login);
}

static void test_requests(void **state)
{
    struct login_params p = plain_params();

    (void)state;
    one(&p, MSG('R', "\0\0\0\0"), LOGIN_AUTHENTICATED, "");
    one(&p, MSG('R', "\0\0\0\3"), LOGIN_MORE, "p\0\0\0\13secret");
    one(&p, MSG('R', "\0\0\0\5abcd"), LOGIN_MORE, "p\0\0\0\50md5");
    one(&p, MSG('R', "\0\0\0\5abc"), LOGIN_FAIL, "received invalid authentication request");
    one(&p, MSG('R', "\0\0\0\7"), LOGIN_FAIL, "GSSAPI authentication not supported");
    one(&p, MSG('R', "\0\0\0\11"), LOGIN_FAIL, "SSPI authentication not supported");
    one(&p, MSG('R', "\0\0\0\142"), LOGIN_FAIL, "authentication method 98 not supported");
    one(&p, MSG('R', "\0\0\0\12X\0\0"), LOGIN_FAIL,
        "none of the server's SASL authentication mechanisms are supported");
    one(&p, MSG('R', "\0\0\0\12SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0"), LOGIN_FAIL,
        "server offered SCRAM-SHA-256-PLUS authentication over a non-SSL connection");
    p.creds.password = bytes_of(NULL, 0);
    one(&p, MSG('R', "\0\0\0\3"), LOGIN_FAIL, "fe_sendauth: no password supplied");
    one(&p, MSG('R', "\0\0\0\5abcd"), LOGIN_FAIL, "fe_sendauth: no password supplied");
    one(&p, MSG('R', "\0\0\0\12SCRAM-SHA-256\0\0"), LOGIN_FAIL, "fe_sendauth: no password supplied");
}

static void test_require_auth(void **state)
{
    struct login_params p = plain_params();

    (void)state;
    p.require_auth = STR("scram-sha-256");
    p.auth_allowed = AUTH_BIT_SCRAM;
    one(&p, MSG('R', "\0\0\0\0"), LOGIN_FAIL,
        "authentication method requirement \"scram-sha-256\" failed: server did not complete authentication");
    one(&p, MSG('R', "\0\0\0\3"), LOGIN_FAIL,
        "authentication method requirement \"scram-sha-256\" failed: server requested a cleartext password");
    one(&p, MSG('R', "\0\0\0\5abcd"), LOGIN_FAIL,
        "authentication method requirement \"scram-sha-256\" failed: server requested a hashed password");
    one(&p, MSG('R', "\0\0\0\7"), LOGIN_FAIL,
        "authentication method requirement \"scram-sha-256\" failed: server requested GSSAPI authentication");
    one(&p, MSG('R', "\0\0\0\11"), LOGIN_FAIL,
        "authentication method requirement \"scram-sha-256\" failed: server requested SSPI authentication");
    one(&p, MSG('R', "\0\0\0\142"), LOGIN_FAIL,
        "authentication method requirement \"scram-sha-256\" failed: server requested an unknown authentication "
        "type");
    one(&p, MSG('R', "\0\0\0\12SCRAM-SHA-256\0\0"), LOGIN_MORE, "p");
    p.require_auth = STR("password");
    p.auth_allowed = AUTH_BIT_PASSWORD;
    one(&p, MSG('R', "\0\0\0\12SCRAM-SHA-256\0\0"), LOGIN_FAIL,
        "authentication method requirement \"password\" failed: server requested SASL authentication");
    p.auth_allowed = AUTH_BIT_OAUTH;
    p.require_auth = STR("oauth");
    one(&p, MSG('R', "\0\0\0\12SCRAM-SHA-256\0\0"), LOGIN_FAIL,
        "authentication method requirement \"oauth\" failed: server requested SCRAM-SHA-256 authentication");
    p.auth_allowed = AUTH_BIT_NONE;
    p.require_auth = STR("none");
    one(&p, MSG('R', "\0\0\0\0"), LOGIN_AUTHENTICATED, "");
}

static void test_binding(void **state)
{
    struct login_params p = plain_params();

    (void)state;
    p.binding = CHANNEL_BINDING_REQUIRE;
    one(&p, MSG('R', "\0\0\0\0"), LOGIN_FAIL,
        "channel binding required, but server authenticated client without channel binding");
    one(&p, MSG('R', "\0\0\0\3"), LOGIN_FAIL,
        "channel binding required but not supported by server's authentication request");
    one(&p, MSG('R', "\0\0\0\12SCRAM-SHA-256\0\0"), LOGIN_FAIL,
        "channel binding required, but SSL not in use");
    p.tls = true;
    one(&p, MSG('R', "\0\0\0\12SCRAM-SHA-256\0\0"), LOGIN_FAIL,
        "channel binding is required, but server did not offer an authentication method that supports channel "
        "binding");
    p.binding = CHANNEL_BINDING_PREFER;
    p.sslcertmode = SSLCERT_REQUIRE;
    one(&p, MSG('R', "\0\0\0\0"), LOGIN_FAIL, "server did not request an SSL certificate");
    p.cert = LOGIN_CERT_NONE;
    one(&p, MSG('R', "\0\0\0\0"), LOGIN_FAIL, "server accepted connection without a valid SSL certificate");
    p.cert = LOGIN_CERT_SENT;
    one(&p, MSG('R', "\0\0\0\0"), LOGIN_AUTHENTICATED, "");
}

static void test_strange_servers(void **state)
{
    struct login_params p = plain_params();

    (void)state;
    one(&p, bytes_of("H", 1), LOGIN_FAIL, "expected authentication request from server, but received H");
    one(&p, bytes_of("R\0\0\7\321", 5), LOGIN_FAIL, "received invalid authentication request");
    one(&p, bytes_of("R\0\0\0\4", 5), LOGIN_FAIL, "received invalid authentication request");
    one(&p, bytes_of("v\0\0\0\4", 5), LOGIN_FAIL, "received invalid protocol negotiation message");
    one(&p, bytes_of("Ecould not fork\n", 17), LOGIN_REFUSED, "could not fork");
    one(&p, MSG('R', "\0\0\0\13r=x"), LOGIN_FAIL,
        "fe_sendauth: invalid authentication request from server: AUTH_REQ_SASL_CONT without AUTH_REQ_SASL");
    one(&p, MSG('E', "SFATAL\0VFATAL\0C28P01\0Mno way\0\0"), LOGIN_REFUSED, "no way");
    one(&p, MSG('E', "SFATAL\0C28P01"), LOGIN_FAIL, "received invalid error message");
}

static void test_version(void **state)
{
    struct login_params p = plain_params();

    (void)state;
#define BAD "received invalid protocol negotiation message: "
    one(&p, MSG('v', "\0\3\0\2\0\0\0\0"), LOGIN_FAIL,
        BAD "server requested downgrade to a higher-numbered version");
    one(&p, MSG('v', "\0\2\0\0\0\0\0\0"), LOGIN_FAIL,
        BAD "server requested downgrade to pre-3.0 protocol version");
    one(&p, MSG('v', "\0\3\0\0\0\0\0\0"), LOGIN_FAIL, BAD "server negotiated but asks for no changes");
    one(&p, MSG('v', "\0\3\0\0\0\0\0\1_pq_.x\0"), LOGIN_FAIL,
        BAD "server reported an unsupported parameter that was not requested (\"_pq_.x\")");
    one(&p, MSG('v', "\0\3\0\0\0\0\0\1x\0"), LOGIN_FAIL,
        BAD "server reported unsupported parameter name without a \"_pq_.\" prefix (\"x\")");
    one(&p, MSG('v', "\0\3\0\0\0\0\0\1"), LOGIN_FAIL, BAD "message too short");
    one(&p, MSG('v', "\0\3\0\0"), LOGIN_FAIL, BAD "message too short");
    p.protocol = PROTOCOL_3_2;
    one(&p, MSG('v', "\0\3\0\1\0\0\0\0"), LOGIN_FAIL,
        BAD "server requested downgrade to non-existent 3.1 protocol version");
    one(&p, MSG('v', "\0\3\0\0\0\0\0\0"), LOGIN_MORE, "");
    p.protocol_min = PROTOCOL_3_2;
    one(&p, MSG('v', "\0\3\0\0\0\0\0\0"), LOGIN_FAIL,
        "server only supports protocol version 3.0, but \"min_protocol_version\" was set to 3.2");
}

static enum attempt_event event_of(struct bytes m)
{
    struct login_params p = plain_params();
    struct login *login = login_new(&p, &arena);
    AUTO(buf) struct buf out = BUF_INIT(65536);
    struct err e;
    size_t used;

    assert_int_equal(login_feed(login, m, &used, &out, &e), LOGIN_REFUSED);
    enum attempt_event event = login_event(login);
    login_free(login);
    return event;
}

static void test_events(void **state)
{
    (void)state;
    assert_int_equal(event_of(MSG('E', "SFATAL\0C57P03\0Mx\0\0")), EVENT_SERVER_BUSY);
    assert_int_equal(event_of(MSG('E', "SFATAL\0C28000\0Mx\0\0")), EVENT_SERVER_ERROR);
}

static enum login_step after_ok(struct bytes m, uint32_t protocol, struct err *e, struct login_facts *facts)
{
    struct login_params p = plain_params();
    AUTO(buf) struct buf out = BUF_INIT(65536);
    size_t used;

    p.protocol = protocol;
    struct login *login = login_new(&p, &arena);
    assert_int_equal(login_feed(login, MSG('R', "\0\0\0\0"), &used, &out, e), LOGIN_AUTHENTICATED);
    enum login_step step = login_feed(login, m, &used, &out, e);
    *facts = *login_facts(login);
    if (step == LOGIN_REFUSED)
        assert_int_equal(login_event(login), EVENT_LATE_ERROR);
    login_free(login);
    return step;
}

static void test_session(void **state)
{
    struct login_facts facts;
    struct err e = { 0 };

    (void)state;
    assert_int_equal(after_ok(MSG('S', "server_version\00018.4\0"), PROTOCOL_3_0, &e, &facts), LOGIN_MORE);
    assert_str(facts.server_version, "18.4");
    assert_int_equal(after_ok(MSG('K', "\0\0\0\7abcd"), PROTOCOL_3_0, &e, &facts), LOGIN_MORE);
    assert_int_equal(facts.pid, 7);
    assert_int_equal(facts.key_n, 4);
    assert_int_equal(after_ok(MSG('K', "\0\0\0\7abcde"), PROTOCOL_3_0, &e, &facts), LOGIN_FAIL);
    assert_string_equal(e.message,
                        "received invalid BackendKeyData message: cancel key with length 5 not allowed in "
                        "protocol version 3.0 (must be 4 bytes)");
    assert_int_equal(after_ok(MSG('K', "\0\0\0\7abc"), PROTOCOL_3_2, &e, &facts), LOGIN_FAIL);
    assert_string_equal(e.message,
                        "received invalid BackendKeyData message: cancel key with length 3 is too short "
                        "(minimum 4 bytes)");
    assert_int_equal(after_ok(message('K', (uint8_t[262]){ 0 }, 262), PROTOCOL_3_2, &e, &facts), LOGIN_FAIL);
    assert_string_equal(e.message,
                        "received invalid BackendKeyData message: cancel key with length 258 is too long "
                        "(maximum 256 bytes)");
    assert_int_equal(after_ok(MSG('E', "SFATAL\0C3D000\0Mgone\0\0"), PROTOCOL_3_0, &e, &facts),
                     LOGIN_REFUSED);
    assert_int_equal(after_ok(MSG('N', "SNOTICE\0\0"), PROTOCOL_3_0, &e, &facts), LOGIN_MORE);
    assert_int_equal(after_ok(MSG('Z', "I"), PROTOCOL_3_0, &e, &facts), LOGIN_READY);
    assert_int_equal(facts.transaction_state, 'I');
    assert_int_equal(after_ok(MSG('D', ""), PROTOCOL_3_0, &e, &facts), LOGIN_FAIL);
}

static void test_attrs(void **state)
{
    struct login_facts f = { .in_hot_standby = STR("on"), .default_read_only = STR("off") };
    struct err e;

    (void)state;
    assert_int_equal(login_attrs(&f, ATTRS_ANY, &e), ATTRS_SUITS);
    assert_int_equal(login_attrs(&f, ATTRS_STANDBY, &e), ATTRS_SUITS);
    assert_int_equal(login_attrs(&f, ATTRS_READ_ONLY, &e), ATTRS_SUITS);
    assert_int_equal(login_attrs(&f, ATTRS_PRIMARY, &e), ATTRS_MISMATCH);
    assert_string_equal(e.message, "server is in hot standby mode");
    assert_int_equal(login_attrs(&f, ATTRS_READ_WRITE, &e), ATTRS_MISMATCH);
    assert_string_equal(e.message, "session is read-only");
    f.in_hot_standby = STR("off");
    assert_int_equal(login_attrs(&f, ATTRS_PREFER_STANDBY, &e), ATTRS_MISMATCH);
    assert_string_equal(e.message, "server is not in hot standby mode");
    assert_int_equal(login_attrs(&f, ATTRS_READ_ONLY, &e), ATTRS_MISMATCH);
    assert_string_equal(e.message, "session is not read-only");
    assert_int_equal(login_attrs(&f, ATTRS_READ_WRITE, &e), ATTRS_SUITS);
    f.default_read_only = (struct str){ 0 };
    assert_int_equal(login_attrs(&f, ATTRS_READ_WRITE, &e), ATTRS_UNKNOWN);
    assert_int_equal(login_attrs(&f, ATTRS_PRIMARY, &e), ATTRS_SUITS);
    assert_str(login_attrs_query(ATTRS_READ_WRITE), "SHOW transaction_read_only");
    assert_str(login_attrs_query(ATTRS_PRIMARY), "SELECT pg_catalog.pg_is_in_recovery()");
    assert_int_equal(login_attrs_answer(ATTRS_READ_WRITE, STR("on"), &e), ATTRS_MISMATCH);
    assert_int_equal(login_attrs_answer(ATTRS_READ_ONLY, STR("on"), &e), ATTRS_SUITS);
    assert_int_equal(login_attrs_answer(ATTRS_STANDBY, STR("t"), &e), ATTRS_SUITS);
    assert_int_equal(login_attrs_answer(ATTRS_PRIMARY, STR("t"), &e), ATTRS_MISMATCH);
}

/* ---- whole exchanges ---- */

struct exchange {
    struct login *login;
    struct scram_server server;
    struct buf from_client, from_server;
};

static void begin(struct exchange *x, const struct login_params *p, uint32_t iterations,
                  const struct bytes *hash)
{
    struct scram_verifier verifier;
    struct scram_server_params sp = {
        .user = STR("u"), .verifier = &verifier, .tls = hash != NULL, .env = &env
    };

    if (hash)
        sp.cert_hash = *hash;
    assert_int_equal(scram_verifier_make(str_bytes(STR("secret")), str_bytes(STR("0123456789abcdef")),
                                         iterations, &verifier),
                     OK);
    *x = (struct exchange){ .from_client = BUF_INIT(65536), .from_server = BUF_INIT(65536) };
    scram_server_init(&x->server, &sp);
    x->login = login_new(p, &arena);
    assert_non_null(x->login);
    AUTO(buf) struct buf mechanisms = BUF_INIT(256);
    assert_true(scram_server_mechanisms(hash != NULL, &mechanisms));
    backend_auth(&x->from_server, AUTH_SASL, buf_bytes(&mechanisms));
}

static void end(struct exchange *x)
{
    login_free(x->login);
    scram_server_fini(&x->server);
    buf_fini(&x->from_client);
    buf_fini(&x->from_server);
}

/* The client reads what the server wrote; what it answers becomes from_client. */
static enum login_step client_turn(struct exchange *x, struct err *e)
{
    size_t used;
    buf_reset(&x->from_client);
    enum login_step step = login_feed(x->login, buf_bytes(&x->from_server), &used, &x->from_client, e);

    buf_consume(&x->from_server, used);
    return step;
}

static void server_turn(struct exchange *x, enum auth_code code, enum scram_result expected)
{
    struct bytes payload;
    struct err e;

    assert_true(x->from_client.n > 5);
    assert_int_equal(scram_server_feed(&x->server, bytes_from(buf_bytes(&x->from_client), 5), &payload, &e),
                     expected);
    if (expected != SCRAM_FAIL)
        backend_auth(&x->from_server, code, payload);
}

static void run_scram(const struct login_params *p, const struct bytes *hash, bool bound)
{
    struct exchange x;
    struct err e;

    begin(&x, p, 4096, hash);
    assert_int_equal(client_turn(&x, &e), LOGIN_MORE);
    server_turn(&x, AUTH_SASL_CONTINUE, SCRAM_CONTINUE);
    assert_int_equal(client_turn(&x, &e), LOGIN_MORE);
    server_turn(&x, AUTH_SASL_FINAL, SCRAM_DONE);
    backend_auth(&x.from_server, AUTH_OK, bytes_of("", 0));
    backend_ready(&x.from_server, 'I');
    assert_int_equal(client_turn(&x, &e), LOGIN_AUTHENTICATED);
    assert_true(login_facts(x.login)->verified);
    assert_int_equal(login_facts(x.login)->used_plus, bound);
    assert_int_equal(login_facts(x.login)->asked, AUTH_BIT_SCRAM);
    assert_int_equal(x.from_server.n, 6); /* what follows AuthenticationOk is the session's */
    assert_int_equal(client_turn(&x, &e), LOGIN_READY);
    end(&x);
}

static void test_scram(void **state)
{
    struct login_params p = plain_params();
    struct bytes hash = bytes_of("0123456789abcdef0123456789abcdef", 32);

    (void)state;
    run_scram(&p, NULL, false);
    p.tls = true;
    p.end_point = hash;
    run_scram(&p, &hash, true);
    p.binding = CHANNEL_BINDING_REQUIRE;
    p.auth_allowed = AUTH_BIT_SCRAM;
    p.require_auth = STR("scram-sha-256");
    run_scram(&p, &hash, true);
}

static void test_scram_broken_off(void **state)
{
    struct login_params p = plain_params();
    struct exchange x;
    struct err e;

    (void)state;
    begin(&x, &p, 4096, NULL);
    assert_int_equal(client_turn(&x, &e), LOGIN_MORE);
    backend_auth(&x.from_server, AUTH_OK, bytes_of("", 0)); /* Ok without the server's proof */
    assert_int_equal(client_turn(&x, &e), LOGIN_FAIL);
    assert_string_equal(e.message, "server did not complete authentication");
    assert_int_equal(login_event(x.login), EVENT_LOCAL_ERROR);
    end(&x);
}

/* Whoever has begun to ask for a proof does not get the password instead. */
static void test_scram_left(void **state)
{
    static const struct {
        enum auth_code code;
        const char *payload, *text;
    } rows[] = {
        { AUTH_CLEARTEXT, "", "server requested a cleartext password within a SASL exchange" },
        { AUTH_MD5, "salt", "server requested a hashed password within a SASL exchange" },
        { AUTH_GSS, "", "server requested GSSAPI authentication within a SASL exchange" },
    };
    struct login_params p = plain_params();
    struct exchange x;
    struct err e;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        begin(&x, &p, 4096, NULL);
        assert_int_equal(client_turn(&x, &e), LOGIN_MORE);
        backend_auth(&x.from_server, rows[i].code, str_bytes(str_c(rows[i].payload)));
        assert_int_equal(client_turn(&x, &e), LOGIN_FAIL);
        assert_string_equal(e.message, rows[i].text);
        assert_int_equal(x.from_client.n, 0);
        end(&x);
    }
}

static void test_scram_work(void **state)
{
    struct login_params p = plain_params();
    struct exchange x;
    struct err e;

    (void)state;
    begin(&x, &p, SCRAM_ITERATIONS_INLINE + 1, NULL);
    assert_int_equal(client_turn(&x, &e), LOGIN_MORE);
    server_turn(&x, AUTH_SASL_CONTINUE, SCRAM_CONTINUE);
    assert_int_equal(client_turn(&x, &e), LOGIN_WORK);
    assert_int_equal(client_turn(&x, &e), LOGIN_WORK);
    login_work(x.login);
    assert_int_equal(client_turn(&x, &e), LOGIN_MORE);
    server_turn(&x, AUTH_SASL_FINAL, SCRAM_DONE);
    backend_auth(&x.from_server, AUTH_OK, bytes_of("", 0));
    assert_int_equal(client_turn(&x, &e), LOGIN_AUTHENTICATED);
    end(&x);
    p.iterations_max = 1000;
    begin(&x, &p, 4096, NULL);
    assert_int_equal(client_turn(&x, &e), LOGIN_MORE);
    server_turn(&x, AUTH_SASL_CONTINUE, SCRAM_CONTINUE);
    assert_int_equal(client_turn(&x, &e), LOGIN_FAIL);
    end(&x);
}

/* ---- the driver ---- */

static enum code keep(void *to, struct bytes data, struct err *e)
{
    struct buf *sent = to;

    if (sent->limit == 0)
        return err_set(e, E_CLOSED, "gone");
    buf_append(sent, data);
    return OK;
}

static void test_drive_work(void **state)
{
    const struct login_params p = plain_params();
    const struct conninfo info = { .protocol_min = PROTOCOL_3_0, .protocol_max = PROTOCOL_3_0 };
    struct exchange x;
    struct err e;

    (void)state;
    begin(&x, &p, SCRAM_ITERATIONS_INLINE + 1, NULL);
    const struct login_line line = { .send = keep, .to = &x.from_client };
    AUTO(login_drive) struct login_drive *drive = login_drive_new(&info, &p, &line);
    assert_non_null(drive);
    assert_int_equal(login_drive_begin(drive, &e), OK);
    assert_memory_equal(x.from_client.p, "\0\0\0\20\0\3\0\0user\0u\0", 15);
    buf_reset(&x.from_client);
    assert_int_equal(login_drive_feed(drive, &x.from_server, &e), LOGIN_MORE);
    server_turn(&x, AUTH_SASL_CONTINUE, SCRAM_CONTINUE);
    buf_reset(&x.from_client);
    assert_int_equal(login_drive_feed(drive, &x.from_server, &e), LOGIN_MORE); /* nobody was asked to wait */
    server_turn(&x, AUTH_SASL_FINAL, SCRAM_DONE);
    backend_auth(&x.from_server, AUTH_OK, bytes_of("", 0));
    backend_ready(&x.from_server, 'I');
    assert_int_equal(login_drive_feed(drive, &x.from_server, &e), LOGIN_AUTHENTICATED);
    assert_true(login_facts(login_drive_login(drive))->verified);
    assert_int_equal(login_drive_feed(drive, &x.from_server, &e), LOGIN_READY);
    assert_int_equal(x.from_server.n, 0);
    end(&x);
}

static void drive_once(struct buf *sent, const char *in, size_t n, enum login_step expected)
{
    const struct login_params p = plain_params();
    const struct conninfo info = { .protocol_min = PROTOCOL_3_0, .protocol_max = PROTOCOL_3_0 };
    const struct login_line line = { .send = keep, .to = sent };
    AUTO(login_drive) struct login_drive *drive = login_drive_new(&info, &p, &line);
    AUTO(buf) struct buf from_server = BUF_INIT(1024);
    struct err e;

    assert_non_null(drive);
    buf_append(&from_server, bytes_of(in, n));
    assert_int_equal(login_drive_feed(drive, &from_server, &e), expected);
}

static void test_drive_ends(void **state)
{
    static const char ask[] = "R\0\0\0\10\0\0\0\3", both[] = "R\0\0\0\10\0\0\0\3E\0\0\0\11Mno\0";
    AUTO(buf) struct buf sent = BUF_INIT(1024);
    struct buf gone = BUF_INIT(0);

    (void)state;
    drive_once(&gone, ask, sizeof ask - 1, LOGIN_LOST);
    drive_once(&sent, ask, sizeof ask - 1, LOGIN_MORE);
    assert_memory_equal(sent.p, "p\0\0\0\13secret", 12);
    buf_reset(&sent);
    drive_once(&sent, both, sizeof both, LOGIN_REFUSED); /* its password is not for who says no already */
    assert_int_equal(sent.n, 0);
}

/* ---- hostile input ---- */

static void feed_exact(struct bytes data)
{
    struct login_params p = plain_params();
    AUTO(arena) struct arena own;
    arena_init(&own, 1 << 20, 4096);
    struct login *login = login_new(&p, &own);
    AUTO(buf) struct buf out = BUF_INIT(65536);
    uint8_t *copy = malloc(data.n ? data.n : 1); /* exactly so long: the sanitizer sees reads beyond it */
    size_t at = 0, used = 1;
    enum login_step step = LOGIN_MORE;
    struct err e;

    assert_non_null(copy);
    assert_non_null(login);
    memcpy(copy, data.p, data.n);
    while (used > 0 && (step == LOGIN_MORE || step == LOGIN_AUTHENTICATED)) {
        step = login_feed(login, bytes_of(copy + at, data.n - at), &used, &out, &e);
        assert_true(used <= data.n - at);
        at += used;
    }
    free(copy);
    login_free(login);
}

static void test_hostile(void **state)
{
    const struct bytes all[] = {
        MSG('R', "\0\0\0\12SCRAM-SHA-256\0\0"),   MSG('R', "\0\0\0\5abcd"),
        MSG('R', "\0\0\0\13r=abc,s=QQ==,i=4096"), MSG('E', "SFATAL\0VFATAL\0C28P01\0Mno\0Dd\0Hh\0\0"),
        MSG('v', "\0\3\0\0\0\0\0\1_pq_.x\0"),     MSG('R', "\0\0\0\0"),
    };
    const struct bytes late[] = { MSG('K', "\0\0\0\7abcd"), MSG('S', "a\0b\0"), MSG('N', "SNOTICE\0\0"),
                                  MSG('Z', "I") };
    AUTO(buf) struct buf b = BUF_INIT(4096);

    (void)state;
    for (size_t i = 0; i < COUNT_OF(all) + COUNT_OF(late); i++) {
        struct bytes m = i < COUNT_OF(all) ? all[i] : late[i - COUNT_OF(all)];
        buf_reset(&b);
        if (i >= COUNT_OF(all))
            (void)buf_append(&b, MSG('R', "\0\0\0\0"));
        (void)buf_append(&b, m);
        for (size_t cut = 0; cut <= b.n; cut++)
            feed_exact(bytes_of(b.p, cut));
        for (size_t bit = 0; bit < b.n * 8; bit++) {
            b.p[bit / 8] ^= (uint8_t)(1U << bit % 8);
            feed_exact(buf_bytes(&b));
            b.p[bit / 8] ^= (uint8_t)(1U << bit % 8);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_requests, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_require_auth, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_binding, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_strange_servers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_version, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_events, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_session, set_up, tear_down),
        cmocka_unit_test(test_attrs),
        cmocka_unit_test_setup_teardown(test_scram, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_scram_broken_off, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_scram_left, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_scram_work, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_drive_work, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_drive_ends, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_hostile, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
