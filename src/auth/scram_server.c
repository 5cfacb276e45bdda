/*
 * SCRAM-SHA-256(-PLUS), the server's half.
 *
 *   client-first   gs2-header bare        gs2-header = flag "," [authzid] ","     bare = n=…,r=<nonce>[,…]
 *   server-first   r=<nonce><ours>,s=<salt>,i=<iterations>
 *   client-final   c=<base64 of gs2-header and binding>,r=<both nonces>[,…],p=<proof>
 *   server-final   v=<signature>
 *
 *   AuthMessage = bare "," server-first "," client-final up to the comma before p=
 *   proof = ClientKey XOR HMAC(StoredKey, AuthMessage)      signature = HMAC(ServerKey, AuthMessage)
 *
 * The proof gives ClientKey away to whoever knows StoredKey; SHA-256(ClientKey) = StoredKey then confirms it.
 * The flag says what the client knows of channel binding: `p` it binds, `n` it cannot, `y` it could but
 * thinks that we cannot. A `y` over TLS therefore means that somebody removed PLUS from our list [src: RFC
 * 5802 §6].
 */
#include "auth/scram_server.h"

#include "auth/password.h"
#include "base/base64.h"
#include "base/check.h"
#include "base/env.h"
#include "base/rd.h"
#include "base/secret.h"

#include <stdio.h>

enum {
    /* Two client messages and ours, which repeats the client's nonce. */
    AUTH_MESSAGE_MAX = 4 * SCRAM_MESSAGE_MAX,
    OUT_MAX = 2 * SCRAM_MESSAGE_MAX,
    LENGTH_WORD = 4,
    BINDING_TYPE_SHOWN = 30, /* characters of an unknown binding type that a message repeats */
};

#define BINDING_TYPE "tls-server-end-point"

void scram_server_init(struct scram_server *server, const struct scram_server_params *params)
{
    *server = (struct scram_server){
        .params = *params,
        .verifier = *params->verifier,
        .auth_message = BUF_INIT(AUTH_MESSAGE_MAX),
        .out = BUF_INIT(OUT_MAX),
    };
}

void scram_server_fini(struct scram_server *server)
{
    if (!server)
        return;
    buf_fini_secret(&server->auth_message);
    buf_fini_secret(&server->out);
    wipe(server, sizeof *server);
}

void scram_server_auto(struct scram_server *server)
{
    scram_server_fini(server);
}

bool scram_server_mechanisms(bool tls, struct buf *out)
{
    static const char with_plus[] = SCRAM_MECHANISM_PLUS "\0" SCRAM_MECHANISM "\0";
    static const char without[] = SCRAM_MECHANISM "\0";

    return buf_append(out, tls ? bytes_of(with_plus, sizeof with_plus) : bytes_of(without, sizeof without));
}

/* ---- reading attributes ---- */

/* A cursor over one message; the end reads as NUL, which cannot occur inside. */
static char peek(struct str at)
{
    return at.n > 0 ? at.p[0] : '\0';
}

struct shown {
    char text[8];
};

/* One character of a hostile message, fit for an error text. */
static struct shown scram_server_show(char c)
{
    struct shown shown;

    (void)snprintf(shown.text, sizeof shown.text, c >= 0x21 && c <= 0x7E ? "'%c'" : "0x%02x",
                   (unsigned char)c);
    return shown;
}

static enum code PRINTF_LIKE(2, 3) malformed(struct err *e, const char *fmt, ...)
{
    char detail[256];
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(detail, sizeof detail, fmt, args);
    va_end(args);
    (void)err_set(e, E_PROTOCOL, "malformed SCRAM message");
    err_detail(e, "%s", detail);
    return E_PROTOCOL;
}

/* The value after `x=`, up to the next comma, which is swallowed. *at is on the attribute's letter. */
static enum code take_value(struct str *at, struct str *out, struct err *e)
{
    char attribute = peek(*at);

    *at = str_from(*at, 1);
    if (peek(*at) != '=')
        return malformed(e, "Expected character \"=\" for attribute \"%c\".", attribute);
    *at = str_from(*at, 1);
    size_t n = str_find(*at, ',');
    *out = str_first(*at, n);
    *at = str_from(*at, n + 1);
    return OK;
}

static enum code scram_server_read_attribute(struct str *at, char attribute, struct str *out, struct err *e)
{
    if (peek(*at) != attribute)
        return malformed(e, "Expected attribute \"%c\" but found \"%s\".", attribute,
                         scram_server_show(peek(*at)).text);
    return take_value(at, out, e);
}

static enum code read_any_attribute(struct str *at, char *out_attribute, struct str *out, struct err *e)
{
    char c = peek(*at);

    if (at->n == 0)
        return malformed(e, "Attribute expected, but found end of string.");
    if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z')))
        return malformed(e, "Attribute expected, but found invalid character \"%s\".",
                         scram_server_show(c).text);
    *out_attribute = c;
    return take_value(at, out, e);
}

/* ---- client-first-message ---- */

static enum code unsupported_binding(struct str type, struct err *e)
{
    char shown[BINDING_TYPE_SHOWN + 1];
    size_t n = 0;

    for (; n < BINDING_TYPE_SHOWN && n < type.n; n++)
        shown[n] = type.p[n] >= 0x21 && type.p[n] <= 0x7E ? type.p[n] : '?';
    shown[n] = '\0';
    return err_set(e, E_PROTOCOL, "unsupported SCRAM channel-binding type \"%s\"", shown);
}

/* The client does not bind: `n`, or `y`, and the comma. */
static enum code read_unbound_flag(struct scram_server *server, struct str *at, struct err *e)
{
    if (server->plus)
        return malformed(e, "The client selected SCRAM-SHA-256-PLUS, but the SCRAM message does not include "
                            "channel binding data.");
    if (peek(*at) == 'y' && server->params.tls) {
        (void)err_set(e, E_AUTH, "SCRAM channel binding negotiation error");
        err_detail(e, "The client supports SCRAM channel binding but thinks the server does not.  "
                      "However, this server does support channel binding.");
        return E_AUTH;
    }
    *at = str_from(*at, 1);
    if (peek(*at) != ',')
        return malformed(e, "Comma expected, but found character \"%s\".", scram_server_show(peek(*at)).text);
    *at = str_from(*at, 1);
    return OK;
}

static enum code read_bound_flag(struct scram_server *server, struct str *at, struct err *e)
{
    struct str type = STR("");

    if (!server->plus)
        return malformed(e,
                         "The client selected SCRAM-SHA-256 without channel binding, but the SCRAM message "
                         "includes channel binding data.");
    TRY(scram_server_read_attribute(at, 'p', &type, e));
    return str_is(type, BINDING_TYPE) ? OK : unsupported_binding(type, e);
}

static enum code read_gs2_header(struct scram_server *server, struct str *at, struct err *e)
{
    char flag = peek(*at);

    if (flag == 'n' || flag == 'y')
        TRY(read_unbound_flag(server, at, e));
    else if (flag == 'p')
        TRY(read_bound_flag(server, at, e));
    else
        return malformed(e, "Unexpected channel-binding flag \"%s\".", scram_server_show(flag).text);
    server->gs2_flag = flag;
    if (peek(*at) == 'a')
        return err_set(e, E_UNSUPPORTED, "client uses authorization identity, but it is not supported");
    if (peek(*at) != ',')
        return malformed(e, "Unexpected attribute \"%s\" in client-first-message.",
                         scram_server_show(peek(*at)).text);
    *at = str_from(*at, 1);
    return OK;
}

static bool nonce_is_printable(struct str nonce)
{
    for (size_t i = 0; i < nonce.n; i++)
        if (nonce.p[i] < 0x21 || nonce.p[i] > 0x7E)
            return false;
    return true;
}

/* Leaves AuthMessage as "bare," and gives the client's nonce. */
static enum code read_client_first(struct scram_server *server, struct str message, struct str *out_nonce,
                                   struct err *e)
{
    struct str at = message, ignored, nonce = STR("");
    char attribute;

    TRY(read_gs2_header(server, &at, e));
    struct str bare = at;
    if (peek(at) == 'm')
        return err_set(e, E_UNSUPPORTED, "client requires an unsupported SCRAM extension");
    TRY(scram_server_read_attribute(&at, 'n', &ignored,
                                    e)); /* the startup packet's user is the one that counts */
    TRY(scram_server_read_attribute(&at, 'r', &nonce, e));
    if (!nonce_is_printable(nonce))
        return err_set(e, E_PROTOCOL, "non-printable characters in SCRAM nonce");
    while (at.n > 0)
        TRY(read_any_attribute(&at, &attribute, &ignored, e));
    if (!buf_append_str(&server->auth_message, bare) || !buf_append_byte(&server->auth_message, ','))
        return err_set(e, E_NOMEM, "out of memory");
    *out_nonce = nonce;
    return OK;
}

/* Writes server-first-message to `out` and AuthMessage. */
static enum code write_server_first(struct scram_server *server, struct str client_nonce, struct err *e)
{
    uint8_t random[SCRAM_NONCE_BYTES];
    struct buf *out = &server->out;
    const struct scram_verifier *verifier = &server->verifier;

    if (!env_random(server->params.env, random, sizeof random))
        return err_set(e, E_INTERNAL, "could not generate random nonce");
    bool ok = buf_append_str(out, STR("r=")) && buf_append_str(out, client_nonce) &&
              base64_encode(bytes_of(random, sizeof random), out);
    server->nonce_at = server->auth_message.n + 2;
    server->nonce_n = out->n - 2;
    ok = ok && buf_append_str(out, STR(",s=")) &&
         buf_append_str(out, str_of(verifier->salt_text, verifier->salt_text_n)) &&
         buf_printf(out, ",i=%u", verifier->iterations) &&
         buf_append(&server->auth_message, buf_bytes(out)) && buf_append_byte(&server->auth_message, ',');
    return ok ? OK : err_set(e, E_NOMEM, "out of memory");
}

static enum code step_first(struct scram_server *server, struct str message, struct err *e)
{
    struct str nonce;

    TRY(read_client_first(server, message, &nonce, e));
    TRY(write_server_first(server, nonce, e));
    server->state = SCRAM_SERVER_FINAL;
    return OK;
}

/* ---- client-final-message ---- */

/* c= repeats the header of the first message, and with PLUS proves which certificate the client saw. */
static enum code check_binding(const struct scram_server *server, struct str given, struct err *e)
{
    AUTO(buf) struct buf raw = BUF_INIT(SCRAM_MESSAGE_MAX);
    AUTO(buf) struct buf expected = BUF_INIT(OUT_MAX);

    if (!server->plus) {
        if (!(server->gs2_flag == 'n' && str_is(given, "biws")) &&
            !(server->gs2_flag == 'y' && str_is(given, "eSws")))
            return err_set(e, E_PROTOCOL,
                           "unexpected SCRAM channel-binding attribute in client-final-message");
        return OK;
    }
    if (server->params.cert_hash.n == 0)
        return err_set(e, E_INTERNAL, "could not find digest for NID UNDEF");
    if (!buf_append_str(&raw, STR("p=" BINDING_TYPE ",,")) || !buf_append(&raw, server->params.cert_hash) ||
        !base64_encode(buf_bytes(&raw), &expected))
        return err_set(e, E_NOMEM, "out of memory");
    if (!str_equal(given, buf_str(&expected)))
        return err_set(e, E_AUTH, "SCRAM channel binding check failed");
    return OK;
}

static enum code decode_proof(struct str text, uint8_t out[SCRAM_KEY_BYTES], struct err *e)
{
    uint8_t proof[BASE64_DECODED_MAX(SCRAM_MESSAGE_MAX)];
    size_t n;

    if (!base64_decode(text, proof, sizeof proof, &n) || n != SCRAM_KEY_BYTES)
        return malformed(e, "Malformed proof in client-final-message.");
    memcpy(out, proof, SCRAM_KEY_BYTES);
    wipe(proof, sizeof proof);
    return OK;
}

static enum code read_client_final(struct scram_server *server, struct str message, struct str *out_nonce,
                                   uint8_t out_proof[SCRAM_KEY_BYTES], struct err *e)
{
    struct str at = message, value = STR(""), before;
    char attribute = '\0';

    TRY(scram_server_read_attribute(&at, 'c', &value, e));
    TRY(check_binding(server, value, e));
    TRY(scram_server_read_attribute(&at, 'r', out_nonce, e));
    do {
        before = at;
        TRY(read_any_attribute(&at, &attribute, &value, e));
    } while (attribute != 'p');
    TRY(decode_proof(value, out_proof, e));
    if (at.n > 0)
        return malformed(e, "Garbage found at the end of client-final-message.");
    /* The comma before p= belongs neither to what is signed nor to the proof. */
    size_t signed_n = message.n - before.n - 1;
    if (!buf_append_str(&server->auth_message, str_first(message, signed_n)))
        return err_set(e, E_NOMEM, "out of memory");
    return OK;
}

/* ClientKey from the proof; OK when it is the one StoredKey was made of. The same steps for a mock. */
static enum code check_proof(struct scram_server *server, const uint8_t proof[SCRAM_KEY_BYTES], struct err *e)
{
    uint8_t signature[SCRAM_KEY_BYTES], hash[SCRAM_KEY_BYTES];

    if (scram_hmac(server->verifier.stored_key, buf_bytes(&server->auth_message), signature) != OK)
        return err_set(e, E_INTERNAL, "could not calculate client signature");
    for (size_t i = 0; i < SCRAM_KEY_BYTES; i++)
        server->client_key[i] = proof[i] ^ signature[i];
    if (scram_hash(bytes_of(server->client_key, SCRAM_KEY_BYTES), hash) != OK)
        return err_set(e, E_INTERNAL, "could not hash stored key");
    bool fits = secret_equal(bytes_of(hash, sizeof hash),
                             bytes_of(server->verifier.stored_key, SCRAM_KEY_BYTES));
    wipe(signature, sizeof signature);
    return fits && !server->verifier.mock ? OK : password_failed(server->params.user, e);
}

static enum code step_final(struct scram_server *server, struct str message, struct err *e)
{
    uint8_t proof[SCRAM_KEY_BYTES], signature[SCRAM_KEY_BYTES];
    struct str nonce = STR("");

    TRY(read_client_final(server, message, &nonce, proof, e));
    struct str expected = str_of((const char *)server->auth_message.p + server->nonce_at, server->nonce_n);
    if (!str_equal(nonce, expected)) {
        (void)err_set(e, E_PROTOCOL, "invalid SCRAM response");
        err_detail(e, "Nonce does not match.");
        return E_PROTOCOL;
    }
    enum code code = check_proof(server, proof, e);
    wipe(proof, sizeof proof);
    TRY(code);
    if (scram_hmac(server->verifier.server_key, buf_bytes(&server->auth_message), signature) != OK)
        return err_set(e, E_INTERNAL, "could not calculate server signature");
    if (!buf_append_str(&server->out, STR("v=")) ||
        !base64_encode(bytes_of(signature, sizeof signature), &server->out))
        return err_set(e, E_NOMEM, "out of memory");
    server->state = SCRAM_SERVER_ENDED;
    return OK;
}

/* ---- messages ---- */

/* SASLInitialResponse: mechanism, length or -1, data. *out_none: the client wants to speak second. */
static enum code read_initial(struct scram_server *server, struct bytes body, struct bytes *out_data,
                              bool *out_none, struct err *e)
{
    struct rd r = rd_over(body);
    struct str mechanism = rd_cstr(&r);

    if (r.bad)
        return err_set(e, E_PROTOCOL, "invalid string in message");
    server->plus = server->params.tls && str_is(mechanism, SCRAM_MECHANISM_PLUS);
    if (!server->plus && !str_is(mechanism, SCRAM_MECHANISM))
        return err_set(e, E_PROTOCOL, "client selected an invalid SASL authentication mechanism");
    int32_t length = rd_i32(&r);
    *out_none = !r.bad && length == -1;
    if (r.bad || length < -1 || (length > 0 && (size_t)length > r.left.n))
        return err_set(e, E_PROTOCOL, "insufficient data left in message");
    *out_data = rd_bytes(&r, *out_none ? 0 : (size_t)length);
    if (rd_end(&r) != OK)
        return err_set(e, E_PROTOCOL, "invalid message format");
    return OK;
}

static enum code feed(struct scram_server *server, struct bytes body, struct err *e)
{
    struct bytes data = body;
    bool none = false;

    if (body.n > SCRAM_MESSAGE_MAX - LENGTH_WORD)
        return password_failed(server->params.user, e);
    if (server->state == SCRAM_SERVER_INITIAL) {
        TRY(read_initial(server, body, &data, &none, e));
        server->state = SCRAM_SERVER_FIRST;
        if (none)
            return OK;
    }
    struct str message = str_from_bytes(data);
    if (message.n == 0)
        return malformed(e, "The message is empty.");
    if (str_has_nul(message))
        return malformed(e, "Message length does not match input length.");
    return server->state == SCRAM_SERVER_FIRST ? step_first(server, message, e)
                                               : step_final(server, message, e);
}

enum scram_result scram_server_feed(struct scram_server *server, struct bytes body, struct bytes *out,
                                    struct err *e)
{
    CHECK(server->state != SCRAM_SERVER_ENDED);
    buf_reset(&server->out);
    if (feed(server, body, e) != OK) {
        server->state = SCRAM_SERVER_ENDED;
        return SCRAM_FAIL;
    }
    *out = buf_bytes(&server->out);
    return server->state == SCRAM_SERVER_ENDED ? SCRAM_DONE : SCRAM_CONTINUE;
}

void scram_server_keys(const struct scram_server *server, struct scram_keys *out)
{
    const struct scram_verifier *verifier = &server->verifier;

    *out = (struct scram_keys){ .iterations = verifier->iterations, .salt_text_n = verifier->salt_text_n };
    memcpy(out->client_key, server->client_key, SCRAM_KEY_BYTES);
    memcpy(out->server_key, verifier->server_key, SCRAM_KEY_BYTES);
    memcpy(out->salt_text, verifier->salt_text, verifier->salt_text_n);
}

bool scram_server_bound(const struct scram_server *server)
{
    return server->plus && server->state == SCRAM_SERVER_ENDED;
}

char scram_server_gs2_flag(const struct scram_server *server)
{
    return server->gs2_flag;
}
