/* Both halves of SCRAM: against each other, and the server's against hostile clients. */
#include "../unit.h"

#include "auth/scram_client.h"
#include "auth/scram_server.h"
#include "base/base64.h"
#include "base/check.h"
#include "base/env.h"

#define CLIENT_NONCE "rOprNGfwEbeRWgbNEkqO"
#define FIRST_N "n,,n=,r=" CLIENT_NONCE
/* Our half of the nonce under count_up: 18 bytes from 0 on. */
#define SERVER_NONCE "AAECAwQFBgcICQoLDA0ODxAR"
#define BOTH CLIENT_NONCE SERVER_NONCE
#define PROOF "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="

static const uint8_t cert_hash[32] = { 0xAB, 1, 2, 3 };

static bool count_up(void *ctx, void *out, size_t n)
{
    (void)ctx;
    for (size_t i = 0; i < n; i++)
        ((uint8_t *)out)[i] = (uint8_t)i;
    return true;
}

static bool no_random(void *ctx, void *out, size_t n)
{
    (void)ctx;
    (void)out;
    (void)n;
    return false;
}

static const struct env env = { .random = count_up };

static struct scram_verifier verifier_of(const char *password)
{
    static const uint8_t salt[SCRAM_SALT_BYTES] = { 1, 2, 3 };
    struct scram_verifier v;

    assert_int_equal(scram_verifier_make(str_bytes(str_c(password)), bytes_of(salt, sizeof salt), 16, &v),
                     OK);
    return v;
}

enum transport { PLAIN, TLS, TLS_NO_DIGEST };

static void server_start(struct scram_server *server, const struct scram_verifier *v,
                         enum transport transport)
{
    const struct scram_server_params params = {
        .user = STR("alice"),
        .verifier = v,
        .tls = transport != PLAIN,
        .cert_hash = bytes_of(cert_hash, transport == TLS ? sizeof cert_hash : 0),
        .env = &env,
    };
    scram_server_init(server, &params);
}

/* Body of SASLInitialResponse. */
static struct bytes initial(struct buf *b, const char *mechanism, struct str data)
{
    const uint8_t length[4] = { 0, 0, (uint8_t)(data.n >> 8), (uint8_t)data.n };

    buf_reset(b);
    assert_true(buf_append_c(b, mechanism) && buf_append_byte(b, 0) && buf_append(b, bytes_of(length, 4)) &&
                buf_append_str(b, data));
    return buf_bytes(b);
}

struct refusal {
    enum transport transport;
    const char *mechanism;
    const char *first;
    const char *final; /* NULL: the first message fails */
    enum code code;
    const char *message;
    const char *detail;
};

#define MALFORMED E_PROTOCOL, "malformed SCRAM message"
#define PLUS SCRAM_MECHANISM_PLUS
#define BASE SCRAM_MECHANISM

static const struct refusal refusals[] = {
    { PLAIN, PLUS, FIRST_N, NULL, E_PROTOCOL, "client selected an invalid SASL authentication mechanism",
      "" },
    { TLS, "scram-sha-256", FIRST_N, NULL, E_PROTOCOL,
      "client selected an invalid SASL authentication mechanism", "" },
    { TLS, "", FIRST_N, NULL, E_PROTOCOL, "client selected an invalid SASL authentication mechanism", "" },
    { PLAIN, BASE, "", NULL, MALFORMED, "The message is empty." },
    { TLS, PLUS, FIRST_N, NULL, MALFORMED,
      "The client selected SCRAM-SHA-256-PLUS, but the SCRAM message does not include channel binding data." },
    { TLS, PLUS, "y,,n=,r=x", NULL, MALFORMED,
      "The client selected SCRAM-SHA-256-PLUS, but the SCRAM message does not include channel binding data." },
    { TLS, BASE, "y,,n=,r=x", NULL, E_AUTH, "SCRAM channel binding negotiation error",
      "The client supports SCRAM channel binding but thinks the server does not.  However, this server does "
      "support channel binding." },
    { PLAIN, BASE, "p=tls-server-end-point,,n=,r=x", NULL, MALFORMED,
      "The client selected SCRAM-SHA-256 without channel binding, but the SCRAM message includes channel "
      "binding data." },
    { TLS, BASE, "p=tls-server-end-point,,n=,r=x", NULL, MALFORMED,
      "The client selected SCRAM-SHA-256 without channel binding, but the SCRAM message includes channel "
      "binding data." },
    { TLS, PLUS, "p=tls-unique,,n=,r=x", NULL, E_PROTOCOL,
      "unsupported SCRAM channel-binding type \"tls-unique\"", "" },
    { TLS, PLUS, "p=tls-exporter", NULL, E_PROTOCOL,
      "unsupported SCRAM channel-binding type \"tls-exporter\"", "" },
    { TLS, PLUS, "p=,,n=,r=x", NULL, E_PROTOCOL, "unsupported SCRAM channel-binding type \"\"", "" },
    { TLS, PLUS,
      "p=a b\xc3\xa4\x01"
      "0123456789012345678901234567890",
      NULL, E_PROTOCOL, "unsupported SCRAM channel-binding type \"a?b???012345678901234567890123\"", "" },
    { TLS, PLUS, "p", NULL, MALFORMED, "Expected character \"=\" for attribute \"p\"." },
    { PLAIN, BASE, "x,,n=,r=x", NULL, MALFORMED, "Unexpected channel-binding flag \"'x'\"." },
    { PLAIN, BASE, " ", NULL, MALFORMED, "Unexpected channel-binding flag \"0x20\"." },
    { PLAIN, BASE, "\xe4", NULL, MALFORMED, "Unexpected channel-binding flag \"0xe4\"." },
    { PLAIN, BASE, "n", NULL, MALFORMED, "Comma expected, but found character \"0x00\"." },
    { PLAIN, BASE, "yx", NULL, MALFORMED, "Comma expected, but found character \"'x'\"." },
    { PLAIN, BASE, "n,a=bob,n=,r=x", NULL, E_UNSUPPORTED,
      "client uses authorization identity, but it is not supported", "" },
    { PLAIN, BASE, "n,x=bob,n=,r=x", NULL, MALFORMED,
      "Unexpected attribute \"'x'\" in client-first-message." },
    { PLAIN, BASE, "n,", NULL, MALFORMED, "Unexpected attribute \"0x00\" in client-first-message." },
    { TLS, PLUS, "p=tls-server-end-point", NULL, MALFORMED,
      "Unexpected attribute \"0x00\" in client-first-message." },
    { PLAIN, BASE, "n,,m=must,n=,r=x", NULL, E_UNSUPPORTED, "client requires an unsupported SCRAM extension",
      "" },
    { PLAIN, BASE, "n,,r=x,n=", NULL, MALFORMED, "Expected attribute \"n\" but found \"'r'\"." },
    { PLAIN, BASE, "n,,", NULL, MALFORMED, "Expected attribute \"n\" but found \"0x00\"." },
    { PLAIN, BASE, "n,,n", NULL, MALFORMED, "Expected character \"=\" for attribute \"n\"." },
    { PLAIN, BASE, "n,,n=bob", NULL, MALFORMED, "Expected attribute \"r\" but found \"0x00\"." },
    { PLAIN, BASE, "n,,n=bob,r", NULL, MALFORMED, "Expected character \"=\" for attribute \"r\"." },
    { PLAIN, BASE, "n,,n=,r=a b", NULL, E_PROTOCOL, "non-printable characters in SCRAM nonce", "" },
    { PLAIN, BASE, "n,,n=,r=\xc3\xa4", NULL, E_PROTOCOL, "non-printable characters in SCRAM nonce", "" },
    { PLAIN, BASE, "n,,n=,r=a\x7f", NULL, E_PROTOCOL, "non-printable characters in SCRAM nonce", "" },
    { PLAIN, BASE, "n,,n=,r=a,,", NULL, MALFORMED,
      "Attribute expected, but found invalid character \"','\"." },
    { PLAIN, BASE, "n,,n=,r=a,1=x", NULL, MALFORMED,
      "Attribute expected, but found invalid character \"'1'\"." },
    { PLAIN, BASE, "n,,n=,r=a,\xc3=x", NULL, MALFORMED,
      "Attribute expected, but found invalid character \"0xc3\"." },
    { PLAIN, BASE, "n,,n=,r=a,x", NULL, MALFORMED, "Expected character \"=\" for attribute \"x\"." },

    { PLAIN, BASE, FIRST_N, "", MALFORMED, "The message is empty." },
    { PLAIN, BASE, FIRST_N, "r=x", MALFORMED, "Expected attribute \"c\" but found \"'r'\"." },
    { PLAIN, BASE, FIRST_N, "c", MALFORMED, "Expected character \"=\" for attribute \"c\"." },
    { PLAIN, BASE, FIRST_N, "c=eSws,r=" BOTH ",p=" PROOF, E_PROTOCOL,
      "unexpected SCRAM channel-binding attribute in client-final-message", "" },
    { PLAIN, BASE, "y,,n=,r=" CLIENT_NONCE, "c=biws,r=" BOTH ",p=" PROOF, E_PROTOCOL,
      "unexpected SCRAM channel-binding attribute in client-final-message", "" },
    { TLS, PLUS, "p=tls-server-end-point,,n=,r=" CLIENT_NONCE, "c=biws,r=" BOTH ",p=" PROOF, E_AUTH,
      "SCRAM channel binding check failed", "" },
    { TLS_NO_DIGEST, PLUS, "p=tls-server-end-point,,n=,r=" CLIENT_NONCE, "c=biws,r=" BOTH ",p=" PROOF,
      E_INTERNAL, "could not find digest for NID UNDEF", "" },
    { PLAIN, BASE, FIRST_N, "c=biws", MALFORMED, "Expected attribute \"r\" but found \"0x00\"." },
    { PLAIN, BASE, FIRST_N, "c=biws,r=" BOTH, MALFORMED, "Attribute expected, but found end of string." },
    { PLAIN, BASE, FIRST_N, "c=biws,r=" BOTH ",x=1,", MALFORMED,
      "Attribute expected, but found end of string." },
    { PLAIN, BASE, FIRST_N, "c=biws,r=" BOTH ",p", MALFORMED,
      "Expected character \"=\" for attribute \"p\"." },
    { PLAIN, BASE, FIRST_N, "c=biws,r=" BOTH ",p=", MALFORMED, "Malformed proof in client-final-message." },
    { PLAIN, BASE, FIRST_N, "c=biws,r=" BOTH ",p=Zm9v", MALFORMED,
      "Malformed proof in client-final-message." },
    { PLAIN, BASE, FIRST_N, "c=biws,r=" BOTH ",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ", MALFORMED,
      "Malformed proof in client-final-message." },
    { PLAIN, BASE, FIRST_N, "c=biws,r=" BOTH ",p=" PROOF ",x=1", MALFORMED,
      "Garbage found at the end of client-final-message." },
    { PLAIN, BASE, FIRST_N, "c=biws,r=" BOTH "x,p=" PROOF, E_PROTOCOL, "invalid SCRAM response",
      "Nonce does not match." },
    { PLAIN, BASE, FIRST_N, "c=biws,r=" CLIENT_NONCE ",p=" PROOF, E_PROTOCOL, "invalid SCRAM response",
      "Nonce does not match." },
    { PLAIN, BASE, FIRST_N, "c=biws,r=,p=" PROOF, E_PROTOCOL, "invalid SCRAM response",
      "Nonce does not match." },
    { PLAIN, BASE, FIRST_N, "c=biws,r=" BOTH ",p=" PROOF, E_PASSWORD,
      "password authentication failed for user \"alice\"", "" },
    { PLAIN, BASE, FIRST_N, "c=biws,r=" BOTH ",x=1,p=" PROOF ",", E_PASSWORD,
      "password authentication failed for user \"alice\"", "" },
};

static void every_refusal_has_its_text(void **state)
{
    (void)state;
    const struct scram_verifier v = verifier_of("pencil");

    for (size_t i = 0; i < COUNT_OF(refusals); i++) {
        const struct refusal *r = &refusals[i];
        AUTO(scram_server) struct scram_server server;
        AUTO(buf) struct buf b = BUF_INIT(2048);
        struct bytes out;
        struct err e = { 0 };

        server_start(&server, &v, r->transport);
        enum scram_result result = scram_server_feed(&server, initial(&b, r->mechanism, str_c(r->first)),
                                                     &out, &e);
        if (r->final) {
            assert_int_equal(result, SCRAM_CONTINUE);
            result = scram_server_feed(&server, str_bytes(str_c(r->final)), &out, &e);
        }
        assert_int_equal(result, SCRAM_FAIL);
        assert_int_equal(e.code, r->code);
        assert_string_equal(e.message, r->message);
        assert_string_equal(e.detail, r->detail);
    }
}

static void accepted_first_messages(void **state)
{
    (void)state;
    static const struct {
        enum transport transport;
        const char *mechanism, *first, *nonce;
        char flag;
    } cases[] = {
        { PLAIN, BASE, "n,,n=,r=abc", "abc", 'n' },
        { PLAIN, BASE, "y,,n=,r=abc", "abc", 'y' },
        { TLS, BASE, "n,,n=someone,r=abc", "abc", 'n' },
        { TLS, PLUS, "p=tls-server-end-point,,n=,r=abc", "abc", 'p' },
        { PLAIN, BASE, "n,,n=,r=", "", 'n' },
        { PLAIN, BASE, "n,,n=,r=abc,", "abc", 'n' },
        { PLAIN, BASE, "n,,n=,r=abc,x=1,y=,", "abc", 'n' },
        { PLAIN, BASE, "n,,n=,r=a=b", "a=b", 'n' },
    };
    const struct scram_verifier v = verifier_of("pencil");

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        AUTO(scram_server) struct scram_server server;
        AUTO(buf) struct buf b = BUF_INIT(2048), expected = BUF_INIT(256);
        struct bytes out;

        server_start(&server, &v, cases[i].transport);
        assert_int_equal(
            scram_server_feed(&server, initial(&b, cases[i].mechanism, str_c(cases[i].first)), &out, NULL),
            SCRAM_CONTINUE);
        assert_true(
            buf_printf(&expected, "r=%s" SERVER_NONCE ",s=AQIDAAAAAAAAAAAAAAAAAA==,i=16", cases[i].nonce));
        assert_str(str_from_bytes(out), buf_c(&expected));
        assert_int_equal(scram_server_gs2_flag(&server), cases[i].flag);
        assert_false(scram_server_bound(&server));
    }
}

static void envelopes(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        size_t n;
        const char *message;
    } cases[] = {
        { "", 0, "invalid string in message" },
        { "SCRAM-SHA-256", 13, "invalid string in message" },
        { "SCRAM-SHA-256", 14, "insufficient data left in message" },
        { "SCRAM-SHA-256\0\0\0\0", 17, "insufficient data left in message" },
        { "SCRAM-SHA-256\0\0\0\0\1", 18, "insufficient data left in message" },
        { "SCRAM-SHA-256\0\xff\xff\xff\xfe", 18, "insufficient data left in message" },
        { "SCRAM-SHA-256\0\x7f\xff\xff\xff", 18, "insufficient data left in message" },
        { "SCRAM-SHA-256\0\0\0\0\1nx", 20, "invalid message format" },
        { "SCRAM-SHA-256\0\xff\xff\xff\xffx", 19, "invalid message format" },
        { "SCRAM-SHA-256\0\0\0\0\0", 18, "malformed SCRAM message" },
        { "SCRAM-SHA-256\0\0\0\0\2n\0", 20, "malformed SCRAM message" },
        { "nonsense\0", 9, "client selected an invalid SASL authentication mechanism" },
    };
    const struct scram_verifier v = verifier_of("pencil");

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        AUTO(scram_server) struct scram_server server;
        struct bytes out;
        struct err e;

        server_start(&server, &v, PLAIN);
        assert_int_equal(scram_server_feed(&server, bytes_of(cases[i].body, cases[i].n), &out, &e),
                         SCRAM_FAIL);
        assert_int_equal(e.code, E_PROTOCOL);
        assert_string_equal(e.message, cases[i].message);
    }
}

static void nul_and_size(void **state)
{
    (void)state;
    const struct scram_verifier v = verifier_of("pencil");
    AUTO(scram_server) struct scram_server server, big;
    AUTO(buf) struct buf b = BUF_INIT(2048);
    uint8_t body[1021] = { 0 };
    struct bytes out;
    struct err e;

    server_start(&server, &v, PLAIN);
    assert_int_equal(scram_server_feed(&server, initial(&b, BASE, str_of("n,,n=,r=\0", 9)), &out, &e),
                     SCRAM_FAIL);
    assert_string_equal(e.detail, "Message length does not match input length.");
    server_start(&big, &v, PLAIN);
    assert_int_equal(scram_server_feed(&big, bytes_of(body, sizeof body), &out, &e), SCRAM_FAIL);
    assert_int_equal(e.code, E_PASSWORD);
    assert_string_equal(e.message, "password authentication failed for user \"alice\"");
}

static void longest_messages_fit(void **state)
{
    (void)state;
    AUTO(buf) struct buf b = BUF_INIT(2048), first = BUF_INIT(1024);
    AUTO(scram_server) struct scram_server server;
    struct scram_verifier v = verifier_of("pencil");
    struct bytes out;
    struct err e;

    memset(v.salt_text, 'A', sizeof v.salt_text);
    v.salt_text_n = sizeof v.salt_text;
    server_start(&server, &v, PLAIN);
    assert_true(buf_append_c(&first, "n,,n=,r="));
    while (first.n < 1020 - 18)
        assert_true(buf_append_byte(&first, 'x'));
    assert_int_equal(scram_server_feed(&server, initial(&b, BASE, buf_str(&first)), &out, &e),
                     SCRAM_CONTINUE);
    assert_true(out.n > 1500);
}

static void client_may_speak_second(void **state)
{
    (void)state;
    const struct scram_verifier v = verifier_of("pencil");
    AUTO(scram_server) struct scram_server server;
    struct bytes out;

    server_start(&server, &v, PLAIN);
    assert_int_equal(scram_server_feed(&server, bytes_of("SCRAM-SHA-256\0\xff\xff\xff\xff", 18), &out, NULL),
                     SCRAM_CONTINUE);
    assert_int_equal(out.n, 0);
    assert_int_equal(scram_server_feed(&server, str_bytes(STR(FIRST_N)), &out, NULL), SCRAM_CONTINUE);
    assert_true(str_starts(str_from_bytes(out), STR("r=" BOTH ",s=")));
}

static void no_entropy_no_exchange(void **state)
{
    (void)state;
    static const struct env broken = { .random = no_random };
    const struct scram_verifier v = verifier_of("pencil");
    const struct scram_server_params params = { .user = STR("u"), .verifier = &v, .env = &broken };
    AUTO(scram_server) struct scram_server server;
    AUTO(buf) struct buf b = BUF_INIT(256);
    struct bytes out;
    struct err e;

    scram_server_init(&server, &params);
    assert_int_equal(scram_server_feed(&server, initial(&b, BASE, STR(FIRST_N)), &out, &e), SCRAM_FAIL);
    assert_int_equal(e.code, E_INTERNAL);
}

static void offers(void **state)
{
    (void)state;
    AUTO(buf) struct buf b = BUF_INIT(64);

    assert_true(scram_server_mechanisms(true, &b));
    assert_int_equal(b.n, 34);
    assert_memory_equal(b.p, "SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0", 34);
    buf_reset(&b);
    assert_true(scram_server_mechanisms(false, &b));
    assert_int_equal(b.n, 15);
    assert_memory_equal(b.p, "SCRAM-SHA-256\0", 15);
}

/* ---- one half against the other ---- */

struct duel {
    struct scram_server server;
    struct scram_client client;
    struct buf to_server;
    enum scram_result server_result;
    enum code client_code;
    struct err server_error, client_error;
};

static void duel_fini(struct duel *d)
{
    scram_server_fini(&d->server);
    scram_client_fini(&d->client);
    buf_fini(&d->to_server);
}

/* Runs the exchange until somebody refuses; true when both are content. */
static bool duel_run(struct duel *d, const struct scram_verifier *v, enum transport transport,
                     const struct scram_client_params *params)
{
    AUTO(buf) struct buf offer = BUF_INIT(64);
    struct bytes out;

    server_start(&d->server, v, transport);
    scram_client_init(&d->client, params);
    d->to_server = BUF_INIT(4096);
    assert_true(scram_server_mechanisms(transport != PLAIN, &offer));
    d->client_code = scram_client_start(&d->client, buf_bytes(&offer), &d->to_server, &d->client_error);
    if (d->client_code != OK)
        return false;
    d->server_result = scram_server_feed(&d->server, buf_bytes(&d->to_server), &out, &d->server_error);
    if (d->server_result != SCRAM_CONTINUE)
        return false;
    d->client_code = scram_client_challenge(&d->client, out, &d->client_error);
    if (d->client_code != OK)
        return false;
    buf_reset(&d->to_server);
    d->client_code = scram_client_respond(&d->client, &d->to_server, &d->client_error);
    if (d->client_code != OK)
        return false;
    d->server_result = scram_server_feed(&d->server, buf_bytes(&d->to_server), &out, &d->server_error);
    if (d->server_result != SCRAM_DONE)
        return false;
    d->client_code = scram_client_finish(&d->client, out, &d->client_error);
    return d->client_code == OK;
}

static struct secret secret_of(const char *text)
{
    struct secret secret = { 0 };

    assert_int_equal(secret_set(&secret, str_bytes(str_c(text))), OK);
    return secret;
}

static void both_halves_agree(void **state)
{
    (void)state;
    const struct scram_verifier v = verifier_of("pencil");
    const struct secret right = secret_of("pencil");

    for (int transport = PLAIN; transport <= TLS; transport++) {
        for (int mode = CHANNEL_BINDING_DISABLE; mode <= CHANNEL_BINDING_PREFER; mode++) {
            const struct scram_client_params params = {
                .password = secret_bytes(&right),
                .channel_binding = (enum channel_binding)mode,
                .tls = transport == TLS,
                .cert_hash = bytes_of(cert_hash, sizeof cert_hash),
                .env = &env,
            };
            struct duel d = { 0 };
            bool bound = transport == TLS && mode == CHANNEL_BINDING_PREFER;
            assert_true(duel_run(&d, &v, (enum transport)transport, &params));
            assert_int_equal(scram_server_bound(&d.server), bound);
            assert_int_equal(scram_client_bound(&d.client), bound);
            assert_true(scram_client_finished(&d.client));
            assert_int_equal(scram_server_gs2_flag(&d.server), bound ? 'p' : 'n');
            duel_fini(&d);
        }
    }
}

static void keys_are_enough_to_log_in(void **state)
{
    (void)state;
    const struct scram_verifier v = verifier_of("pencil");
    const struct secret right = secret_of("pencil");
    const struct scram_client_params with_password = { .password = secret_bytes(&right), .env = &env };
    AUTO(scram_keys) struct scram_keys keys;
    struct duel d = { 0 }, again = { 0 }, other = { 0 };

    assert_true(duel_run(&d, &v, PLAIN, &with_password));
    scram_server_keys(&d.server, &keys);
    assert_int_equal(keys.iterations, 16);
    const struct scram_client_params with_keys = { .keys = &keys, .env = &env };
    assert_true(duel_run(&again, &v, PLAIN, &with_keys));
    assert_int_equal(scram_client_cost(&again.client), 0);

    /* The same password under another salt: refused before a proof exists. */
    struct scram_verifier salted;
    assert_int_equal(scram_verifier_make(str_bytes(STR("pencil")), bytes_of("other", 5), 16, &salted), OK);
    assert_false(duel_run(&other, &salted, PLAIN, &with_keys));
    assert_int_equal(other.client_code, E_AUTH);
    assert_string_equal(other.client_error.message,
                        "the server's SCRAM secret differs from the one the client's keys belong to");
    duel_fini(&other);
    struct scram_verifier iterated = v;
    iterated.iterations = 17;
    assert_false(duel_run(&other, &iterated, PLAIN, &with_keys));
    assert_int_equal(other.client_code, E_AUTH);
    duel_fini(&d);
    duel_fini(&again);
    duel_fini(&other);
}

static void wrong_passwords_and_mocks_fail_alike(void **state)
{
    (void)state;
    const struct scram_verifier v = verifier_of("pencil");
    struct scram_verifier mock = v;
    const struct secret right = secret_of("pencil"), wrong = secret_of("pencil ");
    struct scram_client_params params = { .password = secret_bytes(&wrong), .env = &env };
    struct duel d = { 0 };

    assert_false(duel_run(&d, &v, PLAIN, &params));
    assert_int_equal(d.server_error.code, E_PASSWORD);
    assert_string_equal(d.server_error.message, "password authentication failed for user \"alice\"");
    duel_fini(&d);
    mock.mock = true; /* doomed, even with the right password */
    params.password = secret_bytes(&right);
    assert_false(duel_run(&d, &mock, PLAIN, &params));
    assert_int_equal(d.server_error.code, E_PASSWORD);
    assert_string_equal(d.server_error.message, "password authentication failed for user \"alice\"");
    duel_fini(&d);
}

static void wrong_certificate_breaks_the_binding(void **state)
{
    (void)state;
    static const uint8_t other_hash[32] = { 0xCD };
    const struct scram_verifier v = verifier_of("pencil");
    const struct secret right = secret_of("pencil");
    struct scram_client_params params = {
        .password = secret_bytes(&right),
        .channel_binding = CHANNEL_BINDING_PREFER,
        .tls = true,
        .cert_hash = bytes_of(other_hash, sizeof other_hash),
        .env = &env,
    };
    struct duel d = { 0 };

    assert_false(duel_run(&d, &v, TLS, &params));
    assert_int_equal(d.server_error.code, E_AUTH);
    assert_string_equal(d.server_error.message, "SCRAM channel binding check failed");
    duel_fini(&d);
    params.cert_hash.n = 0;
    assert_false(duel_run(&d, &v, TLS, &params));
    assert_string_equal(d.client_error.message, "could not find digest for NID UNDEF");
    duel_fini(&d);
}

static void both_messages_resist_bit_flips(void **state)
{
    (void)state;
    const struct scram_verifier v = verifier_of("pencil");
    const struct secret right = secret_of("pencil");
    const struct scram_client_params params = { .password = secret_bytes(&right), .env = &env };
    struct duel d = { 0 };

    assert_true(duel_run(&d, &v, PLAIN, &params));
    /* to_server holds the final message now: play it again, damaged. */
    for (size_t i = 0; i < 8 * d.to_server.n; i++) {
        AUTO(scram_server) struct scram_server server;
        AUTO(buf) struct buf b = BUF_INIT(256);
        struct bytes out;

        server_start(&server, &v, PLAIN);
        assert_int_equal(
            scram_server_feed(&server, initial(&b, BASE, STR("n,,n=,r=" SERVER_NONCE)), &out, NULL),
            SCRAM_CONTINUE);
        d.to_server.p[i / 8] ^= (uint8_t)(1U << i % 8);
        enum scram_result result = scram_server_feed(&server, buf_bytes(&d.to_server), &out, NULL);
        /* Only the bits behind the last byte of the proof's base64 are redundant. */
        if (i / 8 < d.to_server.n - 2)
            assert_int_equal(result, SCRAM_FAIL);
        d.to_server.p[i / 8] ^= (uint8_t)(1U << i % 8);
    }
    for (size_t n = 0; n < d.to_server.n; n++) {
        AUTO(scram_server) struct scram_server server;
        AUTO(buf) struct buf b = BUF_INIT(256);
        struct bytes out;

        server_start(&server, &v, PLAIN);
        assert_int_equal(
            scram_server_feed(&server, initial(&b, BASE, STR("n,,n=,r=" SERVER_NONCE)), &out, NULL),
            SCRAM_CONTINUE);
        assert_int_equal(scram_server_feed(&server, bytes_of(d.to_server.p, n), &out, NULL), SCRAM_FAIL);
    }
    duel_fini(&d);
}

/* ---- the client against hostile servers ---- */

static void client_chooses(void **state)
{
    (void)state;
    static const struct {
        const char *offer;
        size_t offer_n;
        bool tls;
        enum channel_binding mode;
        const char *error; /* NULL: fine */
        const char *body;
    } cases[] = {
        { "SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0", 34, true, CHANNEL_BINDING_PREFER, NULL,
          "SCRAM-SHA-256-PLUS|p=tls-server-end-point,,n=,r=" SERVER_NONCE },
        { "SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0", 34, true, CHANNEL_BINDING_REQUIRE, NULL,
          "SCRAM-SHA-256-PLUS|p=tls-server-end-point,,n=,r=" SERVER_NONCE },
        { "SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0", 34, true, CHANNEL_BINDING_DISABLE, NULL,
          "SCRAM-SHA-256|n,,n=,r=" SERVER_NONCE },
        { "SCRAM-SHA-256\0", 15, true, CHANNEL_BINDING_PREFER, NULL, "SCRAM-SHA-256|y,,n=,r=" SERVER_NONCE },
        { "SCRAM-SHA-256\0", 15, false, CHANNEL_BINDING_PREFER, NULL, "SCRAM-SHA-256|n,,n=,r=" SERVER_NONCE },
        { "SCRAM-SHA-256\0", 15, true, CHANNEL_BINDING_REQUIRE,
          "channel binding is required, but server did not offer an authentication method that supports "
          "channel binding",
          NULL },
        { "SCRAM-SHA-256\0", 15, false, CHANNEL_BINDING_REQUIRE,
          "channel binding required, but SSL not in use", NULL },
        { "SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0", 34, false, CHANNEL_BINDING_PREFER,
          "server offered SCRAM-SHA-256-PLUS authentication over a non-SSL connection", NULL },
        { "SCRAM-SHA-256-PLUS\0", 20, true, CHANNEL_BINDING_DISABLE,
          "none of the server's SASL authentication mechanisms are supported", NULL },
        { "OAUTHBEARER\0", 13, true, CHANNEL_BINDING_PREFER,
          "none of the server's SASL authentication mechanisms are supported", NULL },
        { "", 1, true, CHANNEL_BINDING_PREFER,
          "none of the server's SASL authentication mechanisms are supported", NULL },
        { "SCRAM-SHA-256", 13, true, CHANNEL_BINDING_PREFER,
          "fe_sendauth: invalid authentication request from server: invalid list of authentication mechanisms",
          NULL },
        { "SCRAM-SHA-256", 14, true, CHANNEL_BINDING_PREFER,
          "fe_sendauth: invalid authentication request from server: invalid list of authentication mechanisms",
          NULL },
    };
    const struct secret right = secret_of("pencil");

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        const struct scram_client_params params = { .password = secret_bytes(&right),
                                                    .channel_binding = cases[i].mode,
                                                    .tls = cases[i].tls,
                                                    .env = &env };
        AUTO(scram_client) struct scram_client client;
        AUTO(buf) struct buf out = BUF_INIT(256), expected = BUF_INIT(256);
        struct err e;

        scram_client_init(&client, &params);
        enum code code = scram_client_start(&client, bytes_of(cases[i].offer, cases[i].offer_n), &out, &e);
        if (cases[i].error) {
            assert_int_not_equal(code, OK);
            assert_string_equal(e.message, cases[i].error);
            continue;
        }
        assert_int_equal(code, OK);
        struct str body = str_c(cases[i].body);
        size_t bar = str_find(body, '|');
        char mechanism[32];
        assert_true(str_to_c(str_first(body, bar), mechanism, sizeof mechanism));
        struct bytes want = initial(&expected, mechanism, str_from(body, bar + 1));
        assert_int_equal(out.n, want.n);
        assert_memory_equal(out.p, want.p, want.n);
    }
}

static void client_without_password(void **state)
{
    (void)state;
    const struct bytes given[] = { bytes_of(NULL, 0), bytes_of("", 0) };

    for (size_t i = 0; i < COUNT_OF(given); i++) {
        const struct scram_client_params params = { .password = given[i], .env = &env };
        AUTO(scram_client) struct scram_client client;
        AUTO(buf) struct buf out = BUF_INIT(256);
        struct err e;

        scram_client_init(&client, &params);
        assert_int_equal(scram_client_start(&client, bytes_of("SCRAM-SHA-256\0", 15), &out, &e), E_AUTH);
        assert_string_equal(e.message, "fe_sendauth: no password supplied");
    }
}

static void client_refuses_bad_challenges(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        { "", "malformed SCRAM message (empty message)" },
        { "x=1", "malformed SCRAM message (attribute \"r\" expected)" },
        { "r", "malformed SCRAM message (expected character \"=\" for attribute \"r\")" },
        { "r=other,s=AAAA,i=1", "invalid SCRAM response (nonce mismatch)" },
        { "r=AAEC,s=AAAA,i=1", "invalid SCRAM response (nonce mismatch)" },
        { "r=" SERVER_NONCE "x", "malformed SCRAM message (attribute \"s\" expected)" },
        { "r=" SERVER_NONCE "x,s=A,i=1", "malformed SCRAM message (invalid salt)" },
        { "r=" SERVER_NONCE "x,s=AAAA", "malformed SCRAM message (attribute \"i\" expected)" },
        { "r=" SERVER_NONCE "x,s=AAAA,i=0", "malformed SCRAM message (invalid iteration count)" },
        { "r=" SERVER_NONCE "x,s=AAAA,i=-1", "malformed SCRAM message (invalid iteration count)" },
        { "r=" SERVER_NONCE "x,s=AAAA,i=1x", "malformed SCRAM message (invalid iteration count)" },
        { "r=" SERVER_NONCE "x,s=AAAA,i=99999999999", "malformed SCRAM message (invalid iteration count)" },
        { "r=" SERVER_NONCE "x,s=AAAA,i=1,x=1",
          "malformed SCRAM message (garbage at end of server-first-message)" },
        { "r=" SERVER_NONCE "x,s=AAAA,i=2000000000",
          "server asks for 2000000000 SCRAM iterations, more than the limit of 10000000" },
    };
    const struct secret right = secret_of("pencil");
    const struct scram_client_params params = { .password = secret_bytes(&right), .env = &env };

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        AUTO(scram_client) struct scram_client client;
        AUTO(buf) struct buf out = BUF_INIT(256);
        struct err e;

        scram_client_init(&client, &params);
        assert_int_equal(scram_client_start(&client, bytes_of("SCRAM-SHA-256\0", 15), &out, &e), OK);
        assert_int_not_equal(scram_client_challenge(&client, str_bytes(str_c(cases[i][0])), &e), OK);
        assert_string_equal(e.message, cases[i][1]);
    }
}

static void client_refuses_bad_endings(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        { "", "malformed SCRAM message (empty message)" },
        { "e=other-error", "error received from server in SCRAM exchange: other-error" },
        { "e=\xc3\n", "error received from server in SCRAM exchange: ??" },
        { "e", "malformed SCRAM message (expected character \"=\" for attribute \"e\")" },
        { "x=1", "malformed SCRAM message (attribute \"v\" expected)" },
        { "v=Zm9v", "malformed SCRAM message (invalid server signature)" },
        { "v=" PROOF ",x", "malformed SCRAM message (garbage at end of server-final-message)" },
        { "v=" PROOF, "incorrect server signature" },
    };
    const struct secret right = secret_of("pencil");
    const struct scram_client_params params = { .password = secret_bytes(&right), .env = &env };

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        AUTO(scram_client) struct scram_client client;
        AUTO(buf) struct buf out = BUF_INIT(1024);
        struct err e;

        scram_client_init(&client, &params);
        assert_int_equal(scram_client_start(&client, bytes_of("SCRAM-SHA-256\0", 15), &out, &e), OK);
        assert_int_equal(
            scram_client_challenge(&client, str_bytes(STR("r=" SERVER_NONCE "x,s=AAAA,i=16")), &e), OK);
        assert_int_equal(scram_client_cost(&client), 16);
        assert_int_equal(scram_client_respond(&client, &out, &e), OK);
        assert_int_not_equal(scram_client_finish(&client, str_bytes(str_c(cases[i][0])), &e), OK);
        assert_string_equal(e.message, cases[i][1]);
        assert_false(scram_client_finished(&client));
    }
}

static void client_keeps_the_order(void **state)
{
    (void)state;
    const struct secret right = secret_of("pencil");
    const struct scram_client_params params = { .password = secret_bytes(&right), .env = &env };
    AUTO(scram_client) struct scram_client client, twice;
    AUTO(buf) struct buf out = BUF_INIT(1024);
    struct err e;

    scram_client_init(&client, &params);
    assert_int_equal(scram_client_start(&client, bytes_of("SCRAM-SHA-256\0", 15), &out, &e), OK);
    assert_int_equal(scram_client_finish(&client, str_bytes(STR("v=" PROOF)), &e), E_PROTOCOL);
    assert_int_equal(scram_client_challenge(&client, str_bytes(STR("r=" SERVER_NONCE ",s=,i=1")), &e),
                     E_PROTOCOL);
    assert_string_equal(e.message, "invalid SCRAM exchange state");
    scram_client_init(&twice, &params);
    assert_int_equal(scram_client_start(&twice, bytes_of("SCRAM-SHA-256\0", 15), &out, &e), OK);
    assert_int_equal(scram_client_challenge(&twice, str_bytes(STR("r=" SERVER_NONCE ",s=,i=1")), &e), OK);
    assert_int_equal(scram_client_challenge(&twice, str_bytes(STR("r=" SERVER_NONCE ",s=,i=1")), &e),
                     E_PROTOCOL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_refusal_has_its_text),
        cmocka_unit_test(accepted_first_messages),
        cmocka_unit_test(envelopes),
        cmocka_unit_test(nul_and_size),
        cmocka_unit_test(longest_messages_fit),
        cmocka_unit_test(client_may_speak_second),
        cmocka_unit_test(no_entropy_no_exchange),
        cmocka_unit_test(offers),
        cmocka_unit_test(both_halves_agree),
        cmocka_unit_test(keys_are_enough_to_log_in),
        cmocka_unit_test(wrong_passwords_and_mocks_fail_alike),
        cmocka_unit_test(wrong_certificate_breaks_the_binding),
        cmocka_unit_test(both_messages_resist_bit_flips),
        cmocka_unit_test(client_chooses),
        cmocka_unit_test(client_without_password),
        cmocka_unit_test(client_refuses_bad_challenges),
        cmocka_unit_test(client_refuses_bad_endings),
        cmocka_unit_test(client_keeps_the_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
