/*
 * Routes and replies over libmicrohttpd.
 *
 * The library is driven from outside: its epoll descriptor is watched by the loop, its timeouts are a timer
 * of the loop. A page that cannot be answered at once leaves its connection suspended until
 * http_reply_send().
 */
#include "watch/http.h"

#include "base/buf.h"
#include "base/check.h"
#include "base/env.h"
#include "base/log.h"
#include "base/secret.h"
#include "conf/settings.h"
#include "net/loop.h"
#include "watch/door.h"

#include <arpa/inet.h>
#include <microhttpd.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/un.h>

enum {
    MEMORY_MAX = 16 * 1024, /* of one request: its line, its headers, and ours */
    TIMEOUT_S = DOOR_STAY_MS / 1000,
    TIMER_MAX_MS = 1000,
    /* Visitors who have left may still be answered: their connections are gone a little later. */
    CONNECTIONS_MAX = 2 * DOOR_VISITORS_MAX,
    HEADERS_MAX = 8
};

struct http {
    struct http_params params;
    struct door *door;
    bool names_matter; /* a browser can come here */
    struct MHD_Daemon *daemon;
    struct poll *poll;
    struct timer *timer;
    LIST_HEAD(, http_reply) waiting; /* suspended, not answered yet */
};

struct http_header {
    char *name;
    char *value;
};

struct http_reply {
    struct http *http;
    struct MHD_Connection *connection; /* NULL: nobody waits any more */
    struct MHD_Response *response;     /* what is to be said; NULL: not known yet */
    unsigned status;
    bool suspended;
    bool sent; /* the page has given it up */
    struct http_header headers[HEADERS_MAX];
    size_t n_headers;
    LIST_ENTRY(http_reply) entry;
};

/* ---- replies ---- */

static void reply_free(struct http_reply *reply)
{
    if (reply->response)
        MHD_destroy_response(reply->response);
    for (size_t i = 0; i < reply->n_headers; i++) {
        free(reply->headers[i].name);
        free(reply->headers[i].value);
    }
    free(reply);
}

void http_reply_header(struct http_reply *reply, const char *name, const char *value)
{
    CHECK(reply->n_headers < HEADERS_MAX);
    struct http_header *header = &reply->headers[reply->n_headers++];
    *header = (struct http_header){ strdup(name), strdup(value) };
}

/* NULL: memory ran out, and the connection will be closed. */
static struct MHD_Response *make_response(const struct http_reply *reply, const char *type, struct bytes body)
{
    void *p = (void *)(uintptr_t)body.p; /* copied */
    struct MHD_Response *response = MHD_create_response_from_buffer(body.n, p, MHD_RESPMEM_MUST_COPY);
    bool whole = response != NULL;

    whole = whole && MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type) == MHD_YES &&
            MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store") == MHD_YES &&
            MHD_add_response_header(response, "X-Content-Type-Options", "nosniff") == MHD_YES &&
            MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close") == MHD_YES;
    for (size_t i = 0; whole && i < reply->n_headers; i++)
        whole = reply->headers[i].name && reply->headers[i].value &&
                MHD_add_response_header(response, reply->headers[i].name, reply->headers[i].value) == MHD_YES;
    if (whole)
        return response;
    if (response)
        MHD_destroy_response(response);
    return NULL;
}

void http_reply_send(struct http_reply *reply, unsigned status, const char *content_type, struct bytes body)
{
    CHECK(!reply->sent);
    reply->sent = true;
    if (!reply->connection) {
        reply_free(reply);
        return;
    }
    reply->status = status;
    reply->response = make_response(reply, content_type, body);
    if (!reply->suspended)
        return;
    reply->suspended = false;
    LIST_REMOVE(reply, entry);
    MHD_resume_connection(reply->connection);
    timer_set(reply->http->timer, 0); /* the library looks at it in its next turn only */
}

static void send_text(struct http_reply *reply, unsigned status, const char *text)
{
    http_reply_send(reply, status, "text/plain; charset=utf-8", str_bytes(str_c(text)));
}

/* ---- requests ---- */

static bool method_is(const char *method, const char *word)
{
    return strcmp(method, word) == 0;
}

/* "Authorization: Bearer TOKEN" [src: RFC 6750 §2.1] */
static bool token_fits(struct MHD_Connection *connection, const struct secret *token)
{
    static const char scheme[] = "Bearer ";
    const char *value = MHD_lookup_connection_value(connection, MHD_HEADER_KIND,
                                                    MHD_HTTP_HEADER_AUTHORIZATION);
    struct str text = str_c(value);

    if (!str_equal_nocase(str_first(text, sizeof scheme - 1), STR("Bearer ")))
        return false;
    return secret_equal(str_bytes(str_trim(str_from(text, sizeof scheme - 1))), secret_bytes(token));
}

/*
 * A page of a foreign site can make a browser on this machine ask here, under a name that resolves to
 * loopback ("DNS rebinding"). Where no token protects the answer, only names are answered that nobody else
 * can own.
 */
static bool host_is_ours(struct MHD_Connection *connection)
{
    struct str host = str_c(MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_HOST));
    uint8_t address[16];
    char text[64];
    size_t colon = host.n;

    while (colon > 0 && host.p[colon - 1] != ':' && host.p[colon - 1] != ']')
        colon--;
    if (colon > 0 && host.p[colon - 1] == ':')
        host = str_first(host, colon - 1);
    if (host.n > 2 && host.p[0] == '[' && host.p[host.n - 1] == ']')
        host = str_of(host.p + 1, host.n - 2);
    return host.n == 0 || str_equal_nocase(host, STR("localhost")) ||
           (str_to_c(host, text, sizeof text) &&
            (inet_pton(AF_INET, text, address) == 1 || inet_pton(AF_INET6, text, address) == 1));
}

static const struct http_route *find_route(const struct http *http, const char *path)
{
    for (size_t i = 0; i < http->params.n_routes; i++)
        if (strcmp(http->params.routes[i].path, path) == 0)
            return &http->params.routes[i];
    return NULL;
}

static void answer(struct http_reply *reply, const char *path, const char *method)
{
    const struct http *http = reply->http;
    const struct http_access *access = door_access(http->door);
    const struct http_route *route = find_route(http, path);

    if (!route) {
        send_text(reply, MHD_HTTP_NOT_FOUND, "not found\n");
        return;
    }
    if (!method_is(method, MHD_HTTP_METHOD_GET) && !method_is(method, MHD_HTTP_METHOD_HEAD)) {
        http_reply_header(reply, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
        send_text(reply, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET and HEAD are allowed\n");
        return;
    }
    bool token = access && access->token && access->token->n > 0;
    if (!token && http->names_matter && !host_is_ours(reply->connection)) {
        send_text(reply, MHD_HTTP_FORBIDDEN, "use localhost or an address, or set http_token_file\n");
        return;
    }
    bool guarded = token && !route->open;
    if (guarded && !token_fits(reply->connection, access->token)) {
        http_reply_header(reply, MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Bearer realm=\"pgseal\"");
        send_text(reply, MHD_HTTP_UNAUTHORIZED, "a bearer token is required\n");
        return;
    }
    route->answer(http->params.ctx, reply);
}

/* libmicrohttpd calls this when the headers are there, and again when the connection was resumed. */
/* NOLINTNEXTLINE(readability-function-size): the parameters are libmicrohttpd's */
static enum MHD_Result mhd_on_request(void *arg, struct MHD_Connection *connection, const char *path,
                                      const char *method, const char *version, const char *upload,
                                      size_t *upload_n, void **state)
{
    struct http_reply *reply = *state;

    (void)version;
    (void)upload;
    (void)upload_n;
    if (!reply) {
        reply = calloc(1, sizeof *reply);
        if (!reply)
            return MHD_NO;
        *state = reply;
        *reply = (struct http_reply){ .http = arg, .connection = connection };
        answer(reply, path, method);
        if (!reply->sent) {
            reply->suspended = true;
            LIST_INSERT_HEAD(&reply->http->waiting, reply, entry);
            MHD_suspend_connection(connection);
            return MHD_YES;
        }
    }
    if (!reply->response)
        return MHD_NO;
    return MHD_queue_response(connection, reply->status, reply->response);
}

static void on_completed(void *arg, struct MHD_Connection *connection, void **state,
                         enum MHD_RequestTerminationCode why)
{
    struct http_reply *reply = *state;

    (void)arg;
    (void)connection;
    (void)why;
    if (!reply)
        return;
    *state = NULL;
    reply->connection = NULL;
    if (reply->sent)
        reply_free(reply);
}

/* ---- the library's turn ---- */

static void http_run(struct http *http)
{
    MHD_UNSIGNED_LONG_LONG wait_ms;

    (void)MHD_run(http->daemon);
    if (MHD_get_timeout(http->daemon, &wait_ms) == MHD_YES)
        timer_set(http->timer, wait_ms < TIMER_MAX_MS ? (int64_t)wait_ms : TIMER_MAX_MS);
    else
        timer_stop(http->timer);
}

static void http_on_ready(void *arg, unsigned events)
{
    (void)events;
    http_run(arg);
}

static void on_timer(void *arg)
{
    http_run(arg);
}

static bool admit(void *arg, int fd)
{
    const struct sockaddr_un address = { .sun_family = AF_UNIX };
    struct http *http = arg;

    if (MHD_add_connection(http->daemon, fd, (const struct sockaddr *)&address, sizeof address) != MHD_YES)
        return false;
    timer_set(http->timer, 0);
    return true;
}

/* What clients do wrong is no event for the gate's log; there is nothing to be done about it. */
static void drop_message(void *arg, const char *format, va_list args)
{
    (void)arg;
    (void)format;
    (void)args;
}

/* No route has a byte that is written with %; decoded, "/%00..." would end at its NUL and be "/". */
static size_t keep_escaped(void *arg, struct MHD_Connection *connection, char *text)
{
    (void)arg;
    (void)connection;
    return strlen(text);
}

static enum code start_daemon(struct http *http, struct err *e)
{
    const union MHD_DaemonInfo *info;

    http->daemon = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0, NULL,
        NULL, mhd_on_request, http, MHD_OPTION_EXTERNAL_LOGGER, drop_message, NULL,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)MEMORY_MAX, MHD_OPTION_CONNECTION_LIMIT,
        (unsigned)CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)TIMEOUT_S,
        MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL, MHD_OPTION_UNESCAPE_CALLBACK, keep_escaped, NULL,
        MHD_OPTION_END);
    info = http->daemon ? MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_EPOLL_FD) : NULL;
    http->timer = timer_new(http->params.loop, on_timer, http);
    http->poll = info ? poll_new(http->params.loop, info->epoll_fd, http_on_ready, http) : NULL;
    if (!http->poll || !http->timer)
        return err_set(e, E_NOMEM, "could not start the HTTP server");
    poll_set(http->poll, POLL_READ);
    return OK;
}

static enum code open_door(struct http *http, struct http_place place, struct err *e)
{
    const struct settings *settings = http->params.settings;
    const struct door_params params = {
        .loop = http->params.loop,
        .env = http->params.env,
        .place = place,
        .dir = settings->dir.p,
        /* What it shows is not for everybody: owner and group at most. */
        .mode = (mode_t)settings->unix_socket_permissions & 0660,
        .sockets = http->params.sockets,
        .admit = admit,
        .arg = http,
    };

    return door_open(&params, &http->door, e);
}

static void log_listening(const struct http *http)
{
    struct log_line line;

    log_begin(&line, http->params.env, SEV_LOG, "http_listening");
    log_str(&line, "address", http->params.settings->http_listen);
    log_end(&line);
}

enum code http_open(const struct http_params *params, struct http **out, struct err *e)
{
    struct http_place place;

    *out = NULL;
    if (!http_place_parse(params->settings->http_listen, &place) || place.kind == HTTP_OFF)
        return OK;
    struct http *http = calloc(1, sizeof *http);
    if (!http)
        return err_set(e, E_NOMEM, "out of memory");
    http->params = *params;
    http->names_matter = place.kind == HTTP_TCP;
    LIST_INIT(&http->waiting);
    enum code code = start_daemon(http, e);
    if (code == OK)
        code = open_door(http, place, e);
    if (code != OK) {
        http_close(http);
        return code;
    }
    log_listening(http);
    http->params.settings = NULL; /* borrowed for the start only */
    http->params.sockets = NULL;
    *out = http;
    return OK;
}

bool http_set_access(struct http *http, const struct http_access *access)
{
    return door_set_access(http->door, access);
}

void http_sockets(const struct http *http, struct socket_set *out)
{
    door_sockets(http->door, out);
}

void http_leave(struct http *http)
{
    door_leave(http->door);
}

void http_shut(struct http *http)
{
    door_shut(http->door);
}

void http_close(struct http *http)
{
    struct http_reply *reply;

    if (!http)
        return;
    door_close(http->door);
    while ((reply = LIST_FIRST(&http->waiting)) != NULL) { /* the library wants nobody suspended */
        LIST_REMOVE(reply, entry);
        reply->suspended = false;
        MHD_resume_connection(reply->connection);
    }
    poll_close(http->poll);
    timer_close(http->timer);
    if (http->daemon)
        MHD_stop_daemon(http->daemon);
    free(http);
}
