/* Looking at ourselves from outside. It waits: this runs on a pool thread. */
#include "client/verify_served.h"

#include "base/buf.h"
#include "base/check.h"
#include "base/env.h"
#include "client/dial.h"
#include "client/hosts.h"
#include "conf/settings.h"
#include "os/files.h"
#include "pki/cert.h"
#include "tls/client_context.h"
#include "tls/context.h"
#include "tls/engine.h"

#include <inttypes.h>
#include <netinet/in.h>
#include <openssl/crypto.h>
#include <openssl/hmac.h>
#include <stdio.h>

enum { CHECK_TIMEOUT_S = 3, NAME_MAC_BYTES = 16 };

static const uint8_t ssl_request[] = { 0, 0, 0, 8, 4, 0xd2, 0x16, 0x2f };

/* [src: HAProxy, "The PROXY protocol", section 2.2] */
static const uint8_t proxy_local[] = { '\r', '\n', '\r', '\n', 0,    '\r', '\n', 'Q',
                                       'U',  'I',  'T',  '\n', 0x20, 0,    0,    0 };

struct address served_address(const struct address *listening)
{
    struct address address = *listening;

    if (address.ss.ss_family == AF_INET) {
        struct sockaddr_in *in = (struct sockaddr_in *)&address.ss;
        if (in->sin_addr.s_addr == htonl(INADDR_ANY))
            in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    } else if (address.ss.ss_family == AF_INET6) {
        struct sockaddr_in6 *in = (struct sockaddr_in6 *)&address.ss;
        if (IN6_IS_ADDR_UNSPECIFIED(&in->sin6_addr))
            in->sin6_addr = in6addr_loopback;
    }
    return address;
}

/* ---- one look ---- */

/* The texts of dial.h are libpq's, for people at a terminal. */
static enum code dialled(const struct dial *dial, enum code code, const char *before, struct err *e)
{
    const struct err why = *e;

    if (code == E_CLOSED)
        return err_set(e, E_CONNECT, "connection closed");
    if (code == E_CONNECT && !dial->timed_out)
        return err_set(e, E_CONNECT, "%s%s", before, why.message);
    return code;
}

static enum code ask_for_tls(struct dial *dial, struct err *e)
{
    AUTO(buf) struct buf answer = BUF_INIT(DIAL_ROOM);

    TRY(dialled(dial, dial_send(dial, bytes_of(ssl_request, sizeof ssl_request), e), "", e));
    TRY(dialled(dial, dial_receive(dial, &answer, e), "", e));
    if (answer.p[0] != 'S')
        return err_set(e, E_CONNECT, "SSLRequest was answered with \"%c\"",
                       answer.p[0] >= ' ' && answer.p[0] < 127 ? answer.p[0] : '?');
    return answer.n == 1 ? OK : err_set(e, E_CONNECT, "SSLRequest was answered with more than a byte");
}

static enum served compare(const struct served_check *check, const struct served_target *target,
                           const struct tls_engine *engine, struct err *e)
{
    const uint8_t *expected = target->by_name ? target->fingerprint : check->fingerprint;
    AUTO(cert) struct x509_st *cert = tls_engine_peer(engine);
    uint8_t served[CERT_SHA256_SIZE];
    char expected_hex[CERT_SHA256_TEXT], served_hex[CERT_SHA256_TEXT];

    if (!cert || !cert_sha256(cert, served)) {
        err_set(e, E_TLS, "no certificate was served");
        return SERVED_UNKNOWN;
    }
    if (memcmp(served, expected, sizeof served) == 0)
        return SERVED_SAME;
    cert_sha256_text(expected, expected_hex);
    cert_sha256_text(served, served_hex);
    err_set(e, E_TLS, "a different certificate is served");
    err_detail(e, "Expected SHA-256 %s, found %s.", expected_hex, served_hex);
    return SERVED_OTHER;
}

/* ---- names ---- */

static bool name_of(uint64_t number, const uint8_t *secret, char out[SERVED_NAME_SIZE])
{
    uint8_t mac[CERT_SHA256_SIZE] = { 0 };
    char message[64], hex[2 * NAME_MAC_BYTES + 1];
    unsigned n = 0;

    /* The words keep these MACs apart from whatever else the secret may be used for. */
    int length = snprintf(message, sizeof message, "pgseal served name %016" PRIx64, number);
    if (secret &&
        !HMAC(EVP_sha256(), secret, OS_NONCE_SIZE, (const uint8_t *)message, (size_t)length, mac, &n))
        return false;
    for (size_t i = 0; i < NAME_MAC_BYTES; i++)
        (void)snprintf(hex + 2 * i, 3, "%02x", mac[i]);
    (void)snprintf(out, SERVED_NAME_SIZE, "check-%016" PRIx64 "-%s.pgseal.invalid", number, hex);
    return true;
}

bool served_name(const struct env *env, const uint8_t *secret, char out[SERVED_NAME_SIZE])
{
    uint64_t number;

    return env_random(env, &number, sizeof number) && name_of(number, secret, out);
}

bool served_name_for(const struct env *env, const char *state_dir, char out[SERVED_NAME_SIZE])
{
    uint8_t secret[OS_NONCE_SIZE];
    char path[OS_PATH_MAX];

    bool known = os_path(state_dir, STATE_SECRET, path, NULL) == OK &&
                 os_nonce_read(path, secret, NULL) == OK;
    bool ok = served_name(env, known ? secret : NULL, out);
    wipe(secret, sizeof secret);
    return ok;
}

bool served_name_is(const uint8_t *secret, struct str name)
{
    char expected[SERVED_NAME_SIZE];
    uint64_t number = 0;

    if (!str_starts(name, STR("check-")))
        return false;
    for (size_t i = 6; i < 22 && i < name.n; i++) {
        char c = name.p[i];
        number = number << 4 | (uint64_t)(c >= 'a' ? c - 'a' + 10 : c - '0');
    }
    return name_of(number, secret, expected) && name.n == strlen(expected) &&
           CRYPTO_memcmp(name.p, expected, name.n) == 0;
}

/* Each step has the whole time: a gate that has just loaded is busy. */
static void more_time(struct dial *dial)
{
    dial->deadline_us = env_mono_us(dial->env) + (int64_t)CHECK_TIMEOUT_S * 1000000;
}

static enum code visit(const struct served_check *check, struct tls_context *context, struct dial *dial,
                       struct served_target *target)
{
    struct err *e = &target->why;

    TRY(dialled(dial, dial_open(dial, &target->address, CHECK_TIMEOUT_S, e), "could not connect: ", e));
    if (target->proxy)
        TRY(dialled(dial, dial_send(dial, bytes_of(proxy_local, sizeof proxy_local), e), "", e));
    if (!target->plain_tls) {
        more_time(dial);
        TRY(ask_for_tls(dial, e));
    }
    more_time(dial);
    return dialled(
        dial,
        dial_handshake(dial, context, target->by_name ? target->name : check->name, !target->plain_tls, e),
        "", e);
}

static void verify_served_ask(const struct served_check *check, struct tls_context *context,
                              struct served_target *target)
{
    struct tls_port *port = tls_port_new();
    struct dial *dial = port ? dial_new(check->env, port) : NULL;

    target->result = SERVED_UNKNOWN;
    if (!dial)
        err_set(&target->why, E_NOMEM, "out of memory");
    else if (visit(check, context, dial, target) == OK)
        target->result = compare(check, target, dial->tls, &target->why);
    dial_free(dial);
    tls_port_free(port);
}

void verify_served(struct served_check *check)
{
    const struct tls_client_params anybody = { TLS_CLIENT_LOOKS, .visit = check->name };
    struct tls_context *context = NULL;
    struct err e = { 0 };

    if (tls_client_context_new(check->library, &anybody, &context, &e) != OK)
        context = NULL;
    for (size_t i = 0; i < check->n; i++) {
        check->targets[i].result = SERVED_UNKNOWN;
        check->targets[i].why = e;
        if (context)
            verify_served_ask(check, context, &check->targets[i]);
    }
    tls_context_free(context);
}
