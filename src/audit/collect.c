#include "audit/collect.h"

#include "audit/collect_client.h"
#include "audit/collect_file.h"
#include "audit/collect_gate.h"
#include "audit/collect_processes.h"
#include "audit/collect_server.h"
#include "base/arena.h"
#include "lex/conninfo_hide.h"
#include "os/files.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static bool has_name(const char *path, const char *name)
{
    const char *slash = strrchr(path, '/');

    return strcmp(slash ? slash + 1 : path, name) == 0;
}

static enum code of_directory(const struct collect_params *p, const struct client_params *client,
                              const char *path, struct collected *out, struct err *e)
{
    char gate[OS_PATH_MAX];

    if (access(path, R_OK | X_OK) != 0) {
        enum code code = err_set(e, code_from_errno(errno), "could not read directory \"%s\": %m", path);
        err_hint(e, "Run it as root, or as the owner of the directory.");
        return code;
    }
    TRY(os_path(path, "pgseal.conf", gate, e));
    if (os_exists(gate))
        return collect_gate(&(struct collect_source){ p->target, p->now_unix_s, p->drafts }, p->arena, out,
                            e);
    if (collect_is_server(path))
        return collect_server(&(struct collect_source){ path, p->now_unix_s, p->drafts }, p->arena, out, e);
    if (collect_is_processes(path))
        return collect_processes(path, client, out, e);
    return err_set(
        e, E_CONFIG,
        "\"%s\" has no pgseal.conf, PG_VERSION or postgresql.conf: it is neither a gate's directory nor "
        "a server's, nor /proc",
        p->target);
}

enum code collect_target(const struct collect_params *params, struct collected *out, struct err *e)
{
    char *real = realpath(params->target, NULL);
    const struct client_params client = { params->driver, params->now_unix_s, params->arena };
    struct stat st;

    if (!real && collect_is_string(str_c(params->target))) {
        TRY(collect_string(str_c(params->target), &client, out, e));
        out->subject.name = conninfo_hidden(params->arena, str_c(params->target));
        return OK;
    }
    if (!real || stat(real, &st) != 0) {
        free(real);
        return err_set(e, code_from_errno(errno), "could not read \"%s\": %m", params->target);
    }
    char *path = arena_c(params->arena, str_c(real));
    free(real);
    if (!path)
        return err_set(e, E_NOMEM, "out of memory");
    if (S_ISDIR(st.st_mode))
        TRY(of_directory(params, &client, path, out, e));
    else if (!S_ISREG(st.st_mode))
        return err_set(e, E_CONFIG, "\"%s\" is neither a file nor a directory", params->target);
    else if (has_name(path, "postgresql.conf") || has_name(path, "postgresql.auto.conf"))
        TRY(collect_server(&(struct collect_source){ path, params->now_unix_s, params->drafts },
                           params->arena, out, e));
    else
        TRY(collect_file(path, params->version, &client, out, e));
    out->subject.name = str_c(params->target);
    return OK;
}
