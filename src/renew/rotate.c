/* Which pairs there are, and one run at a time. */
#include "renew/rotate.h"

#include "base/arena.h"
#include "base/check.h"
#include "renew/source_ca.h"
#include "renew/walk_bundle.h"
#include "renew/walk_pair.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
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

enum { CLIENTS_MAX = 4096, NAME_LIMIT = 200, RULES_ROOM = RENEW_RULES_MAX + 2 + RENEW_OWN_MAX + CLIENTS_MAX };

struct list {
    struct renew_rule rules[RULES_ROOM];
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

/* A file that rotate.conf names is its rule's. */
static bool is_ruled(const struct renew_params *params, const char *cert_path)
{
    char path[OS_PATH_MAX];

    for (size_t i = 0; i < params->conf->n; i++) {
        struct str file = params->conf->rules[i].v[RENEW_SET_CERT_FILE];
        if (file.n > 0 && os_path(params->target->dir, file.p, path, NULL) == OK &&
            strcmp(path, cert_path) == 0)
            return true;
    }
    return false;
}

/* One file may serve several ends. */
static bool is_same_file(const char *a, const char *b)
{
    struct stat x, y;

    return strcmp(a, b) == 0 ||
           (stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino);
}

/* Is it renewed as another pair? */
static bool is_another(const struct renew_params *params, const struct renew_own *own,
                       const struct list *list)
{
    const struct renew_target *target = params->target;

    if (is_ruled(params, own->cert) || (target->has_server && is_same_file(own->cert, target->server_cert)) ||
        (target->has_http && is_same_file(own->cert, target->http_cert)))
        return true;
    for (size_t i = 0; i < target->hosts.n; i++)
        if (is_same_file(own->cert, target->hosts.at[i].cert))
            return true;
    for (const struct renew_own *other = target->own; other < own; other++)
        if (is_same_file(own->cert, other->cert))
            return true;
    return list->n >= RULES_ROOM;
}

static bool is_own(const struct renew_target *target, const char *cert_path)
{
    for (size_t i = 0; i < target->n_own; i++)
        if (is_same_file(cert_path, target->own[i].cert))
            return true;
    return false;
}

/* DIR/clients/BASE.crt and BASE.key, as init and cert issue leave them. */
static enum code add_client(const struct renew_params *params, const char *dir, struct str base,
                            struct arena *arena, struct list *list, struct err *e)
{
    struct renew_rule rule;
    struct str name, cert, key;
    size_t before = list->n;

    if (!arena_printf(arena, &name, "client-%.*s", STR_ARG(base)) ||
        !arena_printf(arena, &cert, "%s/%.*s.crt", dir, STR_ARG(base)) ||
        !arena_printf(arena, &key, "%s/%.*s.key", dir, STR_ARG(base)))
        return err_set(e, E_NOMEM, "out of memory");
    if (!os_exists(key.p) || is_ruled(params, cert.p) || is_own(params->target, cert.p))
        return OK;
    add_own(params, name, cert.p, arena, list);
    if (list->n == before)
        return OK;
    rule = list->rules[before];
    rule.client = true;
    rule.v[RENEW_SET_CERT_FILE] = cert;
    rule.v[RENEW_SET_KEY_FILE] = key;
    list->rules[before] = rule;
    return OK;
}

/* The pairs of hosts_file, each once. */
static void add_hosts(const struct renew_params *params, struct arena *arena, struct list *list)
{
    const struct renew_hosts *hosts = &params->target->hosts;

    for (size_t i = 0; i < hosts->n; i++) {
        const struct renew_host *host = &hosts->at[i];
        size_t before = list->n;
        if (renew_hosts_of(hosts, host->cert, 0) != host ||
            strcmp(host->cert, params->target->server_cert) == 0 || is_ruled(params, host->cert) ||
            list->n >= RULES_ROOM - RENEW_OWN_MAX)
            continue;
        add_own(params, host->pair, host->cert, arena, list);
        if (list->n == before)
            continue;
        list->rules[before].v[RENEW_SET_CERT_FILE] = str_c(host->cert);
        list->rules[before].v[RENEW_SET_KEY_FILE] = str_c(host->key);
    }
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int is_cert_name(const struct dirent *entry)
{
    struct str name = str_c(entry->d_name);

    if (name.n < sizeof ".crt" || name.n > NAME_LIMIT || name.p[0] == '.' || !str_ends(name, STR(".crt")))
        return 0;
    for (size_t i = 0; i < name.n; i++)
        if ((unsigned char)name.p[i] <= ' ' || name.p[i] == 0x7f) /* a word of the journal */
            return 0;
    return 1;
}

static enum code add_clients(const struct renew_params *params, struct arena *arena, struct list *list,
                             struct err *e)
{
    struct dirent **names = NULL;
    enum code code = OK;
    char dir[OS_PATH_MAX];

    TRY(os_path(params->target->dir, "clients", dir, e));
    int n = scandir(dir, &names, is_cert_name, by_name);
    if (n < 0 && errno != ENOENT)
        return err_set(e, code_from_errno(errno), "could not open directory \"%s\": %m", dir);
    for (int i = 0; i < n; i++) {
        struct str name = str_c(names[i]->d_name);
        if (code == OK && list->n == RULES_ROOM)
            code = err_set(e, E_LIMIT, "there are more than %d pairs in \"%s\"", CLIENTS_MAX, dir);
        if (code == OK)
            code = add_client(params, dir, str_first(name, name.n - 4), arena, list, e);
        free(names[i]);
    }
    free(names);
    return code;
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
    add_hosts(params, arena, list);
    for (size_t i = 0; i < target->n_own; i++)
        if (!is_another(params, &target->own[i], list))
            add_own(params, str_c(target->own[i].name), target->own[i].cert, arena, list);
    if (params->clients)
        TRY(add_clients(params, arena, list, e));
    if (list->n > 0)
        return check_wanted(params, list, e);
    (void)err_set(e, E_NO_FILE,
                  "there is nothing to renew: no file \"%s\", and no certificate of the CA in \"%s\"",
                  target->conf, target->ca_dir);
    err_hint(e, "Set in \"%s\" where certificates come from, for example: server.source = acme",
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
        (void)err_set(e, E_EXISTS, "another pgseal rotate is running for \"%s\"", params->target->dir);
    return code;
}

enum code renew_all(const struct renew_params *params, struct arena *arena, struct renew_report **out,
                    size_t *out_n, struct err *e)
{
    AUTO(os_lock) struct os_lock lock = OS_LOCK_INIT;
    struct list *list = ARENA_NEW(arena, struct list);
    struct renew_report *reports = arena_array(arena, RULES_ROOM, sizeof *reports);
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
