/**
 * Making, binding and connecting sockets; all of them non-blocking and close-on-exec.
 */
#ifndef PGSEAL_NET_SOCKET_H
#define PGSEAL_NET_SOCKET_H

#include "base/err.h"

#include <sys/socket.h>
#include <sys/types.h>

struct addrinfo;

/** A socket address with its length. */
struct address {
    struct sockaddr_storage ss;
    socklen_t n;
};

/** "127.0.0.1:5432", "[::1]:5432", "[local]"; always NUL-terminated. */
void address_text(const struct address *address, char *out, size_t size);
/** Numeric host only, "[local]" for a unix socket. */
void address_host(const struct address *address, char *out, size_t size);
/** Port in host order; 0 for a unix socket. */
unsigned address_port(const struct address *address);
/** Of an IPv4 or IPv6 address; others have none. */
void address_set_port(struct address *address, unsigned port);
/** Of what getaddrinfo() has found. False: it is too long for a socket address. */
bool address_of_info(const struct addrinfo *found, struct address *out);
/**
 * Look up where to listen: a host name, an address, or "*". Waits for name servers.
 *
 * out  for freeaddrinfo().
 *
 * E_LIMIT, E_CONFIG with PostgreSQL's text.
 */
MUST_CHECK enum code address_find_listen(struct str name, unsigned port, struct addrinfo **out,
                                         struct err *e);
/** "/dir/.s.PGSQL.5432" or, with a leading '@', an abstract name. E_LIMIT when too long. */
MUST_CHECK enum code address_unix(const char *path, struct address *out, struct err *e);

/**
 * Prove that a TCP address is free: bind without SO_REUSEPORT (another process's listener would be shared
 * silently), with SO_REUSEADDR (TIME_WAIT must not stop a restart). A port of 0 in `address` is replaced by
 * the one chosen. Messages are PostgreSQL's: `could not bind IPv4 address "A": Address already in use`.
 */
MUST_CHECK enum code socket_probe_bind(struct address *address, int *out_fd, struct err *e);
/** One of several listeners on the same address (SO_REUSEPORT). */
MUST_CHECK enum code socket_listen_tcp(const struct address *address, int *out_fd, struct err *e);
enum { SOCKET_PATH_MAX = 128 /* above what sockaddr_un takes */ };

/** A listening unix socket, and the file that clients find it by. */
struct unix_listener {
    int fd;
    char path[SOCKET_PATH_MAX];
    dev_t dev; /* of the file; an abstract name has none */
    ino_t ino;
};

enum { SOCKET_SET_MAX = 8 };

/** Listening sockets of one purpose. */
struct socket_set {
    size_t n;
    int fds[SOCKET_SET_MAX];
    struct unix_listener local; /* the file of a unix socket, and its descriptor; without a path: TCP */
};

/**
 * Listen on a unix socket. One that nobody answers is left over from a crash and is replaced; anything else
 * that has the name stays, and is an error. mode as unix_socket_permissions.
 */
MUST_CHECK enum code socket_listen_unix(const char *path, mode_t mode, struct unix_listener *out,
                                        struct err *e);
/** Remove the file, where it is still this socket's. May be repeated. */
void socket_unlink_unix(struct unix_listener *listener);

/** Accept one connection; -1 with errno when there is none or descriptors ran out. From socket_listen_tcp()
 * it inherits TCP_NODELAY and SO_KEEPALIVE. */
int socket_accept(int listener, struct address *out_peer);

/** Does somebody wait to be accepted? */
bool socket_waits(int listener);
/** A descriptor that is good for nothing but to be closed when another is needed; -1: there is none left. */
int socket_spare(void);

struct keepalive {
    int idle_s, interval_s, count, user_timeout_ms; /* 0: the system's */
};
/** The numbers where not 0. Failures do not matter. */
void socket_set_keepalive_times(int fd, const struct keepalive *keepalive);
/** SO_KEEPALIVE, and the numbers. */
void socket_set_keepalive(int fd, const struct keepalive *keepalive);

/** Start connecting; OK also while it is under way (writable when done). */
MUST_CHECK enum code socket_connect(const struct address *address, int *out_fd, struct err *e);
/** Outcome of a connect that was under way: 0 or an errno. */
int socket_connect_result(int fd);
/** Credentials of the peer of a unix socket. False: errno says why. */
bool socket_peer_ids(int fd, uid_t *out_uid, gid_t *out_gid);

#endif
