#include "audit/collect_gate.h"

#include "audit/collect_clients.h"
#include "audit/collect_hosts.h"
#include "audit/collect_rules.h"
#include "audit/regular_file.h"
#include "audit/server_program.h"
#include "audit/server_settings.h"
#include "base/arena.h"
#include "client/conninfo.h"
#include "client/conninfo_defaults.h"
#include "conf/settings.h"
#include "policy/match.h"
#include "policy/policy.h"

/* ---- upstream servers ---- */

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
static enum code collect_gate_add_upstreams(struct audit_subject *out, struct arena *arena,
                                            struct diags *diags)
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

/* Without settings nothing else can be looked at. */
static enum code collect_gate_refused(struct collected *c, const char *dir, const struct diags *diags,
                                      struct arena *arena)
{
    const struct subject_unseen rest = { STR("everything but the settings"), STR("the settings are refused"),
                                         ITEM_TLS | ITEM_CERTIFICATE | ITEM_RULES | ITEM_EXPIRY };
    const struct diag *d;

    STAILQ_FOREACH (d, &diags->list, next)
        if (d->severity == SEV_ERROR &&
            !collect_broken(&c->subject.broken_settings, &c->subject.n_broken_settings, arena,
                            (struct subject_broken){ d->file, d->line, d->message }))
            return E_NOMEM;
    TRY(server_settings_none(str_c(dir), arena, &c->settings));
    c->subject.settings = c->settings;
    return collect_unseen(&c->subject, arena, rest) ? OK : E_NOMEM;
}

static enum code read_gate(struct collected *c, const struct collect_source *source, struct arena *arena,
                           struct diags *diags)
{
    const struct hba_lex_fs fs = regular_file_hba_fs(source->drafts);
    const struct policy_params policy = { .hba_file = str_c(c->settings->hba_file.path),
                                          .ident_file = str_c(c->settings->ident_file.path),
                                          .fs = source->drafts ? &fs : NULL,
                                          .ssl_on = c->settings->ssl,
                                          .features = { .roles_known = true, .sans = true },
                                          .reload = true };

    TRY(server_program_own_openssl(arena, &c->subject));
    c->subject.dir = c->settings->dir;
    c->subject.settings = c->settings;
    c->subject.settings_seen = true;
    TRY(collect_clients(&c->subject, arena));
    TRY(collect_hosts_gate(c->settings, policy.fs, arena, &c->subject));
    TRY(collect_rules(&policy, &c->subject, arena, &c->policy));
    return collect_gate_add_upstreams(&c->subject, arena, diags);
}

enum code collect_gate(const struct collect_source *source, struct arena *arena, struct collected *out,
                       struct err *e)
{
    const char *dir = source->path;
    const struct conf_fs fs = regular_file_conf_fs(source->drafts);
    const struct settings_params params = { .dir = str_c(dir), .fs = source->drafts ? &fs : NULL };
    struct collected c = { .subject = { .kind = SUBJECT_GATE,
                                        .name = str_c(dir),
                                        .ifaces = &iface_system,
                                        .now_unix_s = source->now_unix_s } };
    struct diags diags;

    diags_init(&diags, arena);
    enum code code = settings_load(&params, &c.settings, &diags);
    if (code == OK)
        code = read_gate(&c, source, arena, &diags);
    if (code == E_CONFIG || code == E_PARAM) {
        collected_fini(&(struct collected){ .settings = c.settings, .policy = c.policy });
        c.settings = NULL;
        c.policy = NULL;
        c.subject.policy = NULL;
        c.subject.n_connections = 0;
        code = collect_gate_refused(&c, dir, &diags, arena);
    }
    if (code == OK) {
        *out = c;
        return OK;
    }
    collected_fini(&c);
    const struct diag *first = diags_first_error(&diags);
    return first ? err_set(e, code, "%.*s", STR_ARG(first->message))
                 : err_set(e, code, "the settings of \"%s\" cannot be loaded", dir);
}
