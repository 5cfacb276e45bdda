/* Sockets as a conninfo wants them. */
#include "client/socket.h"

#include "client/conninfo.h"
#include "client/hosts.h"
#include "net/socket.h"

#include <errno.h>
#include <pwd.h>

void conn_socket_tune(const struct conninfo *info, const struct address *addr, int fd)
{
    const struct keepalive keepalive = { .idle_s = info->keepalives_idle_s,
                                         .interval_s = info->keepalives_interval_s,
                                         .count = info->keepalives_count,
                                         .user_timeout_ms = info->tcp_user_timeout_ms };
    const struct keepalive user_timeout = { .user_timeout_ms = info->tcp_user_timeout_ms };
    int off = 0;

    if (conn_addr_is_unix(addr))
        return;
    socket_set_keepalive(fd, info->keepalives ? &keepalive : &user_timeout);
    if (!info->keepalives)
        (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &off, sizeof off);
}

static enum code check_peer(const struct conninfo *info, int fd, struct err *e)
{
    enum { PASSWD_ROOM = 16384 };
    char room[PASSWD_ROOM];
    struct passwd entry, *found = NULL;
    uid_t uid;
    gid_t gid;

    if (!socket_peer_ids(fd, &uid, &gid))
        return err_set(e, E_CONNECT, "could not get peer credentials: %s", strerrordesc_np(errno));
    int error = getpwuid_r(uid, &entry, room, sizeof room, &found);
    if (error != 0)
        return err_set(e, E_CONNECT, "could not look up local user ID %u: %s", uid, strerrordesc_np(error));
    if (!found)
        return err_set(e, E_CONNECT, "local user with ID %u does not exist", uid);
    if (!str_is(info->requirepeer, found->pw_name))
        return err_set(e, E_CONNECT, "requirepeer specifies \"%.*s\", but actual peer user name is \"%s\"",
                       STR_ARG(info->requirepeer), found->pw_name);
    return OK;
}

enum code conn_socket_check_peer(const struct conninfo *info, const struct address *addr, int fd,
                                 struct err *e)
{
    return info->requirepeer.n > 0 && conn_addr_is_unix(addr) ? check_peer(info, fd, e) : OK;
}
