/* `pgseal reload`: the running gate loads its files, and reports the result. */
#include "base/arena.h"
#include "base/check.h"
#include "client/reload_gate.h"
#include "cmd/cmd.h"
#include "cmd/usage.h"
#include "conf/settings.h"

#include <jansson.h>

enum { RELOAD_ARENA_MAX = 16 * 1024 * 1024 };

static void print_json(const struct cmd *cmd, const struct server_error *told, bool loaded)
{
    json_t *object = json_object();

    (void)json_object_set_new(object, "reloaded", json_boolean(loaded));
    (void)json_object_set_new(object, "message", json_stringn(told->message.p, told->message.n));
    (void)json_object_set_new(object, "detail",
                              told->detail.n ? json_stringn(told->detail.p, told->detail.n) : json_null());
    (void)json_dumpf(object, cmd->out, JSON_INDENT(2));
    (void)fputc('\n', cmd->out);
    json_decref(object);
}

static int reload_tell(struct cmd *cmd, const struct reload_answer *answer, const char *dir)
{
    const struct server_error *told = &answer->told;
    bool loaded = answer->loaded, refused = answer->refused;
    struct err e;

    if (cmd->json)
        print_json(cmd, told, loaded);
    else if (loaded)
        (void)fprintf(cmd->out, "%.*s\n", STR_ARG(told->message));
    if (loaded)
        return EXIT_FINE;
    err_set(&e, refused ? E_CONFIG : E_UNAVAILABLE, "%.*s", STR_ARG(told->message));
    if (told->detail.n > 0)
        err_detail(&e, "%.*s", STR_ARG(told->detail));
    if (refused)
        err_hint(&e, "pgseal serve -D %s --check shows every error.", dir);
    else if (told->hint.n > 0)
        err_hint(&e, "%.*s", STR_ARG(told->hint));
    if (!cmd->json)
        return cmd_error(cmd, &e);
    return code_exit(e.code);
}

/* A file that does not load here does not load there: where the gate listens stays unknown. */
static int settings_refused(const struct cmd *cmd, const struct diags *diags, enum code code)
{
    struct err e;
    int status = cmd_diags(cmd, diags);

    err_set(&e, code,
            "the gate was not reloaded: its settings contain errors, and the configuration in force stays");
    (void)cmd_error(cmd, &e);
    return status ? status : code_exit(code);
}

int cmd_reload(struct cmd *cmd)
{
    const char *dir = cmd_value(cmd, OPT_reload_directory);
    struct reload_answer answer;
    AUTO(arena) struct arena arena;
    struct settings *settings = NULL;
    struct diags diags;
    struct err e = { 0 };

    arena_init(&arena, RELOAD_ARENA_MAX, 1024);
    if (!dir)
        return cmd_usage(cmd, "no directory given: use -D DIR");
    if (cmd->n_args > 0)
        return cmd_usage(cmd, "too many arguments (first is \"%s\")", cmd->args[0]);
    diags_init(&diags, &arena);
    const struct settings_params params = { .dir = str_c(dir) };
    enum code code = settings_load(&params, &settings, &diags);
    if (code != OK)
        return settings_refused(cmd, &diags, code);
    code = reload_gate(settings, &arena, &answer, &e);
    settings_unref(settings);
    return code == OK ? reload_tell(cmd, &answer, dir) : cmd_error(cmd, &e);
}
