/* A snapshot of the gate as the subject of an audit. */
#include "cmd/auditor.h"

#include "audit/audit.h"
#include "audit/collect_clients.h"
#include "audit/server_program.h"
#include "base/arena.h"
#include "gate/load/server_tls.h"
#include "gate/load/snapshot.h"
#include "policy/match.h"
#include "tls/context.h"

/* Routes that only repeat the default's server are not told twice. */
static bool is_upstream(const struct snapshot *snapshot, const struct settings_route *route)
{
    return snapshot_upstream(snapshot, route)->configured && (route->index == 0 || route->owns_upstream);
}

static bool list_upstreams(const struct snapshot *snapshot, struct arena *arena, struct audit_subject *out)
{
    const struct settings *settings = snapshot_settings(snapshot);
    struct subject_connection *upstreams = arena_array(arena, settings->n_routes, sizeof *upstreams);

    for (size_t i = 0; upstreams && i < settings->n_routes; i++) {
        const struct settings_route *route = &settings->routes[i];
        if (is_upstream(snapshot, route))
            upstreams[out->n_connections++] = (struct subject_connection){
                .purpose = PURPOSE_UPSTREAM,
                .name = route->label,
                .file = route->upstream_file,
                .line = route->upstream_line,
                .info = &snapshot_upstream(snapshot, route)->info,
                .route = route
            };
    }
    out->connections = upstreams;
    return upstreams != NULL;
}

/* The lines of hosts_file in force. */
static bool list_hosts(const struct snapshot *snapshot, struct arena *arena, struct audit_subject *out)
{
    const struct server_tls *tls = snapshot_hosts(snapshot);
    struct subject_host *hosts = arena_array(arena, tls->n, sizeof *hosts);

    if (!hosts || !tls->by_name)
        return hosts != NULL;
    for (size_t i = 0; i < tls->n; i++) {
        const struct server_host *from = &tls->hosts[i];
        hosts[i] = (struct subject_host){ .file = from->line->file,
                                          .line = from->line->line,
                                          .names = from->line->names,
                                          .n_names = from->line->n_names,
                                          .cert = from->cert_file,
                                          .key = from->key_file,
                                          .ca = from->ca_file[0] ? from->ca_file : NULL };
    }
    out->hosts = hosts;
    out->n_hosts = tls->n;
    out->hosts_file = str_c(snapshot_settings(snapshot)->hosts_file.path);
    return true;
}

static bool convert(const struct findings *from, struct arena *arena, struct gate_findings *out)
{
    struct gate_finding *items = arena_array(arena, from->n, sizeof *items);

    for (size_t i = 0; items && i < from->n; i++) {
        const struct finding *f = &from->items[i];
        items[i] = (struct gate_finding){
            .id = check_id(f->check),
            .severity = finding_severity_name(f->severity),
            .where = f->where,
            .what = f->what,
            .fix = f->fix,
        };
    }
    *out = (struct gate_findings){ items, from->n };
    return items != NULL;
}

enum code audit_snapshot(const struct snapshot *snapshot, int64_t now_unix_s, struct arena *arena,
                         struct gate_findings *out, struct err *e)
{
    const struct server_tls *hosts = snapshot_hosts(snapshot);
    struct tls_context *tls = snapshot_tls(snapshot, 0);
    struct audit_subject subject = {
        .kind = SUBJECT_GATE,
        .dir = snapshot_settings(snapshot)->dir,
        .settings_seen = true,
        .settings = snapshot_settings(snapshot),
        .policy = snapshot_policy(snapshot),
        .served = tls && !hosts->by_name ? tls_context_certificate(tls) : bytes_of(NULL, 0),
        .ifaces = &iface_system,
        .now_unix_s = now_unix_s,
    };
    struct audit_report report;

    if (collect_clients(&subject, arena) != OK || !list_upstreams(snapshot, arena, &subject) ||
        !list_hosts(snapshot, arena, &subject) || server_program_own_openssl(arena, &subject) != OK ||
        audit_run(&subject, PROFILE_DEFAULT, arena, &report) != OK || !convert(&report.findings, arena, out))
        return err_set(e, E_NOMEM, "out of memory");
    return OK;
}
