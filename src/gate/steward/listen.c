/* Opening the sockets of a start. [src: PostgreSQL 18, listen_addresses, unix_socket_directories] */
#include "gate/steward/listen.h"

#include "base/env.h"
#include "base/log.h"
#include "conf/settings.h"
#include "gate/session/accept.h"
#include "gate/work/worker.h"
#include "net/socket.h"

#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void log_failure(const struct env *env, const struct err *e)
{
    struct log_line line;

    log_begin(&line, env, SEV_LOG, "listen_failed");
    log_err(&line, e);
    log_end(&line);
}

static void log_success(const struct env *env, const char *where)
{
    struct log_line line;

    log_begin(&line, env, SEV_LOG, "listening");
    log_c(&line, "address", where);
    log_end(&line);
}

/* ---- TCP ---- */

/** What opening needs of the gate. */
struct opening {
    const struct settings *settings;
    struct worker **workers;
    unsigned n_workers;
    const struct env *env;
    struct listen_set *set;
};

bool listen_note(struct listen_set *set, unsigned worker, int fd)
{
    struct worker_listener *more = realloc(set->listeners, (set->n_listeners + 1) * sizeof *more);

    if (!more) {
        (void)close(fd);
        return false;
    }
    set->listeners = more;
    more[set->n_listeners++] = (struct worker_listener){ .fd = fd, .worker = worker };
    return true;
}

void listen_forget(struct listen_set *set)
{
    free(set->listeners);
    set->listeners = NULL;
    set->n_listeners = 0;
}

static enum code open_workers(const struct opening *o, const struct address *address, struct err *e)
{
    for (unsigned i = 0; i < o->n_workers; i++) {
        int fd;
        TRY(socket_listen_tcp(address, &fd, e));
        if (!listen_note(o->set, i, fd))
            return err_set(e, E_NOMEM, "out of memory");
        if (worker_add_listener(o->workers[i], fd, true) != OK) {
            o->set->n_listeners--;
            (void)close(fd);
            return err_set(e, E_NOMEM, "out of memory");
        }
    }
    return OK;
}

static enum code open_address(const struct opening *o, struct address address, struct err *e)
{
    int probe;

    TRY(socket_probe_bind(&address, &probe, e));
    (void)close(probe);
    return open_workers(o, &address, e);
}

static void open_name(const struct opening *o, struct str name)
{
    struct addrinfo *found;
    struct address address;
    char text[64];
    struct err e;

    if (address_find_listen(name, (unsigned)o->settings->port, &found, &e) != OK) {
        log_failure(o->env, &e);
        return;
    }
    for (const struct addrinfo *at = found; at; at = at->ai_next) {
        if (!address_of_info(at, &address))
            continue;
        if (open_address(o, address, &e) != OK) {
            log_failure(o->env, &e);
            continue;
        }
        address_text(&address, text, sizeof text);
        log_success(o->env, text);
        if (o->set->n_tcp < LISTEN_TCP_MAX)
            o->set->tcp[o->set->n_tcp] = address;
        o->set->n_tcp++;
    }
    freeaddrinfo(found);
}

/* ---- unix ---- */

static enum code open_unix(const struct opening *o, struct str dir, struct err *e)
{
    struct listen_set *set = o->set;
    struct unix_listener *listener = &set->sockets[set->n_unix];
    char path[SOCKET_PATH_MAX];
    int n = snprintf(path, sizeof path, "%.*s/.s.PGSQL.%d", STR_ARG(dir), o->settings->port);

    if (n < 0 || (size_t)n >= sizeof path)
        return err_set(e, E_LIMIT, "Unix-domain socket path \"%.*s\" is too long", STR_ARG(dir));
    TRY(socket_listen_unix(path, (mode_t)o->settings->unix_socket_permissions, listener, e));
    set->n_unix++;
    for (unsigned i = 0; i < o->n_workers; i++)
        if (worker_add_listener(o->workers[i], listener->fd, false) != OK)
            return err_set(e, E_NOMEM, "out of memory");
    return OK;
}

enum code listen_open(const struct settings *settings, struct worker **workers, unsigned n_workers,
                      const struct env *env, struct listen_set *out, struct err *e)
{
    const struct settings_names *addresses = &settings->listen_addresses;
    const struct settings_names *dirs = &settings->unix_socket_directories;

    const struct opening o = { settings, workers, n_workers, env, out };

    *out = (struct listen_set){ 0 };
    for (size_t i = 0; i < addresses->n; i++)
        open_name(&o, addresses->at[i]);
    if (addresses->n > 0 && out->n_tcp == 0)
        return err_set(e, E_CONFIG, "could not create any TCP/IP sockets");
    for (size_t i = 0; i < dirs->n && out->n_unix < LISTEN_UNIX_MAX; i++) {
        if (open_unix(&o, dirs->at[i], e) != OK)
            log_failure(env, e);
        else
            log_success(env, out->sockets[out->n_unix - 1].path);
    }
    if (dirs->n > 0 && out->n_unix == 0)
        return err_set(e, E_CONFIG, "could not create any Unix-domain sockets");
    if (out->n_tcp == 0 && out->n_unix == 0)
        return err_set(e, E_CONFIG, "no socket created for listening");
    return OK;
}

static enum code adopt_unix(struct unix_listener *listener, struct worker **workers, unsigned n_workers)
{
    for (unsigned i = 0; i < n_workers; i++)
        TRY(worker_add_listener(workers[i], listener->fd, false));
    return OK;
}

enum code listen_adopt(struct listen_set *from, struct worker **workers, unsigned n_workers,
                       struct listen_set *out, struct err *e)
{
    enum code code = OK;

    *out = *from;
    *from = (struct listen_set){ 0 };
    for (size_t i = 0; code == OK && i < out->n_listeners; i++)
        code = worker_add_listener(workers[out->listeners[i].worker], out->listeners[i].fd, true);
    for (size_t i = 0; code == OK && i < out->n_unix; i++)
        code = adopt_unix(&out->sockets[i], workers, n_workers);
    return code == OK ? OK : err_set(e, code, "out of memory");
}

void listen_leave(struct listen_set *set)
{
    for (size_t i = 0; i < set->n_unix; i++)
        set->sockets[i].path[0] = '\0';
}

void listen_hide(struct listen_set *set)
{
    for (size_t i = 0; i < set->n_unix; i++)
        socket_unlink_unix(&set->sockets[i]);
}

void listen_close(struct listen_set *set)
{
    listen_hide(set);
    for (size_t i = 0; i < set->n_unix; i++)
        (void)close(set->sockets[i].fd);
    set->n_unix = 0;
    listen_forget(set);
}
