/* pgseal ca: make a CA, look at it. */
#include "base/arena.h"
#include "base/check.h"
#include "cmd/ca_rollover.h"
#include "cmd/ca_where.h"
#include "cmd/certtext.h"
#include "cmd/cmd.h"
#include "cmd/number_option.h"
#include "cmd/usage.h"
#include "os/owner.h"
#include "pki/trust.h"

#include <unistd.h>

enum { CA_ARENA_LIMIT = 1 << 28, CA_ARENA_FIRST = 4096, MACHINE_NAME_MAX = 256 };

/* ---- init ---- */

static enum code read_constraints(const struct cmd *cmd, struct arena *arena, struct ca_params *params,
                                  struct err *e)
{
    size_t n = 0;

    while (cmd_value_at(cmd, OPT_ca_permit, n))
        n++;
    struct ca_constraint *all = arena_array(arena, n, sizeof *all);
    if (!all)
        return err_set(e, E_NOMEM, "out of memory");
    for (size_t i = 0; i < n; i++)
        TRY(ca_constraint_parse(str_c(cmd_value_at(cmd, OPT_ca_permit, i)), arena, &all[i], e));
    params->constraints = all;
    params->n_constraints = n;
    return OK;
}

static enum code read_numbers(const struct cmd *cmd, struct ca_params *params, struct err *e)
{
    const char *length = cmd_value(cmd, OPT_ca_path_length);
    uint32_t value;

    TRY(cmd_read_number(cmd, OPT_ca_days, CA_DAYS_MAX, &params->days, e));
    if (!length)
        return OK;
    if (str_is(str_c(length), "none")) {
        params->path_length = -1;
        return OK;
    }
    if (!str_to_u32(str_c(length), 0, 100, &value))
        return err_set(e, E_USAGE, "--path-length takes a number up to 100, or none");
    params->path_length = (int)value;
    return OK;
}

static enum code read_params(const struct cmd *cmd, struct arena *arena, struct ca_params *out, struct err *e)
{
    const char *key = cmd_value(cmd, OPT_ca_key), *name = cmd_value(cmd, OPT_ca_name);
    char machine[MACHINE_NAME_MAX] = "localhost";
    struct ca_params params = { .key = KEY_P256, .days = CA_DAYS_DEFAULT, .path_length = 0 };

    if (key && !key_kind_from_name(str_c(key), &params.key))
        return err_set(e, E_USAGE, "\"%s\" is not a supported key type (" KEY_KIND_NAMES ")", key);
    (void)gethostname(machine, sizeof machine - 1);
    params.common_name = str_c(name);
    if (!name && !arena_printf(arena, &params.common_name, "pgseal CA %.48s", machine))
        return err_set(e, E_NOMEM, "out of memory");
    params.organization = str_c(cmd_value(cmd, OPT_ca_org));
    params.replace = cmd_flag(cmd, OPT_ca_force);
    TRY(read_numbers(cmd, &params, e));
    TRY(read_constraints(cmd, arena, &params, e));
    *out = params;
    return OK;
}

static struct passphrase_source source_of(const struct cmd *cmd)
{
    return (struct passphrase_source){ .file = cmd_value(cmd, OPT_ca_passphrase_file),
                                       .command = cmd_value(cmd, OPT_ca_passphrase_command),
                                       .ask = cmd_flag(cmd, OPT_ca_passphrase),
                                       .what = "the CA's key" };
}

static enum code ca_show(const struct cmd *cmd, struct ca_place *place, struct arena *arena, struct err *e);

/* An Ed25519 key makes a CA whose certificates PostgreSQL's clients cannot bind to. */
static void warn(const struct cmd *cmd, const struct ca_params *params, struct arena *arena)
{
    struct diags diags;

    if (params->key != KEY_ED25519)
        return;
    diags_init(&diags, arena);
    struct diag *row = diags_add(&diags, SEV_WARNING, E_UNSUPPORTED, str_c(""), 0,
                                 "certificates signed by an Ed25519 CA break SCRAM channel binding");
    diags_hint(
        &diags, row,
        "libpq's clients will need channel_binding=disable. Ed25519 keys of certificates are fine if the "
        "CA's own key is ECDSA.");
    (void)cmd_diags(cmd, &diags);
}

/* A gate whose CA was moved away has its certificate still: clients know no other. */
static enum code refuse_second(const struct cmd *cmd, const struct ca_place *place, struct err *e)
{
    char path[OS_PATH_MAX];

    if (!place->gate_dir[0] || cmd_flag(cmd, OPT_ca_force))
        return OK;
    TRY(os_path(place->ca_dir, "ca.crt", path, e));
    if (os_exists(path))
        return OK; /* ca_create() has its own word on that */
    TRY(os_path(place->gate_dir, "tls/ca.crt", path, e));
    if (!os_exists(path))
        return OK;
    (void)err_set(e, E_EXISTS, "the gate already has a CA, whose certificate is \"%s\"", path);
    err_hint(e, "It is kept elsewhere. With --force a second one is made, which no client trusts yet.");
    return E_EXISTS;
}

static enum code init(const struct cmd *cmd, struct ca_place *place, struct arena *arena, struct err *e)
{
    AUTO(secret) struct secret passphrase = { .n = 0 };
    struct passphrase_source source = source_of(cmd);
    AUTO(os_owner) struct os_owner as = { 0 };
    struct ca_params params = { .key = KEY_P256 };

    TRY(passphrase_check(&source, e));
    TRY(refuse_second(cmd, place, e));
    TRY(read_params(cmd, arena, &params, e));
    if (passphrase_requested(&source)) {
        TRY(passphrase_new(&source, &passphrase, e));
        params.passphrase = &passphrase;
    }
    warn(cmd, &params, arena);
    TRY(os_owner_enter(ca_place_owner(place), &as, e));
    TRY(ca_create(place->ca_dir, &params, &cmd->env, e));
    return ca_show(cmd, place, arena, e);
}

/* ---- show ---- */

struct counts {
    size_t valid, expired, revoked;
};

static struct counts ca_count(const struct ca_entry *entries, size_t n, int64_t now_s)
{
    struct counts counts = { 0, 0, 0 };

    for (size_t i = 0; i < n; i++)
        if (entries[i].revoked_unix_s)
            counts.revoked++;
        else if (entries[i].not_after_unix_s < now_s)
            counts.expired++;
        else
            counts.valid++;
    return counts;
}

struct shown {
    int64_t now_s;
    struct cert_info cert;
    struct crl_info crl;
    bool has_crl;
    struct counts counts;
};

static enum code ca_look(struct ca *ca, const struct ca_place *place, struct arena *arena, struct shown *out,
                         struct err *e)
{
    AUTO(trust) struct trust list = { 0 };
    struct ca_entry *entries;
    size_t n;
    char path[OS_PATH_MAX];
    struct err ignored;

    if (os_path(place->ca_dir, "ca.crl", path, &ignored) == OK && trust_load(path, &list, &ignored) == OK &&
        list.crls.n > 0)
        out->has_crl = crl_describe(list.crls.items[0], arena, &out->crl, &ignored) == OK;
    TRY(ca_entries(ca, arena, &entries, &n, e));
    out->counts = ca_count(entries, n, out->now_s);
    return OK;
}

static enum code show_json(const struct cmd *cmd, const struct ca_place *place, const struct shown *shown,
                           struct err *e)
{
    json_t *answer = json_pack("{s:s, s:o, s:o, s:{s:I, s:I, s:I}}", "dir", place->ca_dir, "certificate",
                               cert_json(&shown->cert, shown->now_s), "crl",
                               shown->has_crl ? crl_json(&shown->crl, shown->now_s) : json_null(), "issued",
                               "valid", (json_int_t)shown->counts.valid, "expired",
                               (json_int_t)shown->counts.expired, "revoked",
                               (json_int_t)shown->counts.revoked);

    return json_print(cmd->out, answer, e);
}

static enum code ca_show(const struct cmd *cmd, struct ca_place *place, struct arena *arena, struct err *e)
{
    AUTO(ca) struct ca *ca = NULL;
    struct shown shown = { .now_s = env_now_s(&cmd->env) };

    TRY(ca_place_open(place, CA_READ, &cmd->env, &ca, e));
    TRY(cert_describe(ca_certificate(ca), arena, &shown.cert, e));
    TRY(ca_look(ca, place, arena, &shown, e));
    if (cmd->json)
        return show_json(cmd, place, &shown, e);
    (void)fprintf(cmd->out, "%s\n", place->ca_dir);
    cert_print(cmd->out, &shown.cert, shown.now_s);
    (void)fprintf(cmd->out, "issued\n  valid        %zu\n  expired      %zu\n  revoked      %zu\n",
                  shown.counts.valid, shown.counts.expired, shown.counts.revoked);
    if (shown.has_crl) {
        (void)fprintf(cmd->out, "revocation list\n");
        crl_print(cmd->out, &shown.crl, shown.now_s);
    } else {
        (void)fprintf(cmd->out, "revocation list: none that can be read\n");
    }
    return OK;
}

/* ---- crl ---- */

static enum code write_crl(const struct cmd *cmd, struct ca_place *place, struct arena *arena, struct err *e)
{
    AUTO(os_owner) struct os_owner as = { 0 };
    AUTO(ca) struct ca *ca = NULL;
    struct shown shown = { .now_s = env_now_s(&cmd->env) };
    unsigned days = CA_CRL_DAYS_DEFAULT;
    char path[OS_PATH_MAX];

    TRY(cmd_read_number(cmd, OPT_ca_crl_days, CA_DAYS_MAX, &days, e));
    place->passphrase = source_of(cmd);
    TRY(passphrase_check(&place->passphrase, e));
    TRY(os_owner_enter(ca_place_owner(place), &as, e));
    TRY(ca_place_open(place, CA_SIGN, &cmd->env, &ca, e));
    TRY(ca_place_write_crl(place, ca, days, &as, e));
    os_owner_leave(&as);
    TRY(ca_look(ca, place, arena, &shown, e));
    TRY(os_path(place->ca_dir, "ca.crl", path, e));
    bool copied = place->copied == CA_COPY_DONE;
    if (cmd->json) {
        TRY(json_print(cmd->out,
                       json_pack("{s:s, s:o, s:o}", "file", path, "copy",
                                 copied ? json_string(place->gate_crl) : json_null(), "crl",
                                 crl_json(&shown.crl, shown.now_s)),
                       e));
    } else {
        (void)fprintf(cmd->out, "%s\n", path);
        crl_print(cmd->out, &shown.crl, shown.now_s);
        if (copied)
            (void)fprintf(cmd->out, "  copied to    %s\n", place->gate_crl);
    }
    ca_place_explain_crl(place, cmd, arena);
    return OK;
}

/* ---- */

static enum code ca_run(const struct cmd *cmd, struct ca_place *place, struct arena *arena, struct err *e)
{
    if (cmd->verb == VERB_ca_init)
        return init(cmd, place, arena, e);
    return cmd->verb == VERB_ca_crl ? write_crl(cmd, place, arena, e) : ca_show(cmd, place, arena, e);
}

int cmd_ca(struct cmd *cmd)
{
    AUTO(arena) struct arena arena = { .blocks = NULL };
    struct ca_place place;
    struct err e;

    if (cmd->verb == VERB_ca_rollover)
        return ca_rollover(cmd);
    if (cmd->n_args > 1)
        return cmd_usage(cmd, "more than one directory given");
    arena_init(&arena, CA_ARENA_LIMIT, CA_ARENA_FIRST);
    enum code code = ca_place_find(cmd_value(cmd, OPT_ca_directory), cmd->n_args ? cmd->args[0] : NULL,
                                   &place, &e);
    if (code == OK)
        code = ca_run(cmd, &place, &arena, &e);
    return code == OK ? EXIT_FINE : cmd_error(cmd, &e);
}
