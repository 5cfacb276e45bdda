/*
 * pgseal harden: what the audit found is mended, in one change that proves itself and can be taken back.
 *
 * src/harden makes the plan and the change; here options are read, and the result is told.
 */
#include "cmd/harden.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "cmd/audit_rehearse.h"
#include "cmd/certtext.h"
#include "cmd/facts.h"
#include "cmd/harden_report.h"
#include "cmd/usage.h"

#include <unistd.h>

#define HARDEN_ARENA_MAX ((size_t)1 << 30)
enum { HARDEN_ARENA_FIRST = 64 * 1024, HARDEN_DIFF_MAX = 64 << 20, SENTENCE_MAX = 1024 };

/* ---- options ---- */

static int read_checks(const struct cmd *cmd, enum cmd_opt option, struct harden_checks *out)
{
    const char *id;

    for (size_t i = 0; (id = cmd_value_at(cmd, option, i)); i++) {
        unsigned check = 0;
        while (check < CHECK_COUNT && strcmp(check_id((enum check)check), id) != 0)
            check++;
        if (check == CHECK_COUNT)
            return cmd_usage(cmd, "there is no finding \"%s\": docs/checks.md lists them", id);
        if (out->n == HARDEN_CHECKS_MAX)
            return cmd_usage(cmd, "more than %d ids", HARDEN_CHECKS_MAX);
        out->items[out->n++] = (enum check)check;
    }
    return -1;
}

static int read_options(struct harden_run *run)
{
    const struct cmd *cmd = run->cmd;

    if (cmd->n_args != 1)
        return cmd_usage(cmd, cmd->n_args ? "more than one target given"
                                          : "no target given: name the directory of a gate or of a server");
    if (cmd_flag(cmd, OPT_harden_apply) && cmd_flag(cmd, OPT_harden_undo))
        return cmd_usage(cmd, "only one of --apply and --undo can be given");
    if (cmd_flag(cmd, OPT_harden_conf_d) && cmd_flag(cmd, OPT_harden_alter_system))
        return cmd_usage(cmd, "only one of --conf-d and --alter-system can be given");
    run->wish.way = cmd_flag(cmd, OPT_harden_conf_d)         ? HARDEN_CONF_D
                    : cmd_flag(cmd, OPT_harden_alter_system) ? HARDEN_ALTER_SYSTEM
                                                             : HARDEN_IN_PLACE;
    int status = read_checks(cmd, OPT_harden_only, &run->wish.only);
    return status >= 0 ? status : read_checks(cmd, OPT_harden_keep, &run->wish.keep);
}

/* All values of an option. NULL: out of memory. */
static const char *const *values(const struct harden_run *run, enum cmd_opt option, size_t *out_n)
{
    const char **list, *value;
    size_t n = 0;

    while (cmd_value_at(run->cmd, option, n))
        n++;
    list = arena_array(run->arena, n, sizeof *list);
    for (size_t i = 0; list && i < n && (value = cmd_value_at(run->cmd, option, i)); i++)
        list[i] = value;
    *out_n = n;
    return list;
}

/* ---- the plan ---- */

/* How the running server is reached. */
static void find_server(struct harden_run *run)
{
    const char *given = cmd_value(run->cmd, OPT_harden_conninfo);
    const char *conninfo = given ? given : run->target.conninfo.n > 0 ? run->target.conninfo.p : NULL;

    run->server = (struct harden_server){ conninfo, run->target.pid, run->wish.now_unix_s, run->arena };
    run->job = (struct harden_job){
        .target = &run->target, .names = &run->names, .env = &run->cmd->env, .arena = run->arena
    };
    if (!run->target.is_gate && run->target.pid != 0 && conninfo)
        run->job.server = &run->server;
}

/* A server that runs tells more than its files. */
static enum code ask_server(struct harden_run *run, struct err *e)
{
    if (run->target.is_gate || run->target.pid == 0)
        return OK;
    if (!run->job.server) {
        (void)err_set(&run->unasked, E_CONNECT, "the server has no Unix-domain socket: use --conninfo");
        return OK;
    }
    enum code code = harden_server_look(&run->server, &run->seen, &run->unasked);
    if (code == E_NOMEM || (code != OK && cmd_value(run->cmd, OPT_harden_conninfo))) {
        *e = run->unasked;
        return code;
    }
    run->asked = code == OK;
    run->wish.roles = run->seen.roles;
    run->wish.n_roles = run->seen.n_roles;
    run->wish.operator_role = run->seen.operator_role;
    if (run->asked)
        run->job.seen = &run->seen;
    return OK;
}

static enum code rehearse_plan(struct harden_run *run, struct err *e)
{
    struct rehearse_params rehearsal = { .look_up = facts_look_up, .arena = run->arena };

    if (run->target.is_gate) {
        known_init(&run->seen.known, run->arena);
        TRY(audit_rehearsal_add_gate(&run->seen.known, &run->plan.before.subject, e));
    } else if (!run->asked) {
        return OK;
    }
    run->rehearsed = true;
    enum code code = harden_clients_play(&run->plan, &run->seen, &run->accepted, &rehearsal, &run->clients);
    return code == OK ? OK : err_set(e, code, "out of memory");
}

static enum code plan(struct harden_run *run, struct err *e)
{
    size_t n;

    const char *const *hosts = values(run, OPT_harden_host, &n);
    if (!hosts)
        return err_set(e, E_NOMEM, "out of memory");
    TRY(harden_names_make(hosts, n, run->arena, &run->names, e));
    TRY(harden_pair_choose(&run->target, &run->names, &run->cmd->env, run->arena, e));
    TRY(harden_names_keep(&run->target, &run->cmd->env, run->arena, &run->names, e));
    run->accepted.names = values(run, OPT_harden_accept_loss, &run->accepted.n);
    if (!run->accepted.names)
        return err_set(e, E_NOMEM, "out of memory");
    TRY(ask_server(run, e));
    run->wish.target = run->target.path;
    run->wish.arena = run->arena;
    if (!run->target.is_gate) {
        run->wish.cert_file = run->target.cert;
        run->wish.key_file = run->target.key;
        run->wish.own_dir = run->target.own_dir;
        run->wish.names_given = run->names.given;
    }
    TRY(harden_plan_make(&run->wish, &run->plan, e));
    run->job.plan = &run->plan;
    return rehearse_plan(run, e);
}

/* ---- without --apply ---- */

static enum code print_diff(struct harden_run *run, struct err *e)
{
    AUTO(buf) struct buf diff = BUF_INIT(HARDEN_DIFF_MAX);

    if (harden_report_diff(run, &diff) != OK)
        return err_set(e, E_LIMIT, "the diff is too long");
    (void)fwrite(diff.p, 1, diff.n, run->cmd->out);
    return OK;
}

/* What a run that was killed, or one that is at work, means for this one. True: the files are not what they will be. */
static bool say_status(const struct harden_run *run)
{
    const struct change_params params = { .state = run->target.state };
    AUTO(buf) struct buf text = BUF_INIT(SENTENCE_MAX);
    struct change_status status = { .open = 0 };
    struct err ignored;

    if (change_look(&params, &status, &ignored) == OK)
        change_say_status(&status, &text);
    if (text.n > 0)
        (void)fprintf(run->cmd->err, "pgseal harden: %s\n", buf_c(&text));
    return status.open != 0;
}

static int show(struct harden_run *run)
{
    const struct cmd *cmd = run->cmd;
    struct err e = { .code = OK };

    bool open = say_status(run);
    enum code code = plan(run, &e);
    if (code == OK && cmd->json)
        code = json_print(cmd->out, harden_report_json(run), &e);
    else if (code == OK)
        code = print_diff(run, &e);
    if (code != OK)
        return cmd_error(cmd, &e);
    bool changes = harden_plan_changes(&run->plan);
    if (!cmd->json) {
        (void)fputs(changes || open ? "" : "Nothing to change.\n", cmd->out);
        harden_report_print(run);
        if (changes)
            (void)fprintf(cmd->out, "\nApply it: pgseal harden %s --apply\n", run->shown);
    }
    return changes || open ? EXIT_FINDING : EXIT_FINE;
}

/* ---- a change ---- */

static int say_failure(const struct harden_run *run, const struct change_report *report, const struct err *e)
{
    (void)cmd_error(run->cmd, e);
    return report->end == CHANGE_LOST ? EXIT_CANNOT_RUN : EXIT_FINDING;
}

/* Open the state directory; a run that was killed is over now. */
static enum code begin(struct harden_run *run, struct change **out, struct change_report *report,
                       struct err *e)
{
    TRY(harden_job_open(&run->job, cmd_flag(run->cmd, OPT_harden_force), out, report, e));
    AUTO(buf) struct buf text = BUF_INIT(SENTENCE_MAX);
    change_say_report(report, &text);
    if (text.n > 0)
        (void)fprintf(run->cmd->err, "pgseal harden: %s\n", buf_c(&text));
    return OK;
}

static int tell(struct harden_run *run, const char *result)
{
    struct err e;

    if (!run->cmd->json)
        return EXIT_FINE;
    json_t *answer = run->job.plan ? harden_report_json(run) : json_object();
    (void)json_object_set_new(answer, "result", json_string(result));
    (void)json_object_set_new(answer, "proofs", harden_report_proofs(run));
    return json_print(run->cmd->out, answer, &e) == OK ? EXIT_FINE : cmd_error(run->cmd, &e);
}

/* The server that is to prove it must be there, and let its operator in. */
static enum code can_apply(const struct harden_run *run, struct err *e)
{
    if (run->target.is_gate || run->asked)
        return OK;
    if (run->target.pid == 0)
        return err_set(e, E_UNAVAILABLE,
                       "no PostgreSQL server is running in \"%s\": start it, so that the change can be "
                       "verified",
                       run->target.dir);
    (void)err_set(e, run->unasked.code, "could not log in to the running server: %s",
                  err_text(&run->unasked));
    err_hint(e, "Use --conninfo with a superuser.");
    return e->code;
}

/* With its files in place the plan is judged as the server will see it. */
static enum code make_pair(struct harden_run *run, bool *made, struct err *e)
{
    if (!run->plan.needs_pair)
        return OK;
    TRY(harden_pair_make(&run->target, &run->names, &run->cmd->env, made, e));
    harden_plan_fini(&run->plan);
    run->plan = (struct harden_plan){ .n_texts = 0 };
    TRY(harden_plan_make(&run->wish, &run->plan, e));
    return rehearse_plan(run, e);
}

static int apply_plan(struct harden_run *run, struct change *change, struct change_report *report)
{
    struct err e = { .code = OK };
    bool made = false;

    enum code code = plan(run, &e);
    if (code == OK && !harden_plan_changes(&run->plan)) {
        if (!run->cmd->json)
            (void)fputs("Nothing to change.\n", run->cmd->out);
        return tell(run, "nothing");
    }
    if (code == OK)
        code = can_apply(run, &e);
    if (code == OK && run->clients.blocking > 0) {
        harden_report_blocked(run);
        int status = tell(run, "refused");
        return status == EXIT_FINE ? EXIT_FINDING : status;
    }
    if (code == OK)
        code = make_pair(run, &made, &e);
    if (code == OK)
        code = harden_job_apply(&run->job, change, report, &e);
    if (code != OK && made && report->end != CHANGE_LOST)
        harden_pair_forget(&run->target);
    if (code != OK)
        return say_failure(run, report, &e);
    if (!run->cmd->json)
        harden_report_done(run);
    return tell(run, "done");
}

/* Who cannot log in any more, or has a server that does not start, needs the old files most. */
static void say_unasked(const struct harden_run *run)
{
    if (run->target.is_gate || run->asked)
        return;
    if (run->target.pid == 0)
        (void)fprintf(run->cmd->err,
                      "pgseal harden: no PostgreSQL server is running in \"%s\"; it reads the files when it "
                      "starts\n",
                      run->target.dir);
    else
        (void)fprintf(
            run->cmd->err,
            "pgseal harden: the server was signaled to load the files (SIGHUP), but could not be asked "
            "whether it has: %s\n",
            err_text(&run->unasked));
}

static int undo(struct harden_run *run, struct change *change, struct change_report *report)
{
    struct err e = { .code = OK };

    if (ask_server(run, &e) != OK)
        run->asked = false;
    enum code code = change_undo(change, report, &e);
    if (code != OK)
        return say_failure(run, report, &e);
    say_unasked(run);
    if (!run->cmd->json)
        (void)fputs("The files are as they were before.\n", run->cmd->out);
    if (!run->cmd->json && os_exists(run->target.root))
        (void)fprintf(run->cmd->out, "The CA and the certificate stay in %s.\n", run->target.state);
    return tell(run, "undone");
}

static int change_files(struct harden_run *run)
{
    AUTO(change) struct change *change = NULL;
    struct change_report report = { .end = CHANGE_UNTOUCHED };
    struct err e = { .code = OK };

    if (begin(run, &change, &report, &e) != OK)
        return say_failure(run, &report, &e);
    report = (struct change_report){ .end = CHANGE_UNTOUCHED };
    return cmd_flag(run->cmd, OPT_harden_undo) ? undo(run, change, &report)
                                               : apply_plan(run, change, &report);
}

int cmd_harden(struct cmd *cmd)
{
    AUTO(arena) struct arena arena;
    struct harden_run run = { .cmd = cmd, .arena = &arena };
    struct err e = { .code = OK };

    arena_init(&arena, HARDEN_ARENA_MAX, HARDEN_ARENA_FIRST);
    int status = read_options(&run);
    if (status >= 0)
        return status;
    bool change = cmd_flag(cmd, OPT_harden_apply) || cmd_flag(cmd, OPT_harden_undo);
    run.shown = cmd->args[0];
    run.wish.now_unix_s = env_now_s(&cmd->env);
    if (harden_target_open(run.shown, cmd_value(cmd, OPT_harden_state), &arena, &run.target, &e) != OK) {
        status = cmd_error(cmd, &e);
        return change ? EXIT_FINDING : status;
    }
    find_server(&run);
    status = change ? change_files(&run) : show(&run);
    harden_plan_fini(&run.plan);
    return status;
}
