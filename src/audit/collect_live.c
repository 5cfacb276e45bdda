#include "audit/collect_live.h"

#include "audit/live_audit.h"
#include "audit/live_links.h"
#include "audit/live_roles.h"
#include "audit/live_rules.h"
#include "audit/live_settings.h"
#include "base/arena.h"
#include "base/check.h"
#include "lex/conninfo_hide.h"

/* Over a unix socket no port is known that other machines could reach. */
static enum code probe_port(struct live_audit *audit, const struct live_params *params)
{
    struct live_port *port = &audit->seen->port;
    struct str host = live_host(audit->live);
    struct str why = STR("--conninfo uses a Unix-domain socket; name the host that clients connect to");

    if (params->probe && host.n > 0) {
        if (params->probe(params->ctx, host, live_port(audit->live), audit->arena, port) != OK)
            return err_set(audit->e, E_NOMEM, "out of memory");
        why = STR("the port did not answer a client without credentials");
    }
    return port->answered ? OK : live_audit_unseen(audit, "what the port answers", why, ITEM_CERTIFICATE);
}

/* The port comes before the service: where no parameter tells, it does. */
static enum code query_all(struct live_audit *audit, const struct live_params *params)
{
    TRY(live_settings(audit));
    TRY(probe_port(audit, params));
    TRY(live_service(audit));
    TRY(live_in_force(audit));
    TRY(live_rules(audit));
    TRY(live_roles(audit));
    TRY(live_sessions(audit));
    return live_links(audit);
}

enum code collect_live(const struct live_params *params, struct arena *arena, struct collected *out,
                       struct err *e)
{
    AUTO(live) struct live *live = NULL;
    AUTO(collected) struct collected c = { .subject = { .kind = SUBJECT_SERVER } };
    struct subject_live *seen = ARENA_NEW(arena, struct subject_live);
    struct live_audit audit = { .arena = arena, .collected = &c, .seen = seen, .e = e };

    if (!seen)
        return err_set(e, E_NOMEM, "out of memory");
    TRY(live_open(params->conninfo, arena, &live, e));
    audit.live = live;
    c.subject.name = conninfo_hidden(arena, str_c(params->conninfo));
    c.subject.version = live_version(live);
    c.subject.minor = live_minor(live);
    c.subject.minor_seen = true;
    c.subject.now_unix_s = params->now_unix_s;
    c.subject.live = seen;
    TRY(query_all(&audit, params));
    *out = c;
    c = (struct collected){ .settings = NULL };
    return OK;
}
