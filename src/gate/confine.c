/* Confinement: what it is made of is os/sandbox's, what a gate needs is said here. */
#include "gate/confine.h"

#include "base/log.h"
#include "conf/settings.h"
#include "os/sandbox.h"

enum { WRITABLE_MAX = 65 };

/* A passphrase command that runs at every reload is a program that must be allowed to run. */
static bool runs_programs(const struct settings *settings)
{
    return settings->ssl_passphrase_command.n > 0 && settings->ssl_passphrase_command_supports_reload;
}

enum code confine_files(const char *dir, const struct settings *settings, const struct env *env,
                        struct err *e)
{
    const struct settings_names *sockets = &settings->unix_socket_directories;
    const char *writable[WRITABLE_MAX] = { dir };
    enum sandbox_state state = SANDBOX_ABSENT;
    struct log_line line;
    size_t n = 1;

    for (size_t i = 0; i < sockets->n && n < WRITABLE_MAX; i++)
        if (sockets->at[i].n > 0 && sockets->at[i].p[0] != '@')
            writable[n++] = sockets->at[i].p;
    if (!runs_programs(settings)) /* where a command writes is its own business */
        TRY(sandbox_files(writable, n, false, &state, e));
    log_begin(&line, env, SEV_LOG, "confined");
    log_c(&line, "writing", state == SANDBOX_ON ? "own directories" : "everywhere");
    log_end(&line);
    return OK;
}

enum code confine_calls(const struct settings *settings, const struct env *env, struct err *e)
{
    bool programs = runs_programs(settings);
    enum sandbox_state state;
    struct log_line line;

    TRY(sandbox_calls(programs, &state, e));
    log_begin(&line, env, SEV_LOG, "confined");
    log_c(&line, "system_calls", state == SANDBOX_ON ? "listed" : "all");
    log_c(&line, "programs", programs ? "ssl_passphrase_command" : state == SANDBOX_ON ? "none" : "all");
    log_end(&line);
    return OK;
}
