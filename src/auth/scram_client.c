/*
 * SCRAM-SHA-256(-PLUS), the client's half; scram_server.c explains the messages.
 *
 * With keys instead of a password the derivation is skipped: ClientKey and ServerKey are all that a proof
 * needs. They fit one salt and one number of iterations only, so a server that asks for others is left before
 * it has seen a proof: it could only refuse it.
 */
#include "auth/scram_client.h"

#include "base/base64.h"
#include "base/check.h"
#include "base/env.h"
#include "base/rd.h"

#include <limits.h>

enum {
    /* Our two messages and the server's, whose nonce we repeat. */
    AUTH_MESSAGE_MAX = 3 * SCRAM_CLIENT_MESSAGE_MAX,
    BINDING_MAX = 256, /* gs2 header and a certificate's hash */
};

void scram_client_init(struct scram_client *client, const struct scram_client_params *params)
{
    *client = (struct scram_client){ .params = *params, .auth_message = BUF_INIT(AUTH_MESSAGE_MAX) };
    if (params->keys) {
        client->keys = *params->keys;
        client->have_keys = true;
    }
    if (client->params.iterations_max == 0)
        client->params.iterations_max = SCRAM_CLIENT_ITERATIONS_MAX;
}

void scram_client_fini(struct scram_client *client)
{
    if (!client)
        return;
    buf_fini_secret(&client->auth_message);
    wipe(client, sizeof *client);
}

void scram_client_auto(struct scram_client *client)
{
    scram_client_fini(client);
}

/* Every failure ends the exchange: nothing may be fed afterwards. */
static enum code scram_client_fail(struct scram_client *client, enum code code)
{
    if (code != OK)
        client->state = SCRAM_CLIENT_FAILED;
    return code;
}

/* ---- choosing a mechanism ---- */

static enum code read_mechanisms(struct scram_client *client, struct bytes payload, bool *out_plain,
                                 struct err *e)
{
    struct rd r = rd_over(payload);

    for (;;) {
        struct str name = rd_cstr(&r);
        if (r.bad)
            return err_set(e, E_PROTOCOL,
                           "fe_sendauth: invalid authentication request from server: invalid list of "
                           "authentication mechanisms");
        if (name.n == 0)
            return OK;
        if (str_is(name, SCRAM_MECHANISM_PLUS)) {
            if (!client->params.tls)
                return err_set(e, E_AUTH,
                               "server offered SCRAM-SHA-256-PLUS authentication over a non-SSL connection");
            client->plus = client->params.channel_binding != CHANNEL_BINDING_DISABLE;
        }
        *out_plain |= str_is(name, SCRAM_MECHANISM);
    }
}

static enum code choose_mechanism(struct scram_client *client, struct bytes payload, struct err *e)
{
    bool require = client->params.channel_binding == CHANNEL_BINDING_REQUIRE;
    bool plain = false;

    if (require && !client->params.tls)
        return err_set(e, E_AUTH, "channel binding required, but SSL not in use");
    TRY(read_mechanisms(client, payload, &plain, e));
    if (!client->plus && !plain)
        return err_set(e, E_AUTH, "none of the server's SASL authentication mechanisms are supported");
    if (require && !client->plus)
        return err_set(e, E_AUTH,
                       "channel binding is required, but server did not offer an authentication "
                       "method that supports channel binding");
    if (!client->have_keys && client->params.password.n == 0)
        return err_set(e, E_AUTH, "fe_sendauth: no password supplied");
    return OK;
}

static struct str gs2_header(const struct scram_client *client)
{
    if (client->plus)
        return STR("p=tls-server-end-point,,");
    return client->params.tls && client->params.channel_binding != CHANNEL_BINDING_DISABLE ? STR("y,,")
                                                                                           : STR("n,,");
}

static enum code start(struct scram_client *client, struct bytes mechanisms, struct buf *out, struct err *e)
{
    uint8_t random[SCRAM_NONCE_BYTES];
    struct buf *bare = &client->auth_message;

    TRY(choose_mechanism(client, mechanisms, e));
    if (!env_random(client->params.env, random, sizeof random))
        return err_set(e, E_INTERNAL, "could not generate nonce");
    /* The server knows the user from the startup packet, n= stays empty [src: PostgreSQL 18, "SASL
     * Authentication"]. */
    (void)buf_append_str(bare, STR("n=,r="));
    client->nonce_at = bare->n;
    (void)base64_encode(bytes_of(random, sizeof random), bare);
    client->nonce_n = bare->n - client->nonce_at;

    struct str header = gs2_header(client);
    size_t length = header.n + bare->n;
    const uint8_t length_word[4] = { 0, 0, (uint8_t)(length >> 8), (uint8_t)length };
    bool ok = buf_append_c(out, client->plus ? SCRAM_MECHANISM_PLUS : SCRAM_MECHANISM) &&
              buf_append_byte(out, 0) && buf_append(out, bytes_of(length_word, sizeof length_word)) &&
              buf_append_str(out, header) && buf_append(out, buf_bytes(bare)) && buf_append_byte(bare, ',');
    return ok ? OK : err_set(e, E_NOMEM, "out of memory");
}

enum code scram_client_start(struct scram_client *client, struct bytes mechanisms, struct buf *out,
                             struct err *e)
{
    CHECK(client->state == SCRAM_CLIENT_NEW);
    client->state = SCRAM_CLIENT_STARTED;
    return scram_client_fail(client, start(client, mechanisms, out, e));
}

/* ---- server-first-message ---- */

/* The value of `attribute`, up to the next comma, which is swallowed. */
static enum code scram_client_read_attribute(struct str *at, char attribute, struct str *out, struct err *e)
{
    if (at->n == 0 || at->p[0] != attribute)
        return err_set(e, E_PROTOCOL, "malformed SCRAM message (attribute \"%c\" expected)", attribute);
    if (at->n < 2 || at->p[1] != '=')
        return err_set(e, E_PROTOCOL,
                       "malformed SCRAM message (expected character \"=\" for attribute \"%c\")", attribute);
    *at = str_from(*at, 2);
    size_t n = str_find(*at, ',');
    *out = str_first(*at, n);
    *at = str_from(*at, n + 1);
    return OK;
}

static enum code check_message(struct str message, struct err *e)
{
    if (message.n == 0)
        return err_set(e, E_PROTOCOL, "malformed SCRAM message (empty message)");
    if (str_has_nul(message) || message.n > SCRAM_CLIENT_MESSAGE_MAX)
        return err_set(e, E_PROTOCOL, "malformed SCRAM message (length mismatch)");
    return OK;
}

static enum code read_iterations(struct scram_client *client, struct str text, struct err *e)
{
    if (!str_to_u32(text, 1, INT_MAX, &client->iterations))
        return err_set(e, E_PROTOCOL, "malformed SCRAM message (invalid iteration count)");
    if (client->have_keys || client->iterations <= client->params.iterations_max)
        return OK;
    (void)err_set(e, E_AUTH, "server asks for %u SCRAM iterations, more than the limit of %u",
                  client->iterations, client->params.iterations_max);
    err_hint(e, "Lower \"scram_iterations\" on the server and set the password again.");
    return E_AUTH;
}

/* Keys fit one salt and one number of iterations. */
static enum code check_keys_fit(const struct scram_client *client, struct err *e)
{
    uint8_t salt[BASE64_DECODED_MAX(SCRAM_SALT_TEXT_MAX)];
    size_t n;
    const struct scram_keys *keys = &client->keys;

    if (!client->have_keys || keys->iterations == 0)
        return OK;
    if (keys->iterations == client->iterations &&
        base64_decode(str_of(keys->salt_text, keys->salt_text_n), salt, sizeof salt, &n) &&
        bytes_equal(bytes_of(salt, n), bytes_of(client->salt, client->salt_n)))
        return OK;
    (void)err_set(e, E_AUTH, "the server's SCRAM secret differs from the one the client's keys belong to");
    err_detail(e, "The server asks for another salt or another number of iterations; nothing was sent.");
    err_hint(e, "Give both the same secret: copy the user's rolpassword instead of setting the password "
                "twice.");
    return E_AUTH;
}

static enum code challenge(struct scram_client *client, struct str message, struct err *e)
{
    struct str at = message, nonce, salt, iterations;
    struct str ours = str_of((const char *)client->auth_message.p + client->nonce_at, client->nonce_n);

    TRY(check_message(message, e));
    TRY(scram_client_read_attribute(&at, 'r', &nonce, e));
    if (!str_starts(nonce, ours))
        return err_set(e, E_PROTOCOL, "invalid SCRAM response (nonce mismatch)");
    TRY(scram_client_read_attribute(&at, 's', &salt, e));
    if (!base64_decode(salt, client->salt, sizeof client->salt, &client->salt_n))
        return err_set(e, E_PROTOCOL, "malformed SCRAM message (invalid salt)");
    TRY(scram_client_read_attribute(&at, 'i', &iterations, e));
    TRY(read_iterations(client, iterations, e));
    if (at.n > 0)
        return err_set(e, E_PROTOCOL, "malformed SCRAM message (garbage at end of server-first-message)");
    TRY(check_keys_fit(client, e));
    client->nonce_at = client->auth_message.n + 2; /* after "r=" */
    client->nonce_n = nonce.n;
    if (!buf_append_str(&client->auth_message, message) || !buf_append_byte(&client->auth_message, ','))
        return err_set(e, E_NOMEM, "out of memory");
    return OK;
}

enum code scram_client_challenge(struct scram_client *client, struct bytes payload, struct err *e)
{
    if (client->state != SCRAM_CLIENT_STARTED)
        return scram_client_fail(client, err_set(e, E_PROTOCOL, "invalid SCRAM exchange state"));
    client->state = SCRAM_CLIENT_CHALLENGED;
    return scram_client_fail(client, challenge(client, str_from_bytes(payload), e));
}

uint32_t scram_client_cost(const struct scram_client *client)
{
    return client->state == SCRAM_CLIENT_CHALLENGED && !client->have_keys ? client->iterations : 0;
}

/* ---- client-final-message ---- */

static enum code append_binding(const struct scram_client *client, struct buf *out, struct err *e)
{
    AUTO(buf) struct buf raw = BUF_INIT(BINDING_MAX);

    if (client->plus && client->params.cert_hash.n == 0)
        return err_set(e, E_AUTH, "could not find digest for NID UNDEF");
    bool ok = buf_append_str(&raw, gs2_header(client)) &&
              (!client->plus || buf_append(&raw, client->params.cert_hash)) &&
              buf_append_str(out, STR("c=")) && base64_encode(buf_bytes(&raw), out);
    return ok ? OK : err_set(e, E_NOMEM, "out of memory");
}

static enum code append_proof(const struct scram_client *client, struct buf *out, struct err *e)
{
    uint8_t stored_key[SCRAM_KEY_BYTES], proof[SCRAM_KEY_BYTES];
    enum code code = scram_hash(bytes_of(client->keys.client_key, SCRAM_KEY_BYTES), stored_key);

    if (code == OK)
        code = scram_hmac(stored_key, buf_bytes(&client->auth_message), proof);
    if (code != OK)
        return err_set(e, code, "could not calculate client proof");
    for (size_t i = 0; i < SCRAM_KEY_BYTES; i++)
        proof[i] ^= client->keys.client_key[i];
    bool ok = buf_append_str(out, STR(",p=")) && base64_encode(bytes_of(proof, sizeof proof), out);
    wipe(stored_key, sizeof stored_key);
    wipe(proof, sizeof proof);
    return ok ? OK : err_set(e, E_NOMEM, "out of memory");
}

static enum code respond(struct scram_client *client, struct buf *out, struct err *e)
{
    AUTO(buf) struct buf unsigned_part = BUF_INIT(AUTH_MESSAGE_MAX);

    if (!client->have_keys) {
        enum code code = scram_keys_derive(client->params.password, bytes_of(client->salt, client->salt_n),
                                           client->iterations, &client->keys);
        if (code != OK)
            return err_set(e, code, "could not calculate SCRAM keys");
    }
    TRY(append_binding(client, &unsigned_part, e));
    bool ok = buf_append_str(&unsigned_part, STR(",r=")) &&
              buf_append(&unsigned_part,
                         bytes_of(client->auth_message.p + client->nonce_at, client->nonce_n)) &&
              buf_append(&client->auth_message, buf_bytes(&unsigned_part)) &&
              buf_append(out, buf_bytes(&unsigned_part));
    return ok ? append_proof(client, out, e) : err_set(e, E_NOMEM, "out of memory");
}

enum code scram_client_respond(struct scram_client *client, struct buf *out, struct err *e)
{
    CHECK(client->state == SCRAM_CLIENT_CHALLENGED);
    client->state = SCRAM_CLIENT_RESPONDED;
    return scram_client_fail(client, respond(client, out, e));
}

/* ---- server-final-message ---- */

/* A server's text, on its way into our messages: printable, and not too long. */
static struct str printable(struct str text, struct buf *scratch)
{
    for (size_t i = 0; i < text.n && buf_ok(scratch) && scratch->n < scratch->limit; i++) {
        char c = text.p[i];
        (void)buf_append_byte(scratch, (uint8_t)(c >= 0x20 && c <= 0x7E ? c : '?'));
    }
    return buf_str(scratch);
}

static enum code finish(struct scram_client *client, struct str message, struct err *e)
{
    AUTO(buf) struct buf scratch = BUF_INIT(256);
    uint8_t given[BASE64_DECODED_MAX(SCRAM_CLIENT_MESSAGE_MAX)], expected[SCRAM_KEY_BYTES];
    struct str at = message, value;
    size_t n;

    TRY(check_message(message, e));
    if (message.p[0] == 'e') {
        TRY(scram_client_read_attribute(&at, 'e', &value, e));
        value = printable(value, &scratch);
        return err_set(e, E_AUTH, "error received from server in SCRAM exchange: %.*s", STR_ARG(value));
    }
    TRY(scram_client_read_attribute(&at, 'v', &value, e));
    if (at.n > 0)
        return err_set(e, E_PROTOCOL, "malformed SCRAM message (garbage at end of server-final-message)");
    if (!base64_decode(value, given, sizeof given, &n) || n != SCRAM_KEY_BYTES)
        return err_set(e, E_PROTOCOL, "malformed SCRAM message (invalid server signature)");
    if (scram_hmac(client->keys.server_key, buf_bytes(&client->auth_message), expected) != OK)
        return err_set(e, E_INTERNAL, "could not verify server signature");
    if (!secret_equal(bytes_of(given, n), bytes_of(expected, sizeof expected)))
        return err_set(e, E_AUTH, "incorrect server signature");
    return OK;
}

enum code scram_client_finish(struct scram_client *client, struct bytes payload, struct err *e)
{
    if (client->state != SCRAM_CLIENT_RESPONDED)
        return scram_client_fail(
            client, err_set(e, E_PROTOCOL,
                            "AuthenticationSASLFinal received from server, but SASL authentication "
                            "was not completed"));
    client->state = SCRAM_CLIENT_FINISHED;
    return scram_client_fail(client, finish(client, str_from_bytes(payload), e));
}

bool scram_client_finished(const struct scram_client *client)
{
    return client->state == SCRAM_CLIENT_FINISHED;
}

bool scram_client_bound(const struct scram_client *client)
{
    return client->plus;
}
