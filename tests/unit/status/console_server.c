/*
 * The console behind a bare socket, for real clients: no TLS, no authentication, statements run in the same
 * thread. The user name decides: "admin" is an administrator, everybody else is not.
 *
 *   console_server [-n SESSIONS] [-t DEADLINE_MS]     prints its port on 127.0.0.1, ends when stdin does
 */
#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/env.h"
#include "clerk_here.h"
#include "fixture.h"
#include "pgwire/backend.h"
#include "pgwire/hello.h"
#include "status/console_job.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CLIENTS_MAX = 64, OUT_MAX = 128 << 20, READ_SIZE = 65536 };

struct client {
    int fd;
    struct buf in; /* until the console begins */
    struct buf out;
    struct hello hello;
    struct console *console;
    enum console_step step;
    int32_t pid;
};

static struct fixture fixture;
static struct clerk_here clerk;
static struct env env;
static unsigned deadline_ms;
static struct client clients[CLIENTS_MAX];
static int32_t next_pid = 1 << 30;

static void drop(struct client *c)
{
    if (c->fd < 0)
        return;
    console_free(c->console);
    buf_fini(&c->in);
    buf_fini(&c->out);
    (void)close(c->fd);
    *c = (struct client){ .fd = -1 };
}

static void run_jobs(struct client *c)
{
    while (c->step == CONSOLE_JOB) {
        struct console_job *job = console_job(c->console);
        if (console_job_views(job) != 0)
            console_job_rows(job, fixture_rows(&fixture));
        console_job_run(job);
        c->step = console_next(c->console, &c->out);
    }
}

static void begin_console(struct client *c, const struct startup *startup)
{
    char user[PG_NAME_MAX + 1];
    struct console_option options[32];
    struct console_params params;

    CHECK(str_to_c(startup->user, user, sizeof user));
    params = fixture_params(&fixture, &env, user, strcmp(user, "admin") == 0);
    params.pid = c->pid = next_pid++;
    params.database = startup->database;
    params.deadline_ms = deadline_ms;
    params.options = options;
    for (size_t i = 0; i < startup->parameter_count && i < COUNT_OF(options); i++)
        options[params.option_count++] = (struct console_option){ startup->parameters[i].name,
                                                                  startup->parameters[i].value };
    if (startup->application_name.n > 0 && params.option_count < COUNT_OF(options))
        options[params.option_count++] = (struct console_option){ STR("application_name"),
                                                                  startup->application_name };
    const struct clerk_line line = clerk_here_line(&clerk);
    c->console = console_new(&params, &line);
    CHECK(c->console != NULL);
    backend_auth(&c->out, AUTH_OK, bytes_of("", 0));
    console_greet(c->console, &c->out);
    backend_key_data(&c->out, (uint32_t)c->pid, bytes_of("key!", 4));
    backend_ready(&c->out, 'I');
}

static void cancel(struct bytes body)
{
    struct cancel request;
    struct err e;

    if (cancel_parse(body, &request, &e) != OK)
        return;
    for (size_t i = 0; i < CLIENTS_MAX; i++)
        if (clients[i].fd >= 0 && clients[i].console != NULL && (uint32_t)clients[i].pid == request.pid)
            console_cancel(clients[i].console);
}

/* False when the connection is to be closed. */
static bool greet(struct client *c)
{
    struct hello_packet packet;
    struct arena arena;
    struct startup startup;
    struct err e;
    enum code code = hello_next(&c->hello, buf_bytes(&c->in), &packet);

    if (code == E_MORE)
        return true;
    if (code != OK)
        return false;
    if (packet.kind == HELLO_SSL)
        buf_append_byte(&c->out, (uint8_t)hello_answer_ssl(&c->hello, false));
    else if (packet.kind == HELLO_GSSENC)
        buf_append_byte(&c->out, (uint8_t)hello_answer_gss(&c->hello));
    else if (packet.kind == HELLO_CANCEL)
        cancel(packet.body);
    if (packet.kind == HELLO_CANCEL)
        return false;
    if (packet.kind == HELLO_STARTUP) {
        arena_init(&arena, 1 << 20, 1024);
        code = startup_parse(packet.code, packet.body, &arena, &startup, &e);
        if (code == OK)
            begin_console(c, &startup);
        arena_fini(&arena);
    }
    buf_consume(&c->in, packet.used);
    return code == OK;
}

static bool take_input(struct client *c)
{
    static uint8_t data[READ_SIZE];
    ssize_t n = read(c->fd, data, sizeof data);

    if (n <= 0)
        return n < 0 && errno == EAGAIN;
    if (c->console == NULL) {
        buf_append(&c->in, bytes_of(data, (size_t)n));
        while (c->console == NULL && c->in.n > 0) {
            size_t before = c->in.n;
            if (!greet(c))
                return false;
            if (c->in.n == before)
                return true;
        }
        if (c->console == NULL)
            return true;
        c->step = console_feed(c->console, buf_bytes(&c->in), &c->out);
        buf_reset(&c->in);
    } else {
        enum console_step step = console_feed(c->console, bytes_of(data, (size_t)n), &c->out);
        if (step != CONSOLE_WAIT)
            c->step = step;
    }
    run_jobs(c);
    return true;
}

static bool send_output(struct client *c)
{
    while (c->out.n > 0) {
        ssize_t n = send(c->fd, c->out.p, c->out.n, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0)
            return errno == EAGAIN || errno == EWOULDBLOCK;
        buf_consume(&c->out, (size_t)n);
        if (c->out.n == 0 && c->step == CONSOLE_DRAIN) {
            c->step = console_next(c->console, &c->out);
            run_jobs(c);
        }
    }
    return c->step != CONSOLE_DONE;
}

static void accept_client(int listener)
{
    int fd = accept(listener, NULL, NULL), one = 1;

    for (size_t i = 0; i < CLIENTS_MAX && fd >= 0; i++) {
        if (clients[i].fd >= 0)
            continue;
        clients[i] = (struct client){ .fd = fd };
        buf_init(&clients[i].in, 1 << 20);
        buf_init(&clients[i].out, OUT_MAX);
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        return;
    }
    if (fd >= 0)
        (void)close(fd);
}

static int listen_somewhere(void)
{
    struct sockaddr_in addr = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof addr;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    CHECK(fd >= 0 && bind(fd, (struct sockaddr *)&addr, sizeof addr) == 0 && listen(fd, 64) == 0);
    CHECK(getsockname(fd, (struct sockaddr *)&addr, &size) == 0);
    (void)printf("%u\n", ntohs(addr.sin_port));
    (void)fflush(stdout);
    return fd;
}

static void serve(int listener)
{
    struct pollfd polls[CLIENTS_MAX + 2];
    char gone;

    for (;;) {
        polls[0] = (struct pollfd){ listener, POLLIN, 0 };
        polls[1] = (struct pollfd){ STDIN_FILENO, POLLIN, 0 };
        for (size_t i = 0; i < CLIENTS_MAX; i++)
            polls[i + 2] = (struct pollfd){ clients[i].fd,
                                            (short)(POLLIN | (clients[i].out.n > 0 ? POLLOUT : 0)), 0 };
        if (poll(polls, CLIENTS_MAX + 2, -1) < 0)
            return;
        if (polls[1].revents != 0 && read(STDIN_FILENO, &gone, 1) <= 0)
            return;
        for (size_t i = 0; i < CLIENTS_MAX; i++) {
            struct client *c = &clients[i];
            if (c->fd < 0 || polls[i + 2].revents == 0)
                continue;
            if (!(polls[i + 2].revents & (POLLIN | POLLHUP | POLLERR)) || take_input(c)) {
                if (send_output(c))
                    continue;
            } else {
                (void)send_output(c);
            }
            drop(c);
        }
        if (polls[0].revents != 0)
            accept_client(listener);
    }
}

int main(int argc, char **argv)
{
    int option;

    while ((option = getopt(argc, argv, "n:t:")) != -1) {
        uint32_t value = 0;
        if (option == '?' || !str_to_u32(str_c(optarg), 0, 1000000, &value))
            return 2;
        if (option == 'n')
            fixture.sessions = value;
        else
            deadline_ms = value;
    }
    env = env_system();
    clerk_here_begin(&clerk, &env, fixture_params(&fixture, &env, "", false).tls.field_known);
    for (size_t i = 0; i < CLIENTS_MAX; i++)
        clients[i].fd = -1;
    serve(listen_somewhere());
    for (size_t i = 0; i < CLIENTS_MAX; i++)
        drop(&clients[i]);
    clerk_here_end(&clerk);
    return 0;
}
