#include "audit/collect_gate.h"

#include "audit/collect_rules.h"
#include "base/arena.h"
#include "client/conninfo.h"
#include "client/conninfo_defaults.h"
#include "conf/settings.h"
#include "policy/match.h"
#include "policy/policy.h"

/* ---- servers behind ---- */

static enum code add_upstream(struct audit_subject *out, const struct settings_route *route,
                              struct subject_connection *connection, struct arena *arena, struct diags *diags)
{
    struct conninfo *info = ARENA_NEW(arena, struct conninfo);
    struct conn_world world;
    struct err e = { .code = OK };

    if (!info || conn_world_system(arena, &world) != OK)
        return E_NOMEM;
    enum code code = conninfo_parse(route->upstream, &world, CONN_GATE, arena, info, &e);
    if (code != OK) {
        err_where(&e, route->upstream_file, route->upstream_line);
        diags_add_err(diags, &e);
        return code;
    }
    *connection = (struct subject_connection){ .purpose = PURPOSE_UPSTREAM,
                                               .name = route->label,
                                               .file = route->upstream_file,
                                               .line = route->upstream_line,
                                               .info = info,
                                               .route = route };
    out->n_connections++;
    return OK;
}

/* Routes that only repeat the default's server are not told twice. */
static enum code add_upstreams(struct audit_subject *out, struct arena *arena, struct diags *diags)
{
    const struct settings *settings = out->settings;
    struct subject_connection *list = arena_array(arena, settings->n_routes, sizeof *list);

    if (!list)
        return E_NOMEM;
    for (size_t i = 0; i < settings->n_routes; i++) {
        const struct settings_route *route = &settings->routes[i];
        if (route->upstream.n > 0 && (route->index == 0 || route->owns_upstream))
            TRY(add_upstream(out, route, &list[out->n_connections], arena, diags));
    }
    out->connections = list;
    return OK;
}

/* ---- all of it ---- */

enum code collect_gate(const char *dir, int64_t now_unix_s, struct arena *arena, struct collected *out,
                       struct diags *diags)
{
    const struct settings_params params = { .dir = str_c(dir) };
    struct collected c = { .subject = { .kind = SUBJECT_GATE, .name = str_c(dir) } };

    TRY(settings_load(&params, &c.settings, diags));
    const struct policy_params policy = { .hba_file = str_c(c.settings->hba_file.path),
                                          .ident_file = str_c(c.settings->ident_file.path),
                                          .ssl_on = c.settings->ssl,
                                          .features = { .roles_known = true },
                                          .reload = true };
    c.subject.dir = c.settings->dir;
    c.subject.settings = c.settings;
    c.subject.settings_seen = true;
    c.subject.ifaces = &iface_system;
    c.subject.now_unix_s = now_unix_s;
    enum code code = collect_rules(&policy, &c.subject, arena, &c.policy);
    if (code == OK)
        code = add_upstreams(&c.subject, arena, diags);
    if (code == OK)
        *out = c;
    else
        collected_fini(&c);
    return code;
}
