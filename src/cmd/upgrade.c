/* `pgseal upgrade`: the running gate goes on in another program. */
#include "base/check.h"
#include "base/slice.h"
#include "cmd/cmd.h"
#include "cmd/gate_dir.h"
#include "cmd/usage.h"
#include "conf/settings.h"
#include "os/family_ask.h"
#include "os/files.h"
#include "os/owner.h"

#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <unistd.h>

/* What came of it. */
struct upgrade_result {
    enum family_answer answer;
    const char *text;
    unsigned long moved, left, held_ms;
};

/* The process above the gate: its PID is in the lock that the gate holds. */
static enum code find_parent(const char *dir, char lock[OS_PATH_MAX], pid_t *out, struct err *e)
{
    char text[32] = "";

    TRY(gate_state_path(dir, STATE_LOCK, lock, e));
    if (!os_lock_held(lock))
        return err_set(e, E_UNAVAILABLE, "no gate runs on \"%s\"", dir);
    int fd = open(lock, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;
    if (fd >= 0)
        (void)close(fd);
    long pid = n > 0 ? strtol(text, NULL, 10) : 0;
    if (pid <= 0)
        return err_set(e, E_UNAVAILABLE, "could not read the gate's PID in \"%s\"", lock);
    *out = (pid_t)pid;
    return OK;
}

static const char *step_text(struct str step)
{
    if (str_is(step, "checking"))
        return "the new program checks the configuration";
    return "the new program starts";
}

static enum code wait_for_end(const struct cmd *cmd, struct family_asked *asked, struct upgrade_result *out,
                              struct err *e)
{
    for (;;) {
        TRY(family_answer(asked, &out->answer, &out->text, e));
        if (out->answer != FAMILY_STEP)
            return OK;
        if (!cmd->json)
            (void)fprintf(cmd->out, "%s\n", step_text(str_c(out->text)));
        (void)fflush(cmd->out); /* who reads along is to know */
    }
}

static void print_json(const struct cmd *cmd, const struct upgrade_result *result)
{
    bool done = result->answer == FAMILY_DONE;
    json_t *object = json_object();

    (void)json_object_set_new(object, "upgraded", json_boolean(done));
    (void)json_object_set_new(object, "reason", done ? json_null() : json_string(result->text));
    (void)json_object_set_new(object, "moved", done ? json_integer((json_int_t)result->moved) : json_null());
    (void)json_object_set_new(object, "left", done ? json_integer((json_int_t)result->left) : json_null());
    (void)json_object_set_new(object, "held_ms",
                              done ? json_integer((json_int_t)result->held_ms) : json_null());
    (void)json_dumpf(object, cmd->out, JSON_INDENT(2));
    (void)fputc('\n', cmd->out);
    json_decref(object);
}

static int upgrade_tell(struct cmd *cmd, struct upgrade_result *result)
{
    char *rest;
    struct err e;

    if (result->answer == FAMILY_DONE) {
        result->moved = strtoul(result->text, &rest, 10);
        result->left = strtoul(rest, &rest, 10);
        result->held_ms = strtoul(rest, NULL, 10);
    }
    if (cmd->json)
        print_json(cmd, result);
    if (result->answer == FAMILY_DONE) {
        if (!cmd->json)
            (void)fprintf(
                cmd->out,
                "the gate runs the new program: %lu session%s moved within %lu ms, %lu staying with the old program until they end\n",
                result->moved, result->moved == 1 ? "" : "s", result->held_ms, result->left);
        return cmd_finish(cmd, EXIT_FINE);
    }
    if (result->answer == FAMILY_SILENT) {
        err_set(&e, E_IO, "%s", result->text);
        err_hint(&e, "See the gate's log, and restart it if it does not serve.");
    } else {
        err_set(&e, result->answer == FAMILY_REFUSED ? E_CONFIG : E_IO, "the gate was not upgraded: %s",
                result->text);
        err_hint(&e, "The old program continues to serve, with all its sessions.");
    }
    return cmd->json ? cmd_finish(cmd, code_exit(e.code)) : cmd_error(cmd, &e);
}

int cmd_upgrade(struct cmd *cmd)
{
    AUTO(family_asked) struct family_asked asked = FAMILY_ASKED_INIT;
    const char *dir = cmd_value(cmd, OPT_upgrade_directory), *binary = cmd_value(cmd, OPT_upgrade_binary);
    struct upgrade_result result = { .text = "" };
    char lock[OS_PATH_MAX];
    pid_t parent = 0;
    struct err e;

    if (!dir)
        return cmd_usage(cmd, "no directory given: use -D DIR");
    if (cmd->n_args > 0)
        return cmd_usage(cmd, "too many arguments (first is \"%s\")", cmd->args[0]);
    enum code code = find_parent(dir, lock, &parent, &e);
    if (code == OK)
        code = os_owner_become(lock, &e); /* the gate's own account: it has made the file */
    if (code == OK)
        code = family_ask(parent, binary, &asked, &e);
    if (code == OK)
        code = wait_for_end(cmd, &asked, &result, &e);
    return code == OK ? upgrade_tell(cmd, &result) : cmd_error(cmd, &e);
}
