/* Which pairs there are, and one run at a time. */
#include "renew/rotate.h"

#include "base/arena.h"
#include "base/check.h"
#include "renew/source_ca.h"
#include "renew/walk_bundle.h"
#include "renew/walk_pair.h"

#include <unistd.h>

static const char *const outcome_names[] = {
    [RENEW_NOT_DUE] = "not due",     [RENEW_WOULD] = "would be renewed", [RENEW_RENEWED] = "renewed",
    [RENEW_FINISHED] = "finished",   [RENEW_WAITING] = "waiting",        [RENEW_KEPT] = "failed",
    [RENEW_UNSETTLED] = "unsettled",
};

const char *renew_outcome_name(enum renew_outcome outcome)
{
    return outcome_names[outcome];
}

bool renew_outcome_ok(enum renew_outcome outcome)
{
    switch (outcome) {
    case RENEW_NOT_DUE:
    case RENEW_WOULD:
    case RENEW_RENEWED:
    case RENEW_FINISHED:
        return true;
    case RENEW_WAITING:
    case RENEW_KEPT:
    case RENEW_UNSETTLED:
        break;
    }
    return false;
}

struct list {
    struct renew_rule rules[RENEW_RULES_MAX + 2];
    size_t n;
};

/* A pair that no rule speaks of is the own CA's if that has issued it. */
static void add_own(const struct renew_params *params, struct str name, const char *cert_path,
                    struct arena *arena, struct list *list)
{
    AUTO(cert_list) struct cert_list old = { 0 };
    struct renew_rule rule = renew_rule_default(name, RENEW_CA);
    struct renew_order order = { .target = params->target,
                                 .rule = &rule,
                                 .hooks = params->hooks,
                                 .old = &old,
                                 .env = params->env,
                                 .arena = arena };

    if (renew_conf_find(params->conf, name) || cert_chain_load(cert_path, &old, NULL) != OK ||
        !renew_ca_issued(&order))
        return;
    list->rules[list->n++] = rule;
}

static bool is_wanted(const struct renew_params *params, struct str name)
{
    for (size_t i = 0; i < params->n_only; i++)
        if (str_equal(params->only[i], name))
            return true;
    return params->n_only == 0;
}

static enum code check_wanted(const struct renew_params *params, const struct list *list, struct err *e)
{
    for (size_t i = 0; i < params->n_only; i++) {
        bool known = false;
        for (size_t j = 0; j < list->n; j++)
            known = known || str_equal(list->rules[j].name, params->only[i]);
        if (!known)
            return err_set(e, E_UNDEFINED, "there is no pair \"%.*s\" to renew", STR_ARG(params->only[i]));
    }
    return OK;
}

static enum code list_rules(const struct renew_params *params, struct arena *arena, struct list *list,
                            struct err *e)
{
    const struct renew_target *target = params->target;

    for (size_t i = 0; i < params->conf->n; i++)
        list->rules[list->n++] = params->conf->rules[i];
    if (target->has_server)
        add_own(params, STR("server"), target->server_cert, arena, list);
    if (target->has_http)
        add_own(params, STR("http"), target->http_cert, arena, list);
    if (list->n > 0)
        return check_wanted(params, list, e);
    (void)err_set(e, E_NO_FILE,
                  "there is nothing to renew: no file \"%s\", and no certificate of the CA in \"%s\"",
                  target->conf, target->ca_dir);
    err_hint(e, "Say in \"%s\" where certificates come from, for example: server.source = acme",
             target->conf);
    return E_NO_FILE;
}

static enum code take_lock(const struct renew_params *params, struct os_lock *lock, struct err *e)
{
    char path[OS_PATH_MAX];

    if (params->dry_run)
        return OK;
    TRY(os_path(params->target->work, "lock", path, e));
    enum code code = os_lock_take(path, getpid(), lock, e);
    if (code == E_EXISTS)
        (void)err_set(e, E_EXISTS, "another pgseal rotate is at work on \"%s\"", params->target->dir);
    return code;
}

enum code renew_all(const struct renew_params *params, struct arena *arena, struct renew_report **out,
                    size_t *out_n, struct err *e)
{
    AUTO(os_lock) struct os_lock lock = OS_LOCK_INIT;
    struct list *list = ARENA_NEW(arena, struct list);
    struct renew_report *reports = arena_array(arena, RENEW_RULES_MAX + 2, sizeof *reports);
    size_t n = 0;

    if (!list || !reports)
        return err_set(e, E_NOMEM, "out of memory");
    TRY(take_lock(params, &lock, e));
    TRY(list_rules(params, arena, list, e));
    for (size_t i = 0; i < list->n; i++) {
        const struct renew_rule *rule = &list->rules[i];
        if (is_wanted(params, rule->name))
            renew_walk(rule->source == RENEW_BUNDLE ? &walk_bundle : &walk_pair, params, rule, arena,
                       &reports[n++]);
    }
    *out = reports;
    *out_n = n;
    return OK;
}
