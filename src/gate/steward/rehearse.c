/*
 * A start without its effects.
 *
 * Nothing is created, locked for longer than a moment, or listened on: addresses are bound and given back,
 * directories are asked whether they could be written to.
 */
#include "gate/steward/rehearse.h"

#include "conf/settings.h"
#include "net/socket.h"
#include "os/files.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* ---- the gate's own files ---- */

/* errno of opening `path` for writing, where it is made if it is missing; 0: that works. */
static int why_not_writable(const char *dir, const char *path)
{
    if (faccessat(AT_FDCWD, path, R_OK | W_OK, AT_EACCESS) == 0)
        return 0;
    if (errno != ENOENT)
        return errno;
    return faccessat(AT_FDCWD, dir, W_OK | X_OK, AT_EACCESS) == 0 ? 0 : errno;
}

enum code rehearse_state(const char *dir, struct err *e)
{
    static const struct {
        const char *name, *what;
    } files[] = { { STATE_LOCK, "lock file" }, { STATE_SECRET, "file" } };
    char path[OS_PATH_MAX];

    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        TRY(os_path(dir, files[i].name, path, e));
        int why = why_not_writable(dir, path);
        if (why == 0)
            continue;
        (void)err_set(e, E_ACCESS, "could not open %s \"%s\": %s", files[i].what, path, strerror(why));
        err_hint(
            e, "The gate keeps files of its own there. If its directory is not writable, set state_directory "
               "in pgseal.conf to a directory that the gate's user owns, such as state_directory = "
               "'/var/lib/pgseal'.");
        return E_ACCESS;
    }
    return OK;
}

/* ---- addresses ---- */

static enum code try_name(const struct settings *settings, struct str name, struct err *e)
{
    struct addrinfo *found;
    struct address address;
    enum code code = E_CONFIG;
    int fd;

    TRY(address_find_listen(name, (unsigned)settings->port, &found, e));
    (void)err_set(e, E_CONFIG, "host name \"%.*s\" has no address", STR_ARG(name));
    for (const struct addrinfo *at = found; at && code != OK; at = at->ai_next) {
        if (!address_of_info(at, &address))
            continue;
        code = socket_probe_bind(&address, &fd, e);
        if (code == OK)
            (void)close(fd);
    }
    freeaddrinfo(found);
    return code;
}

/* As serve: one address that can be had is enough, what cannot be had is told. */
static enum code try_addresses(const struct settings *settings, struct diags *diags)
{
    const struct settings_names *names = &settings->listen_addresses;
    struct err e;
    size_t n = 0;

    for (size_t i = 0; i < names->n; i++) {
        if (try_name(settings, names->at[i], &e) == OK)
            n++;
        else
            (void)diags_add(diags, SEV_WARNING, e.code, str_of("", 0), 0, "%s", err_text(&e));
    }
    if (names->n == 0 || n > 0)
        return OK;
    (void)diags_add(diags, SEV_ERROR, E_CONFIG, str_of("", 0), 0, "could not create any TCP/IP sockets");
    return E_CONFIG;
}

static enum code try_directories(const struct settings *settings, struct diags *diags)
{
    const struct settings_names *dirs = &settings->unix_socket_directories;
    size_t n = 0;

    for (size_t i = 0; i < dirs->n; i++) {
        bool abstract = str_starts(dirs->at[i], STR("@"));
        if (abstract || faccessat(AT_FDCWD, dirs->at[i].p, W_OK | X_OK, AT_EACCESS) == 0)
            n++;
        else
            (void)diags_add(diags, SEV_WARNING, E_ACCESS, str_of("", 0), 0,
                            "could not make a Unix-domain socket in \"%.*s\": %s", STR_ARG(dirs->at[i]),
                            strerror(errno));
    }
    if (dirs->n == 0 || n > 0)
        return OK;
    (void)diags_add(diags, SEV_ERROR, E_CONFIG, str_of("", 0), 0, "could not create any Unix-domain sockets");
    return E_CONFIG;
}

/* Held by a gate that runs on these files? */
static bool is_served(const char *state_dir)
{
    char path[OS_PATH_MAX];
    struct err e;

    return os_path(state_dir, STATE_LOCK, path, &e) == OK && os_lock_held(path);
}

enum code rehearse_start(const struct settings *settings, struct diags *diags)
{
    const char *state_dir = settings_state_dir(settings);
    struct err e;

    enum code code = rehearse_state(state_dir, &e);
    if (code != OK)
        diags_add_err(diags, &e);
    if (is_served(state_dir))
        return code;
    if (settings->listen_addresses.n == 0 && settings->unix_socket_directories.n == 0) {
        (void)diags_add(diags, SEV_ERROR, E_CONFIG, str_of("", 0), 0, "no socket created for listening");
        return E_CONFIG;
    }
    enum code addresses = try_addresses(settings, diags), dirs = try_directories(settings, diags);
    return code != OK ? code : addresses != OK ? addresses : dirs;
}
