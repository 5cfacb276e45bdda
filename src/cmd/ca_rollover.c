/* `pgseal ca rollover start|servers|status|finish|abort`. */
#include "cmd/ca_rollover.h"

#include "base/arena.h"
#include "base/check.h"
#include "base/secret.h"
#include "cmd/ca_rollover_report.h"
#include "cmd/ca_rollover_seen.h"
#include "cmd/ca_where.h"
#include "cmd/certtext.h"
#include "cmd/number_option.h"
#include "cmd/rotate_report.h"
#include "cmd/usage.h"
#include "conf/settings.h"
#include "os/owner.h"
#include "renew/rollover_client_files.h"
#include "renew/rollover_steps.h"
#include "renew/rollover_walk.h"
#include "status/clients.h"

enum {
    ROLLOVER_ARENA_MAX = 128 << 20,
    ROLLOVER_ARENA_FIRST = 16 * 1024,
    SEEN_DAYS = 30,
    DAY_S = 86400,
    ACCEPT_MAX = 256
};

/* One invocation. */
struct rolling {
    const struct cmd *cmd;
    struct arena *arena;
    struct rollover *state;
    struct rollover_report report;
    struct rollover_verdicts verdicts;
    struct rollover_obstacles obstacles;
    bool only_tells; /* nothing is changed */
    int status;
};

/* A gate's list is where its settings say. */
static enum code publish_crl(void *ctx, const struct renew_target *target, const char *ca_dir, struct ca *ca,
                             struct err *e)
{
    AUTO(os_owner) struct os_owner as = { 0 };
    struct ca_place place;

    (void)ctx;
    TRY(ca_place_find(target->dir, ca_dir, &place, e));
    return ca_place_write_crl(&place, ca, CA_CRL_DAYS_DEFAULT, &as, e);
}

/* ---- evidence ---- */

/* As the gate has them in the rows of its clients. */
static enum code names_of(const struct cert_list *roots, struct arena *arena, struct str **out, struct err *e)
{
    struct str *names = arena_array(arena, roots->n, sizeof *names);
    char name[sizeof((struct client_row *)NULL)->issuer];
    struct cert_info info;

    if (!names)
        return err_set(e, E_NOMEM, "out of memory");
    for (size_t i = 0; i < roots->n; i++) {
        TRY(cert_describe(roots->items[i], arena, &info, e));
        client_put_name(name, sizeof name, info.subject);
        if (!arena_str(arena, str_c(name), &names[i]))
            return err_set(e, E_NOMEM, "out of memory");
    }
    *out = names;
    return OK;
}

static int64_t since_of(const struct rolling *r)
{
    return r->report.now_unix_s - (int64_t)r->report.seen_days * DAY_S;
}

/*
 * That the gate does not answer is part of the report. Then `status` tells what it has left in its file, but nothing
 * is done on the strength of that.
 */
static bool find_clients(struct rolling *r, struct rollover_client **out, size_t *out_n)
{
    const struct settings *settings = r->state->target.settings;
    struct err ignored;

    if (settings->clients_limit == 0) {
        (void)err_set(&r->report.unseen, E_CONFIG,
                      "the gate keeps no account of its clients: clients_limit is 0");
        return false;
    }
    enum code code = rollover_clients_ask(settings, r->arena, out, out_n, &r->report.unseen);

    if (code == E_CONNECT && r->only_tells)
        code = rollover_clients_load(settings, r->arena, out, out_n, &r->report.as_of_unix_s, &ignored);
    return code == OK;
}

/* Clients that were admitted are forgotten last: when there is nobody else. */
static bool is_full(const struct rollover_client *clients, size_t n, size_t limit)
{
    for (size_t i = 0; i < n; i++)
        if (!clients[i].admitted)
            return false;
    return n >= limit;
}

static enum code judge_clients(struct rolling *r, bool client_side, struct err *e)
{
    const struct rollover *state = r->state;
    struct rollover_evidence evidence = { .n_old = state->old.n,
                                          .n_next = state->next.n,
                                          .own = state->past.own,
                                          .server_side = state->server_side,
                                          .client_side = state->client_side && client_side,
                                          .both_us = state->past.both_us,
                                          .foreign_probe = state->foreign_probe,
                                          .since_unix_s = since_of(r) };
    struct str accept[ACCEPT_MAX], *old_names, *next_names;
    struct rollover_client *clients;
    const char *name;

    while (evidence.n_accept < ACCEPT_MAX && (name = cmd_value_at(r->cmd, OPT_ca_accept, evidence.n_accept)))
        accept[evidence.n_accept++] = str_c(name);
    evidence.accept = accept;
    TRY(names_of(&state->old, r->arena, &old_names, e));
    TRY(names_of(&state->next, r->arena, &next_names, e));
    evidence.old_names = old_names;
    evidence.next_names = next_names;
    if (!find_clients(r, &clients, &evidence.n))
        return OK;
    evidence.clients = clients;
    r->report.full = is_full(clients, evidence.n, (size_t)state->target.settings->clients_limit);
    TRY(rollover_judge(&evidence, r->arena, &r->verdicts, e));
    r->report.verdicts = &r->verdicts;
    return OK;
}

/* Is everybody ready, or is it forced? Tells who is not. */
static enum code may_go_on(struct rolling *r, bool *out, struct err *e)
{
    const struct rollover_verdicts *all = r->report.verdicts;
    bool force = cmd_flag(r->cmd, OPT_ca_force);
    bool ready = all && all->waiting == 0 && r->obstacles.n == 0 && !r->report.full;

    (void)e;
    *out = ready || force;
    if (!r->cmd->json)
        rollover_print_unready(r->cmd, &r->report, *out);
    if (!*out)
        r->status = EXIT_FINDING;
    if (!*out && !r->cmd->json)
        (void)fprintf(
            r->cmd->out,
            "Nothing was changed. To go on without a user, address or application, use --accept NAME; "
            "without all of them, --force.\n");
    return OK;
}

/* ---- the words ---- */

static enum code find_client_files(struct rolling *r, struct err *e)
{
    if (!r->state->client_side)
        return OK;
    return rollover_client_files(r->state, &r->report.client_files, &r->report.n_client_files, e);
}

static enum code print_state(struct rolling *r, struct err *e)
{
    if (rollover_open_phase(r->state->past.phase)) {
        TRY(rollover_look(r->state, e));
        TRY(find_client_files(r, e));
    }
    if (r->cmd->json)
        return json_print(r->cmd->out, rollover_json(&r->report), e);
    rollover_print_status(r->cmd, &r->report);
    return OK;
}

static enum code do_status(struct rolling *r, struct err *e)
{
    r->only_tells = true;
    if (rollover_open_phase(r->state->past.phase))
        TRY(judge_clients(r, true, e));
    return print_state(r, e);
}

static enum code give_known(void *ctx, struct secret *out, struct err *e)
{
    const struct secret *known = ctx;

    return secret_set(out, secret_bytes(known)) == OK ? OK : err_set(e, E_NOMEM, "out of memory");
}

static enum code read_wish(const struct cmd *cmd, struct rollover_wish *out, struct err *e)
{
    const char *key = cmd_value(cmd, OPT_ca_key);
    struct rollover_wish wish = { .bundle = cmd_value(cmd, OPT_ca_bundle),
                                  .replaces = cmd_value(cmd, OPT_ca_replaces),
                                  .name = str_c(cmd_value(cmd, OPT_ca_name)),
                                  .has_key = key != NULL };

    if (key && !key_kind_from_name(str_c(key), &wish.key))
        return err_set(e, E_USAGE, "\"%s\" is not a supported key type (" KEY_KIND_NAMES ")", key);
    TRY(cmd_read_number(cmd, OPT_ca_days, CA_DAYS_MAX, &wish.days, e));
    if (wish.replaces && !wish.bundle)
        return err_set(e, E_USAGE, "--replaces requires --bundle");
    *out = wish;
    return OK;
}

static enum code do_start(struct rolling *r, struct err *e)
{
    AUTO(secret) struct secret passphrase = { .n = 0 };
    struct key_passphrase known = { give_known, &passphrase };
    struct passphrase_source source = { .file = cmd_value(r->cmd, OPT_ca_passphrase_file),
                                        .command = cmd_value(r->cmd, OPT_ca_passphrase_command),
                                        .ask = cmd_flag(r->cmd, OPT_ca_passphrase),
                                        .what = "the new CA's key" };
    struct rollover_wish wish;

    TRY(passphrase_check(&source, e));
    TRY(read_wish(r->cmd, &wish, e));
    if (passphrase_requested(&source)) {
        TRY(passphrase_new(&source, &passphrase, e));
        wish.passphrase = &passphrase;
        wish.known = &known;
    }
    TRY(rollover_start(r->state, &wish, e));
    TRY(rollover_look(r->state, e));
    TRY(find_client_files(r, e));
    if (r->cmd->json)
        return json_print(r->cmd->out, rollover_json(&r->report), e);
    rollover_print_started(r->cmd, &r->report);
    return OK;
}

static void print_issued(const struct rolling *r, const struct rollover_issued *issued)
{
    if (issued->n > 0 && !r->cmd->json)
        rotate_print(r->cmd, r->state->target.dir, issued->reports, issued->n);
}

static enum code do_servers(struct rolling *r, struct err *e)
{
    struct rollover_issued issued = { .n = 0 };
    enum rollover_phase phase = r->state->past.phase;
    bool go_on = true;

    /* While all that clients see is of the old CA, a run that is taken up again is as good as a new one. */
    bool unchanged = phase == ROLLOVER_STARTED ||
                     (phase == ROLLOVER_ISSUING && !rollover_serves_next(r->state));
    if (unchanged && r->state->server_side) {
        TRY(judge_clients(r, false, e));
        TRY(may_go_on(r, &go_on, e));
        if (!go_on)
            return r->cmd->json ? print_state(r, e) : OK;
    }
    enum code code = rollover_servers(r->state, cmd_value(r->cmd, OPT_ca_passphrase_file), &issued, e);
    print_issued(r, &issued);
    TRY(code);
    TRY(judge_clients(r, true, e)); /* from now on their certificates count, too */
    return print_state(r, e);
}

static enum code do_finish(struct rolling *r, struct err *e)
{
    const struct rollover_past *past = &r->state->past;
    bool go_on = true;

    if (past->phase == ROLLOVER_ISSUED ||
        (past->phase == ROLLOVER_FINISHING && past->step == ROLLOVER_STEP_NONE)) {
        TRY(judge_clients(r, true, e));
        TRY(rollover_obstacles_find(r->state, &r->obstacles, e));
        r->report.obstacles = &r->obstacles;
        TRY(may_go_on(r, &go_on, e));
        if (!go_on)
            return r->cmd->json ? print_state(r, e) : OK;
    }
    TRY(rollover_finish(r->state, e));
    r->report.obstacles = NULL;
    TRY(print_state(r, e));
    if (!r->cmd->json && r->state->aside[0])
        (void)fprintf(r->cmd->out, "The old CA, with its key, was put aside: %s\n", r->state->aside);
    if (!r->cmd->json)
        (void)fprintf(r->cmd->out,
                      "Remove rollover_probe, rollover_cert_file and rollover_key_file from the settings.\n");
    return OK;
}

/* Who has a certificate of the new CA already will be refused. Nobody is waited for: it is the way back. */
static enum code tell_who_breaks(struct rolling *r, struct err *e)
{
    const struct rollover *state = r->state;
    struct rollover_evidence evidence = { .n_old = state->next.n,
                                          .n_next = state->old.n,
                                          .own = true,
                                          .client_side = true,
                                          .since_unix_s = since_of(r) };
    struct str *goes, *stays;
    struct rollover_client *clients;
    struct err ignored;

    TRY(names_of(&state->next, r->arena, &goes, e));
    TRY(names_of(&state->old, r->arena, &stays, e));
    evidence.old_names = goes;
    evidence.next_names = stays;
    if (r->cmd->json || !state->client_side ||
        rollover_clients_ask(state->target.settings, r->arena, &clients, &evidence.n, &ignored) != OK)
        return OK;
    evidence.clients = clients;
    TRY(rollover_judge(&evidence, r->arena, &r->verdicts, e));
    r->report.verdicts = &r->verdicts;
    rollover_print_unready(r->cmd, &r->report, true);
    r->report.verdicts = NULL;
    return OK;
}

static enum code do_abort(struct rolling *r, struct err *e)
{
    struct rollover_issued issued;
    if (rollover_open_phase(r->state->past.phase))
        TRY(tell_who_breaks(r, e));
    enum code code = rollover_abort(r->state, cmd_value(r->cmd, OPT_ca_passphrase_file), &issued, e);

    print_issued(r, &issued);
    TRY(code);
    TRY(print_state(r, e));
    if (!r->cmd->json && r->state->aside[0])
        (void)fprintf(r->cmd->out, "The new CA, with its key, was put aside: %s\n", r->state->aside);
    return OK;
}

/* ---- */

static const struct {
    const char *word;
    enum code (*run)(struct rolling *r, struct err *e);
    bool looks;
} words[] = {
    { "start", do_start, false },   { "servers", do_servers, false }, { "status", do_status, true },
    { "finish", do_finish, false }, { "abort", do_abort, false },
};

static enum code roll(struct rolling *r, size_t word, struct err *e)
{
    const char *dir = cmd_value(r->cmd, OPT_ca_directory), *seen = cmd_value(r->cmd, OPT_ca_seen);
    AUTO(os_owner) struct os_owner as = { 0 };
    AUTO(rollover) struct rollover state = { .lock = OS_LOCK_INIT };
    const struct renew_hooks hooks = { .publish_crl = publish_crl };
    const struct rollover_params params = { .dir = dir,
                                            .ca_dir = r->cmd->n_args > 1 ? r->cmd->args[1] : NULL,
                                            .hooks = &hooks,
                                            .env = &r->cmd->env,
                                            .arena = r->arena,
                                            .look = words[word].looks };

    r->report.seen_days = SEEN_DAYS;
    if (seen && !str_to_u32(str_c(seen), 1, CA_DAYS_MAX, &r->report.seen_days))
        return err_set(e, E_USAGE, "--seen takes a number of days from 1 to %d", CA_DAYS_MAX);
    r->report.now_unix_s = env_now_s(&r->cmd->env);
    TRY(os_owner_enter(dir, &as, e));
    TRY(rollover_open(&params, &state, e));
    r->report.state = r->state = &state;
    enum code code = words[word].run(r, e);
    r->report.state = r->state = NULL;
    return code;
}

int ca_rollover(struct cmd *cmd)
{
    AUTO(arena) struct arena arena = { .blocks = NULL };
    struct rolling rolling = { .cmd = cmd, .arena = &arena, .status = EXIT_FINE };
    struct err e = { 0 };

    if (!cmd_value(cmd, OPT_ca_directory))
        return cmd_usage(cmd, "no directory given: use -D DIR");
    if (cmd->n_args == 0 || cmd->n_args > 2)
        return cmd_usage(
            cmd, "rollover takes one of start, servers, status, finish, abort, and at most one directory");
    arena_init(&arena, ROLLOVER_ARENA_MAX, ROLLOVER_ARENA_FIRST);
    for (size_t i = 0; i < COUNT_OF(words); i++)
        if (str_is(str_c(cmd->args[0]), words[i].word)) {
            enum code code = roll(&rolling, i, &e);
            return code == OK ? rolling.status : cmd_error(cmd, &e);
        }
    return cmd_usage(cmd, "\"%s\" is not one of start, servers, status, finish, abort", cmd->args[0]);
}
