/* Looking at ourselves from outside. Blocking sockets: this runs on a pool thread, some dozens of lines. */
#include "client/verify_served.h"

#include "base/check.h"
#include "base/env.h"
#include "pki/cert.h"
#include "tls/client_context.h"
#include "tls/context.h"
#include "tls/engine.h"

#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { CHECK_TIMEOUT_MS = 3000, CHECK_ROUNDS = 64, CHECK_ROOM = 64 * 1024 };

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

/* ---- a socket that waits, but not for ever ---- */

static enum code wait_for(int fd, short events, struct err *e)
{
    struct pollfd p = { .fd = fd, .events = events };
    int n;

    do
        n = poll(&p, 1, CHECK_TIMEOUT_MS);
    while (n < 0 && errno == EINTR);
    if (n > 0)
        return OK;
    return err_set(e, E_CONNECT, "%s", n == 0 ? "timeout expired" : strerror(errno));
}

static enum code open_socket(const struct address *address, int *out_fd, struct err *e)
{
    int fd;

    TRY(socket_connect(address, &fd, e));
    enum code code = wait_for(fd, POLLOUT, e);
    int why = code == OK ? socket_connect_result(fd) : 0;
    if (why != 0)
        code = err_set(e, E_CONNECT, "could not connect: %s", strerror(why));
    if (code != OK) {
        (void)close(fd);
        return code;
    }
    *out_fd = fd;
    return OK;
}

static enum code send_all(int fd, struct bytes data, struct err *e)
{
    while (data.n > 0) {
        TRY(wait_for(fd, POLLOUT, e));
        ssize_t n = send(fd, data.p, data.n, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            return err_set(e, E_CONNECT, "could not send: %s", strerror(errno));
        if (n > 0)
            data = bytes_from(data, (size_t)n);
    }
    return OK;
}

static enum code receive(int fd, uint8_t *room, size_t size, size_t *out_n, struct err *e)
{
    for (;;) {
        TRY(wait_for(fd, POLLIN, e));
        ssize_t n = recv(fd, room, size, 0);
        if (n == 0)
            return err_set(e, E_CONNECT, "connection closed");
        if (n > 0) {
            *out_n = (size_t)n;
            return OK;
        }
        if (errno != EAGAIN && errno != EINTR)
            return err_set(e, E_CONNECT, "could not receive: %s", strerror(errno));
    }
}

/* ---- one look ---- */

static enum code ask_for_tls(int fd, struct err *e)
{
    uint8_t answer;
    size_t n;

    TRY(send_all(fd, bytes_of(ssl_request, sizeof ssl_request), e));
    TRY(receive(fd, &answer, 1, &n, e));
    if (answer != 'S')
        return err_set(e, E_CONNECT, "SSLRequest was answered with \"%c\"",
                       answer >= ' ' && answer < 127 ? answer : '?');
    return OK;
}

static enum code shake_hands(int fd, struct tls_engine *engine, uint8_t room[2 * CHECK_ROOM], struct err *e)
{
    struct tls_io io = { .out = room, .out_size = CHECK_ROOM };
    size_t n;

    for (int round = 0; round < CHECK_ROUNDS; round++) {
        io.out_n = 0;
        enum tls_status status = tls_engine_handshake(engine, &io, e);
        if (io.out_n > 0)
            TRY(send_all(fd, bytes_of(room, io.out_n), e));
        switch (status) {
        case TLS_DONE:
            return OK;
        case TLS_WANT_INPUT:
            TRY(receive(fd, room + CHECK_ROOM, CHECK_ROOM, &n, e));
            io.in = bytes_of(room + CHECK_ROOM, n);
            break;
        case TLS_WANT_ROOM:
            break;
        case TLS_CLOSED:
            return err_set(e, E_CONNECT, "connection closed");
        case TLS_FAILED:
            return e->code;
        }
    }
    return err_set(e, E_CONNECT, "the handshake does not end");
}

static enum served compare(const struct served_check *check, const struct tls_engine *engine, struct err *e)
{
    struct x509_st *cert = tls_engine_peer(engine);
    uint8_t served[CERT_SHA256_SIZE];
    char expected_hex[CERT_SHA256_TEXT], served_hex[CERT_SHA256_TEXT];

    if (!cert || !cert_sha256(cert, served)) {
        err_set(e, E_TLS, "no certificate was served");
        return SERVED_UNKNOWN;
    }
    if (memcmp(served, check->fingerprint, sizeof served) == 0)
        return SERVED_SAME;
    cert_sha256_text(check->fingerprint, expected_hex);
    cert_sha256_text(served, served_hex);
    err_set(e, E_TLS, "a different certificate is served");
    err_detail(e, "Expected SHA-256 %s, found %s.", expected_hex, served_hex);
    return SERVED_OTHER;
}

bool served_name(const struct env *env, char out[SERVED_NAME_SIZE])
{
    uint64_t number;

    if (!env_random(env, &number, sizeof number))
        return false;
    (void)snprintf(out, SERVED_NAME_SIZE, "check-%016" PRIx64 ".pgseal.invalid", number);
    return true;
}

static void look(const struct served_check *check, struct tls_context *context, struct served_target *target)
{
    struct tls_port *port = tls_port_new();
    uint8_t *room = malloc(2 * CHECK_ROOM);
    struct tls_engine *engine = port ? tls_engine_new_client(port, context, check->name, true) : NULL;
    int fd = -1;

    target->result = SERVED_UNKNOWN;
    enum code code = engine && room ? open_socket(&target->address, &fd, &target->why)
                                    : err_set(&target->why, E_NOMEM, "out of memory");
    if (code == OK && target->proxy)
        code = send_all(fd, bytes_of(proxy_local, sizeof proxy_local), &target->why);
    if (code == OK)
        code = ask_for_tls(fd, &target->why);
    if (code == OK)
        code = shake_hands(fd, engine, room, &target->why);
    if (code == OK)
        target->result = compare(check, engine, &target->why);
    if (fd >= 0)
        (void)close(fd);
    tls_engine_free(engine);
    tls_port_free(port);
    free(room);
}

void verify_served(struct served_check *check)
{
    static const struct tls_client_params anybody = {
        .root_file = "",
        .crl_file = "",
        .crl_dir = "",
        .cert_file = "",
        .key_file = "",
        .any_version = true,
        .no_prompt = true,
    };
    struct tls_context *context = NULL;
    struct err e = { 0 };

    if (tls_client_context_new(check->library, &anybody, &context, &e) != OK)
        context = NULL;
    for (size_t i = 0; i < check->n; i++) {
        check->targets[i].result = SERVED_UNKNOWN;
        check->targets[i].why = e;
        if (context)
            look(check, context, &check->targets[i]);
    }
    tls_context_free(context);
}
