#include "gate/steward/in_force.h"

#include "base/count.h"
#include "base/log.h"
#include "client/verify_served.h"
#include "conf/settings.h"
#include "gate/gate.h"
#include "gate/load/http_access.h"
#include "gate/load/snapshot.h"
#include "gate/steward/steward.h"
#include "gate/steward/steward_log.h"
#include "os/files.h"
#include "policy/archive.h"
#include "policy/policy.h"

#include <unistd.h>

static void release_snapshot(void *owner)
{
    snapshot_unref(owner);
}

enum code in_force_load(struct gate *g, bool certificates_only, struct snapshot **out, struct diags *diags)
{
    const struct snapshot_params params = {
        .dir = g->params->dir,
        .overrides = g->params->overrides,
        .n_overrides = g->params->n_overrides,
        .running = g->snapshot,
        .libraries = g->libraries,
        .http_library = g->http_library,
        .n_workers = g->n_workers,
        .passphrase = &g->passphrase,
        .env = g->env,
        .generation = g->generation + 1,
        .confined = g->ready && !g->programs,
        .certificates_only = certificates_only,
    };

    enum code code = snapshot_load(&params, out, diags);
    secret_wipe(&g->passphrase); /* all contexts of the load have their keys */
    return code;
}

struct history_row *in_force_remember(struct gate *g, const char *trigger, const char *result)
{
    const struct str labels[] = { str_c(result) };

    count_add(count_cell(g->counters, METRIC_LOADS, labels), 1);
    return history_add(&g->history, g->env->now_unix_us(g->env->ctx), g->generation, trigger, result);
}

void in_force_set_http_access(struct gate *g)
{
    if (!g->http || atomic_load(&g->shared.waiting)) /* the gate before us still lets visitors in */
        return;
    const struct http_access *loaded = snapshot_http_access(g->snapshot);
    const struct gate_http_access access = {
        .tls = loaded->tls,
        .token = loaded->token.n > 0 ? &loaded->token : NULL,
        .owner = snapshot_ref(g->snapshot),
        .release = release_snapshot,
    };
    if (!g->params->http->set_access(g->http, &access))
        gate_log(g->env, SEV_WARNING, "reload_incomplete",
                 "out of memory: the TLS settings and the token of HTTP are unchanged");
}

void in_force_leave_rules(const struct gate *g)
{
    char path[OS_PATH_MAX];
    struct log_line line;
    struct err e;

    enum code code = os_path(g->state_dir, ARCHIVE_FILE, path, &e);
    if (code == OK)
        code = os_write_file(path, policy_archive(snapshot_policy(g->snapshot)), 0600, OS_WRITE_REPLACE, &e);
    if (code == OK)
        return;
    log_begin(&line, g->env, SEV_WARNING, "rules_not_left");
    log_err(&line, &e);
    log_end(&line);
}
