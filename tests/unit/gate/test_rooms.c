/* The first rooms of a session, as bytes in and bytes out: what a client sends, and what each room makes of it. */
#include "../pki/made.h"
#include "auth/scram_client.h"
#include "auth/verifier.h"
#include "base/rd.h"
#include "gate/session/admit.h"
#include "gate/session/greet.h"
#include "gate/session/seal.h"
#include "gate/session/startup.h"
#include "net/stream.h"
#include "pgwire/backend.h"
#include "pgwire/frontend.h"
#include "rooms.h"
#include "tls/client_context.h"
#include "tls/engine.h"

enum { ROOM_MAX = 64 * 1024, ROUNDS_MAX = 10 };

static const char rules[] = "local all trusted trust\nlocal all m md5\nlocal all p password\n"
                            "local all no reject\nlocal all s scram-sha-256\nhostssl all all all trust\n";

/* ---- what all tests need ---- */

static int set_up(void **state)
{
    static struct rooms rooms;
    AUTO(buf) struct buf cert = BUF_INIT(ROOM_MAX), key = BUF_INIT(ROOM_MAX);
    struct made ca = made_ca("the rooms' CA", KEY_P256);
    struct made leaf = made_leaf("db.example", CA_USE_SERVER, &ca);

    memset(&rooms, 0, sizeof rooms);
    assert_int_equal(cert_to_pem(leaf.cert, &cert), OK);
    assert_int_equal(key_to_pem(leaf.key, NULL, &key, NULL), OK);
    const struct rooms_file files[] = {
        { "pgseal.conf", "upstream = 'host=/nonexistent'\nauth_source = file\nauth_file = 'users'\n"
                         "upstream_login = 'scram, peer'\nssl = on\nssl_cert_file = 'server.crt'\n"
                         "ssl_key_file = 'server.key'\nscram_iterations = 1\n" },
        { "pg_hba.conf", rules },
        { "pg_ident.conf", "" },
        { "users", "\"m\" \"md53175bce1d3201d16594cebf9d7eb3f9d\"\n\"p\" \"right\"\n\"s\" \"right\"\n" },
        { "server.crt", buf_c(&cert) },
        { "server.key", buf_c(&key) },
        { NULL, NULL },
    };
    rooms_open(&rooms, made_env());
    rooms.worker.snapshot = rooms_load(&rooms, files);
    made_free(&leaf);
    made_free(&ca);
    *state = &rooms;
    return 0;
}

static int tear_down(void **state)
{
    rooms_close(*state);
    return 0;
}

/* A session that no walk moves on. */
static void begin(struct rooms *r, struct session *s, bool local)
{
    *s = (struct session){ .worker = &r->worker,
                           .snapshot = r->worker.snapshot,
                           .origin = local ? ORIGIN_UNIX : ORIGIN_TCP,
                           .in = BUF_INIT(ROOM_MAX),
                           .out = BUF_INIT(ROOM_MAX),
                           .peer.n = sizeof(sa_family_t),
                           .client.fd = -1,
                           .client.room = &r->worker.room,
                           .server.fd = -1 };
    s->peer.ss.ss_family = local ? AF_UNIX : AF_INET;
    arena_init(&s->arena, SESSION_ARENA_MAX, SESSION_ARENA_FIRST);
    arena_init(&s->scratch, SESSION_SCRATCH_MAX, 1024);
}

static void end(struct session *s)
{
    admit_leave(s);
    stream_close(&s->client);
    buf_fini(&s->in);
    buf_fini(&s->out);
    arena_fini(&s->scratch);
    arena_fini(&s->arena);
}

static void come(struct session *s, const void *bytes, size_t n)
{
    assert_true(buf_append(&s->in, bytes_of(bytes, n)));
}

#define COME(s, text) come(s, text, sizeof(text) - 1)

static void assert_out(struct session *s, const char *expected, size_t n)
{
    assert_int_equal(s->out.n, n);
    assert_memory_equal(s->out.p, expected, n);
    buf_reset(&s->out);
}

/* ---- greet ---- */

#define SSL_REQUEST "\0\0\0\x08\x04\xd2\x16\x2f"
#define GSSENC_REQUEST "\0\0\0\x08\x04\xd2\x16\x30"
#define CANCEL_REQUEST "\0\0\0\x10\x04\xd2\x16\x2e\0\0\0\1\0\0\0\2"

static void greet_answers_requests(void **state)
{
    struct session s;
    struct err e;

    begin(*state, &s, true);
    COME(&s, GSSENC_REQUEST);
    assert_int_equal(greet_step(&s, &e), STEP_MORE);
    assert_out(&s, "N", 1);
    COME(&s, SSL_REQUEST);
    assert_int_equal(greet_step(&s, &e), STEP_MORE); /* no TLS over a unix socket */
    assert_out(&s, "N", 1);
    COME(&s, CANCEL_REQUEST);
    assert_int_equal(greet_step(&s, &e), STEP_DONE);
    assert_int_equal(s.next, STATE_STARTUP);
    assert_int_equal(s.out.n, 0);
    end(&s);
    begin(*state, &s, false);
    COME(&s, SSL_REQUEST "early");
    assert_int_equal(greet_step(&s, &e), STEP_DONE);
    assert_int_equal(s.next, STATE_SEAL);
    assert_out(&s, "S", 1);
    assert_int_equal(s.in.n, 5); /* the handshake's */
    end(&s);
}

static void greet_takes_bytes_as_they_come(void **state)
{
    static const char hello[] = "\0\0\0\x11\0\3\0\0user\0me\0";
    struct session s;
    struct err e;

    begin(*state, &s, true);
    for (size_t i = 0; i < sizeof hello; i++) { /* the last one is the literal's own */
        come(&s, hello + i, 1);
        assert_int_equal(greet_step(&s, &e), i + 1 < sizeof hello ? STEP_MORE : STEP_DONE);
        assert_int_equal(s.out.n, 0);
    }
    assert_int_equal(s.next, STATE_STARTUP);
    end(&s);
}

static void greet_refuses(void **state)
{
    static const struct {
        const char *bytes;
        size_t n;
        bool ended;
        enum parting parting;
        const char *words; /* NULL: nothing is said */
    } cases[] = {
        { SSL_REQUEST "x", 9, false, PARTING_FATAL, "received unencrypted data after SSL request" },
        { GSSENC_REQUEST "x", 9, false, PARTING_FATAL,
          "received unencrypted data after GSSAPI encryption request" },
        { "\0\0\0\2\0\3\0\0", 8, false, PARTING_LOGGED, "invalid length of startup packet" },
        { "\0\0\0\x20\0\3\0\0", 8, true, PARTING_LOGGED, "incomplete startup packet" },
        { "", 0, true, PARTING_SILENT, NULL },
        { "\x16\3\1", 3, false, PARTING_SILENT, NULL },
    };
    struct session s;

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct err e = { 0 };
        begin(*state, &s, true);
        come(&s, cases[i].bytes, cases[i].n);
        s.flags = cases[i].ended ? SESSION_DEAF : 0;
        assert_int_equal(greet_step(&s, &e), STEP_FAIL);
        assert_int_equal(s.parting, cases[i].parting);
        if (cases[i].words)
            assert_string_equal(e.message, cases[i].words);
        end(&s);
    }
}

/* ---- startup ---- */

static enum step start(struct session *s, uint32_t version, const char *user, struct err *e)
{
    const struct parameter parameters[] = { { STR("user"), str_c(user) }, { STR("database"), STR("db") } };

    frontend_startup(&s->in, version, parameters, COUNT_OF(parameters));
    return startup_step(s, e);
}

static void startup_reads_the_packet(void **state)
{
    struct rooms *r = *state;
    struct session s;
    struct err e;

    begin(r, &s, true);
    assert_int_equal(start(&s, 0x30000, "me", &e), STEP_DONE);
    assert_int_equal(s.next, STATE_ADMIT);
    assert_str(s.startup.user, "me");
    assert_str(s.startup.database, "db");
    assert_int_equal(s.in.n, 0);
    assert_int_equal(s.out.n, 0);
    end(&s);
    begin(r, &s, true);
    assert_int_equal(start(&s, 0x30009, "me", &e), STEP_DONE);
    assert_int_equal(s.out.p[0], 'v'); /* NegotiateProtocolVersion */
    end(&s);
    begin(r, &s, true);
    COME(&s, CANCEL_REQUEST);
    assert_int_equal(startup_step(&s, &e), STEP_DONE);
    assert_int_equal(s.next, STATE_CANCEL);
    end(&s);
}

static void startup_refuses(void **state)
{
    struct rooms *r = *state;
    struct session s;
    struct err e;

    begin(r, &s, true);
    assert_int_equal(start(&s, 0x20000, "me", &e), STEP_FAIL);
    assert_int_equal(s.parting, PARTING_FATAL_V2);
    end(&s);
    begin(r, &s, true);
    assert_int_equal(start(&s, 0x30000, "", &e), STEP_FAIL);
    assert_int_equal(s.parting, PARTING_FATAL);
    assert_string_equal(e.message, "no PostgreSQL user name specified in startup packet");
    end(&s);
    begin(r, &s, true);
    r->worker.draining = true;
    assert_int_equal(start(&s, 0x30000, "me", &e), STEP_FAIL);
    assert_string_equal(e.message, "the database system is shutting down");
    r->worker.draining = false;
    end(&s);
    begin(r, &s, true);
    s.origin = ORIGIN_GATE;
    assert_int_equal(start(&s, 0x30000, "me", &e), STEP_FAIL);
    assert_int_equal(s.parting, PARTING_LOGGED);
    end(&s);
}

/* ---- admit and exchange ---- */

static enum step knock(struct rooms *r, struct session *s, const char *user, struct err *e)
{
    begin(r, s, true);
    assert_int_equal(start(s, 0x30000, user, e), STEP_DONE);
    return admit_step(s, e);
}

static void admit_by_rule(void **state)
{
    struct session s;
    struct err e;

    assert_int_equal(knock(*state, &s, "trusted", &e), STEP_DONE);
    assert_int_equal(s.next, STATE_ROUTE);
    assert_int_equal(s.out.n, 0);
    end(&s);
    assert_int_equal(knock(*state, &s, "no", &e), STEP_FAIL);
    assert_int_equal(s.cause, CAUSE_REJECTED);
    assert_string_equal(e.message,
                        "pg_hba.conf rejects connection for host \"[local]\", user \"no\", database "
                        "\"db\", no encryption");
    end(&s);
    assert_int_equal(knock(*state, &s, "stranger", &e), STEP_FAIL);
    assert_int_equal(s.cause, CAUSE_NO_RULE);
    end(&s);
}

static void exchange_in_cleartext(void **state)
{
    struct session s;
    struct err e;

    assert_int_equal(knock(*state, &s, "p", &e), STEP_MORE);
    assert_out(&s, "R\0\0\0\x08\0\0\0\3", 9);
    COME(&s, "p\0\0\0\x0aright"); /* all but the last byte */
    assert_int_equal(admit_step(&s, &e), STEP_MORE);
    come(&s, "", 1);
    assert_int_equal(admit_step(&s, &e), STEP_DONE);
    assert_int_equal(s.next, STATE_ROUTE);
    end(&s);
    assert_int_equal(knock(*state, &s, "p", &e), STEP_MORE);
    COME(&s, "p\0\0\0\x0awrong\0");
    assert_int_equal(admit_step(&s, &e), STEP_FAIL);
    assert_int_equal(e.code, E_PASSWORD);
    assert_string_equal(e.message, "password authentication failed for user \"p\"");
    end(&s);
    assert_int_equal(knock(*state, &s, "p", &e), STEP_MORE);
    COME(&s, "Q\0\0\0\x05\0");
    assert_int_equal(admit_step(&s, &e), STEP_FAIL);
    assert_string_equal(e.message, "expected password response, got message type 81");
    end(&s);
}

static void exchange_of_md5(void **state)
{
    static const char stored[] = "3175bce1d3201d16594cebf9d7eb3f9d";
    char answer[] = "p\0\0\0\x28md5................................";
    struct session s;
    struct err e;

    for (int wrong = 0; wrong < 2; wrong++) {
        assert_int_equal(knock(*state, &s, "m", &e), STEP_MORE);
        assert_int_equal(s.out.n, 13);
        assert_memory_equal(s.out.p, "R\0\0\0\x0c\0\0\0\5", 9);
        assert_int_equal(md5_response_hex(stored, s.out.p + 9, answer + 8), OK);
        answer[39] = (char)(wrong ? answer[39] ^ 1 : answer[39]);
        come(&s, answer, sizeof answer);
        assert_int_equal(admit_step(&s, &e), wrong ? STEP_FAIL : STEP_DONE);
        assert_int_equal(s.in.n, 0);
        end(&s);
    }
}

/* The payload of the Authentication message that the room has written. */
static struct bytes payload(struct session *s)
{
    assert_true(s->out.n > 9 && s->out.p[0] == 'R');
    return bytes_from(buf_bytes(&s->out), 9);
}

static enum step prove(struct rooms *r, struct session *s, const char *password, struct err *e)
{
    AUTO(buf) struct buf first = BUF_INIT(ROOM_MAX), proof = BUF_INIT(ROOM_MAX);
    AUTO(scram_client) struct scram_client client = { 0 };
    const struct scram_client_params params = { .password = str_bytes(str_c(password)), .env = &r->env };

    scram_client_init(&client, &params);
    assert_int_equal(scram_client_start(&client, payload(s), &first, e), OK);
    buf_reset(&s->out);
    buf_append_byte(&s->in, 'p');
    const uint8_t first_n[] = { 0, 0, 0, (uint8_t)(first.n + 4) };
    come(s, first_n, sizeof first_n);
    come(s, first.p, first.n);
    assert_int_equal(admit_step(s, e), STEP_MORE);
    assert_int_equal(scram_client_challenge(&client, payload(s), e), OK);
    buf_reset(&s->out);
    assert_int_equal(scram_client_respond(&client, &proof, e), OK);
    frontend_sasl_response(&s->in, buf_bytes(&proof));
    enum step step = admit_step(s, e);
    assert_int_equal(s->out.n, 0); /* the gate's signature waits for the upstream server's word */
    return step;
}

static void exchange_of_scram(void **state)
{
    struct session s;
    struct err e;

    assert_int_equal(knock(*state, &s, "s", &e), STEP_MORE);
    assert_int_equal(prove(*state, &s, "right", &e), STEP_DONE);
    assert_int_equal(s.next, STATE_ROUTE);
    assert_str(s.identity, "s");
    end(&s);
    assert_int_equal(knock(*state, &s, "s", &e), STEP_MORE);
    assert_int_equal(prove(*state, &s, "wrong", &e), STEP_FAIL);
    assert_int_equal(e.code, E_PASSWORD);
    end(&s);
}

/* ---- seal ---- */

static void ignore(void *arg, unsigned events)
{
    (void)arg;
    (void)events;
}

static void seal_with_a_client(void **state)
{
    struct rooms *r = *state;
    static const struct tls_client_params params = { .root_file = "",
                                                     .crl_file = "",
                                                     .crl_dir = "",
                                                     .cert_file = "",
                                                     .key_file = "",
                                                     .no_prompt = true,
                                                     .min_version = TLS_1_2 };
    static uint8_t room[ROOM_MAX];
    struct tls_context *context = NULL;
    struct tls_port *port = tls_port_new();
    struct session s;
    struct err e;

    begin(r, &s, false);
    assert_int_equal(stream_open(&s.client, &r->worker.room, MEMORY_FD, ignore, NULL), OK);
    assert_int_equal(tls_client_context_new(r->worker.library, &params, &context, &e), OK);
    struct tls_engine *client = tls_engine_new_client(port, context, "db.example", true);
    assert_non_null(client);
    struct tls_io io = { .out = room, .out_size = sizeof room };
    assert_int_equal(tls_engine_handshake(client, &io, &e), TLS_WANT_INPUT);
    come(&s, io.out, io.out_n); /* came behind the SSLRequest */
    buf_append_byte(&s.out, 'S');
    enum step step = seal_enter(&s, &e);
    for (int round = 0; step == STEP_MORE && round < ROUNDS_MAX; round++) {
        struct bytes sent = memory_io_sent();
        if (round == 0) {
            assert_int_equal(sent.p[0], 'S');
            sent = bytes_from(sent, 1);
        }
        io = (struct tls_io){ .in = sent, .out = room, .out_size = sizeof room };
        assert_int_not_equal(tls_engine_handshake(client, &io, &e), TLS_FAILED);
        memory_io_feed(bytes_of(io.out, io.out_n), false);
        step = seal_step(&s, &e);
    }
    assert_int_equal(step, STEP_DONE);
    assert_int_equal(s.next, STATE_GREET);
    assert_true(s.tls.used && s.tls.alpn && !s.tls.has_cert);
    assert_str(s.tls.sni, "db.example");
    assert_string_equal(s.tls.version, "TLSv1.3");
    tls_engine_free(client);
    tls_context_free(context);
    tls_port_free(port);
    end(&s);
}

static void seal_with_a_stranger(void **state)
{
    struct rooms *r = *state;
    struct session s;
    struct err e;

    begin(r, &s, false);
    assert_int_equal(stream_open(&s.client, &r->worker.room, MEMORY_FD, ignore, NULL), OK);
    COME(&s, "GET / HTTP/1.1\r\n");
    assert_int_equal(seal_enter(&s, &e), STEP_FAIL);
    assert_int_equal(s.parting, PARTING_SILENT);
    struct bytes alert = memory_io_sent();
    assert_true(alert.n == 0 || alert.p[0] == 0x15);
    assert_false(s.tls.used);
    end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(greet_answers_requests), cmocka_unit_test(greet_takes_bytes_as_they_come),
        cmocka_unit_test(greet_refuses),          cmocka_unit_test(startup_reads_the_packet),
        cmocka_unit_test(startup_refuses),        cmocka_unit_test(admit_by_rule),
        cmocka_unit_test(exchange_in_cleartext),  cmocka_unit_test(exchange_of_md5),
        cmocka_unit_test(exchange_of_scram),      cmocka_unit_test(seal_with_a_client),
        cmocka_unit_test(seal_with_a_stranger),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
