/* Sockets: addresses, listeners, connections. */
#include "net/socket.h"

#include "base/check.h"
#include "base/ip.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG = 1024 };

/* ---- addresses ---- */

void address_host(const struct address *address, char *out, size_t size)
{
    const struct sockaddr_storage *ss = &address->ss;
    const void *raw = ss->ss_family == AF_INET ? (const void *)&((const struct sockaddr_in *)ss)->sin_addr
                                               : (const void *)&((const struct sockaddr_in6 *)ss)->sin6_addr;

    if ((ss->ss_family != AF_INET && ss->ss_family != AF_INET6) ||
        !inet_ntop(ss->ss_family, raw, out, (socklen_t)size))
        (void)snprintf(out, size, "[local]");
}

unsigned address_port(const struct address *address)
{
    if (address->ss.ss_family == AF_INET)
        return ntohs(((const struct sockaddr_in *)&address->ss)->sin_port);
    if (address->ss.ss_family == AF_INET6)
        return ntohs(((const struct sockaddr_in6 *)&address->ss)->sin6_port);
    return 0;
}

void address_set_port(struct address *address, unsigned port)
{
    if (address->ss.ss_family == AF_INET)
        ((struct sockaddr_in *)&address->ss)->sin_port = htons((uint16_t)port);
    else if (address->ss.ss_family == AF_INET6)
        ((struct sockaddr_in6 *)&address->ss)->sin6_port = htons((uint16_t)port);
}

bool address_of_info(const struct addrinfo *found, struct address *out)
{
    *out = (struct address){ .n = found->ai_addrlen };
    if (found->ai_addrlen > sizeof out->ss)
        return false;
    memcpy(&out->ss, found->ai_addr, found->ai_addrlen);
    return true;
}

enum code address_find_listen(struct str name, unsigned port, struct addrinfo **out, struct err *e)
{
    const struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE };
    char host[256], service[16];

    (void)snprintf(service, sizeof service, "%u", port);
    if (!str_to_c(name, host, sizeof host))
        return err_set(e, E_LIMIT, "host name \"%.*s\" is too long", STR_ARG(name));
    int gai = getaddrinfo(str_is(name, "*") ? NULL : host, service, &hints, out);
    if (gai != 0)
        return err_set(e, E_CONFIG, "could not translate host name \"%s\", service \"%s\" to address: %s",
                       host, service, gai_strerror(gai));
    return OK;
}

void address_text(const struct address *address, char *out, size_t size)
{
    char host[INET6_ADDRSTRLEN];

    address_host(address, host, sizeof host);
    if (address->ss.ss_family == AF_INET)
        (void)snprintf(out, size, "%s:%u", host, address_port(address));
    else if (address->ss.ss_family == AF_INET6)
        (void)snprintf(out, size, "[%s]:%u", host, address_port(address));
    else
        (void)snprintf(out, size, "%s", host);
}

enum code address_unix(const char *path, struct address *out, struct err *e)
{
    struct sockaddr_un un = { .sun_family = AF_UNIX };
    size_t n = strlen(path);

    if (n >= sizeof un.sun_path) {
        err_set(e, E_LIMIT, "Unix-domain socket path \"%s\" is too long (maximum %zu bytes)", path,
                sizeof un.sun_path - 1);
        return E_LIMIT;
    }
    memcpy(un.sun_path, path, n);
    *out = (struct address){ .n = (socklen_t)sizeof un };
    if (path[0] == '@') { /* abstract: no NUL, the length counts */
        un.sun_path[0] = '\0';
        out->n = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
    }
    memcpy(&out->ss, &un, sizeof un);
    return OK;
}

/* ---- listeners ---- */

static const char *family_name(const struct address *address)
{
    return address->ss.ss_family == AF_INET6 ? "IPv6" : "IPv4";
}

static enum code socket_failed(struct err *e, int fd, const char *what, const struct address *address)
{
    int why = errno;
    char host[INET6_ADDRSTRLEN];

    address_host(address, host, sizeof host);
    err_set(e, code_from_errno(why), "could not %s %s address \"%s\": %s", what, family_name(address), host,
            strerror(why));
    if (why == EADDRINUSE)
        err_hint(e, "Is another postmaster already running on port %u? If not, wait a few seconds and retry.",
                 address_port(address));
    if (fd >= 0)
        (void)close(fd);
    return code_from_errno(why);
}

static enum code bound_socket(const struct address *address, bool shared, int *out_fd, struct err *e)
{
    int on = 1;
    int fd = socket(address->ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return socket_failed(e, -1, "create socket for", address);
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        (shared && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) != 0) ||
        (address->ss.ss_family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) != 0))
        return socket_failed(e, fd, "set options for", address);
    if (bind(fd, (const struct sockaddr *)&address->ss, address->n) != 0)
        return socket_failed(e, fd, "bind", address);
    *out_fd = fd;
    return OK;
}

enum code socket_probe_bind(struct address *address, int *out_fd, struct err *e)
{
    int fd = -1;

    TRY(bound_socket(address, false, &fd, e));
    /* SO_REUSEADDR lets a second bind succeed where a listener exists; only listening tells. */
    if (listen(fd, 1) != 0)
        return socket_failed(e, fd, "bind", address);
    struct address chosen = { .n = sizeof chosen.ss };
    if (getsockname(fd, (struct sockaddr *)&chosen.ss, &chosen.n) != 0)
        return socket_failed(e, fd, "bind", address);
    *address = chosen;
    *out_fd = fd;
    return OK;
}

enum code socket_listen_tcp(const struct address *address, int *out_fd, struct err *e)
{
    int fd = -1, on = 1;

    TRY(bound_socket(address, true, &fd, e));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* accepted sockets inherit both */
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    if (listen(fd, BACKLOG) != 0)
        return socket_failed(e, fd, "listen on", address);
    *out_fd = fd;
    return OK;
}

/* A socket that nobody answers is left over from a crash. */
static bool somebody_listens(const struct address *address)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return false;
    bool answered = connect(fd, (const struct sockaddr *)&address->ss, address->n) == 0 || errno == EAGAIN;
    (void)close(fd);
    return answered;
}

/* A socket that is left over goes; what is none was put there by somebody, and is theirs. */
static enum code clear_path(const char *path, struct err *e)
{
    struct stat st;

    if (path[0] == '@' || lstat(path, &st) != 0)
        return OK;
    if (!S_ISSOCK(st.st_mode)) {
        err_set(e, E_EXISTS, "could not bind Unix address \"%s\": the file exists and is not a socket", path);
        err_hint(e, "Move \"%s\" away, or choose another directory or port.", path);
        return E_EXISTS;
    }
    (void)unlink(path);
    return OK;
}

enum code socket_listen_unix(const char *path, mode_t mode, struct unix_listener *out, struct err *e)
{
    struct address address;
    struct stat st = { 0 };
    int why;

    TRY(address_unix(path, &address, e));
    if (somebody_listens(&address)) {
        err_set(e, E_EXISTS, "could not bind Unix address \"%s\": %s", path, strerror(EADDRINUSE));
        err_hint(
            e,
            "Is another postmaster already running on this socket? If not, remove socket file \"%s\" and retry.",
            path);
        return E_EXISTS;
    }
    TRY(clear_path(path, e));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (const struct sockaddr *)&address.ss, address.n) != 0 ||
        (path[0] != '@' && (chmod(path, mode) != 0 || lstat(path, &st) != 0)) || listen(fd, BACKLOG) != 0) {
        why = errno;
        if (fd >= 0)
            (void)close(fd);
        return err_set(e, code_from_errno(why), "could not bind Unix address \"%s\": %s", path,
                       strerror(why));
    }
    *out = (struct unix_listener){ .fd = fd, .dev = st.st_dev, .ino = st.st_ino };
    (void)str_to_c(str_c(path), out->path, sizeof out->path); /* address_unix() has seen that it fits */
    return OK;
}

void socket_unlink_unix(struct unix_listener *listener)
{
    struct stat st;

    if (listener->path[0] && listener->path[0] != '@' && lstat(listener->path, &st) == 0 &&
        S_ISSOCK(st.st_mode) && st.st_dev == listener->dev && st.st_ino == listener->ino)
        (void)unlink(listener->path);
    listener->path[0] = '\0'; /* once it is closed, another socket there may have its number */
}

/* ---- connections ---- */

bool socket_waits(int listener)
{
    struct pollfd waits = { .fd = listener, .events = POLLIN };

    return poll(&waits, 1, 0) > 0;
}

int socket_spare(void)
{
    return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

int socket_accept(int listener, struct address *out_peer)
{
    *out_peer = (struct address){ .n = sizeof out_peer->ss };
    int fd = accept4(listener, (struct sockaddr *)&out_peer->ss, &out_peer->n, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd >= 0)
        ip_unmap(&out_peer->ss, &out_peer->n);
    return fd;
}

void socket_set_keepalive_times(int fd, const struct keepalive *keepalive)
{
    const struct {
        int option, value;
    } rows[] = {
        { TCP_KEEPIDLE, keepalive->idle_s },
        { TCP_KEEPINTVL, keepalive->interval_s },
        { TCP_KEEPCNT, keepalive->count },
        { TCP_USER_TIMEOUT, keepalive->user_timeout_ms },
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++)
        if (rows[i].value > 0)
            (void)setsockopt(fd, IPPROTO_TCP, rows[i].option, &rows[i].value, sizeof rows[i].value);
}

void socket_set_keepalive(int fd, const struct keepalive *keepalive)
{
    int on = 1;

    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    socket_set_keepalive_times(fd, keepalive);
}

enum code socket_connect(const struct address *address, int *out_fd, struct err *e)
{
    int on = 1;
    int fd = socket(address->ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return err_set(e, E_CONNECT, "could not create socket: %s", strerror(errno));
    if (address->ss.ss_family != AF_UNIX) {
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    }
    if (connect(fd, (const struct sockaddr *)&address->ss, address->n) != 0 && errno != EINPROGRESS &&
        errno != EINTR) { /* interrupted, it goes on by itself */
        int why = errno;
        (void)close(fd);
        return err_set(e, E_CONNECT, "%s", strerror(why));
    }
    *out_fd = fd;
    return OK;
}

int socket_connect_result(int fd)
{
    int result = 0;
    socklen_t n = sizeof result;

    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &result, &n) == 0 ? result : errno;
}

bool socket_peer_ids(int fd, uid_t *out_uid, gid_t *out_gid)
{
    struct ucred ids;
    socklen_t n = sizeof ids;

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &ids, &n) != 0)
        return false;
    *out_uid = ids.uid;
    *out_gid = ids.gid;
    return true;
}
