/**
 * What a conninfo says about the socket itself.
 * [src: PostgreSQL 18, "Parameter Key Words": keepalives, tcp_user_timeout, requirepeer]
 */
#ifndef PGSEAL_CLIENT_SOCKET_H
#define PGSEAL_CLIENT_SOCKET_H

#include "base/err.h"

struct address;
struct conninfo;

/** Keepalives and tcp_user_timeout of a TCP socket; failures do not matter. Nothing on a Unix socket. */
void conn_socket_tune(const struct conninfo *info, const struct address *addr, int fd);
/**
 * requirepeer: is the server at the other end of a connected Unix socket run by this OS user? OK where nothing is
 * demanded, and on TCP. E_CONNECT with libpq's text; EVENT_LOCAL_ERROR.
 */
MUST_CHECK enum code conn_socket_check_peer(const struct conninfo *info, const struct address *addr, int fd,
                                            struct err *e);

#endif
