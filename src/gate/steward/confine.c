/* Confinement: what it is made of is os/sandbox's, what a gate needs is said here. */
#include "gate/steward/confine.h"

#include "base/log.h"
#include "conf/http_place.h"
#include "conf/settings.h"
#include "gate/load/server_tls.h"
#include "gate/load/snapshot.h"
#include "os/files.h"
#include "os/sandbox.h"

#include <string.h>

enum { WRITABLE_MAX = 66 };

/* A passphrase command that runs at every reload is a program that must be allowed to run. */
static bool runs_programs(const struct snapshot *snapshot)
{
    return server_tls_runs_programs(snapshot_hosts(snapshot), snapshot_settings(snapshot));
}

/* The directory of http_listen's unix socket, which is removed at the end. "": none. */
static void http_directory(const char *dir, const struct settings *settings, char out[OS_PATH_MAX])
{
    char written[OS_PATH_MAX];
    struct http_place place;
    struct err ignored;

    out[0] = '\0';
    if (!http_place_parse(settings->http_listen, &place) || place.kind != HTTP_UNIX ||
        !str_to_c(place.path, written, sizeof written) || os_path(dir, written, out, &ignored) != OK)
        return;
    char *end = strrchr(out, '/');
    if (end && end != out)
        *end = '\0';
}

enum code confine_rings(struct err *e)
{
    enum sandbox_state state;

    return sandbox_rings(&state, e);
}

enum code confine_files(const char *state_dir, const struct snapshot *snapshot, const struct env *env,
                        struct err *e)
{
    const struct settings *settings = snapshot_settings(snapshot);
    const struct settings_names *sockets = &settings->unix_socket_directories;
    const char *writable[WRITABLE_MAX] = { state_dir };
    char http_dir[OS_PATH_MAX];
    enum sandbox_state state = SANDBOX_ABSENT;
    struct log_line line;
    size_t n = 1;

    http_directory(settings->dir.p, settings, http_dir);
    if (http_dir[0])
        writable[n++] = http_dir;
    for (size_t i = 0; i < sockets->n && n < WRITABLE_MAX; i++)
        if (sockets->at[i].n > 0 && sockets->at[i].p[0] != '@')
            writable[n++] = sockets->at[i].p;
    if (!runs_programs(snapshot)) /* where a command writes is its own business */
        TRY(sandbox_files(&(struct sandbox_paths){ writable, n }, false, &state, e));
    log_begin(&line, env, SEV_LOG, "confined");
    log_c(&line, "writing", state == SANDBOX_ON ? "own directories" : "everywhere");
    log_end(&line);
    return OK;
}

enum code confine_calls(const struct snapshot *snapshot, const struct env *env, bool *out_programs,
                        struct err *e)
{
    bool programs = runs_programs(snapshot);
    enum sandbox_state state;
    struct log_line line;

    TRY(sandbox_calls(programs, &state, e));
    log_begin(&line, env, SEV_LOG, "confined");
    log_c(&line, "system_calls", state == SANDBOX_ON ? "listed" : "all");
    log_c(&line, "programs", programs ? "ssl_passphrase_command" : state == SANDBOX_ON ? "none" : "all");
    log_end(&line);
    *out_programs = programs || state != SANDBOX_ON;
    return OK;
}
