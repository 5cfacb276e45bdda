/* The probe and the audit are neighbours: here one is handed to the other. */
#include "cmd/audit_live.h"

#include "audit/collect_live.h"
#include "audit/subject_live.h"
#include "base/arena.h"
#include "base/check.h"
#include "client/conninfo_defaults.h"
#include "client/meaning.h"
#include "cmd/cmd.h"
#include "probe/probe.h"

/* A client may be refused for many reasons: these are the server's words where TLS is the one. */
static bool is_about_tls(struct str refusal)
{
    static const char *const words[] = { "no encryption", "SSL off", "insecure connection",
                                         "requires a valid client certificate" };

    for (size_t i = 0; i < COUNT_OF(words); i++)
        if (refusal.n > 0 && memmem(refusal.p, refusal.n, words[i], strlen(words[i])))
            return true;
    return false;
}

static void translate(const struct probe_report *report, struct live_port *out)
{
    out->answered = report->reachable;
    out->tls = report->tls ? LIVE_YES : report->ssl_answer == 'N' ? LIVE_NO : LIVE_UNKNOWN;
    out->plaintext = report->auth_plain.reached                 ? LIVE_YES
                     : is_about_tls(report->auth_plain.refusal) ? LIVE_NO
                                                                : LIVE_UNKNOWN;
    out->chain = report->chain;
    out->n_chain = report->n_chain;
    if (report->chain_report.fault == CHAIN_INCOMPLETE && report->chain_report.missing_intermediate)
        out->missing = report->chain_report.missing;
}

/* As a stranger: nothing of the connection string but host and port counts. */
static enum code audit_live_probe(void *ctx, struct str host, struct str port, struct arena *arena,
                                  struct live_port *out)
{
    const struct cmd *cmd = ctx;
    struct conn_world world = conn_world_files();
    struct probe_params params = {
        .world = &world, .env = &cmd->env, .timeout_s = PROBE_TIMEOUT_S, .quick = true
    };
    struct probe_target target = { .text = host };
    struct probe_report report;
    struct probe_kit kit;
    struct err e;

    target.options.v[CONN_HOST] = host;
    target.options.v[CONN_PORT] = port;
    target.options.v[CONN_USER] = STR("postgres");
    if (!arena_printf(arena, &out->endpoint, "%.*s:%.*s", STR_ARG(host), STR_ARG(port)))
        return E_NOMEM;
    out->from_here = conn_meaning_is_local(&target.options);
    TRY(probe_kit_init(&kit));
    world.getenv = NULL;
    enum code code = probe_endpoint(&params, &kit, &target, arena, &report, &e);
    probe_kit_fini(&kit);
    if (code == OK)
        translate(&report, out);
    return code == E_NOMEM ? code : OK;
}

enum code audit_live(const struct cmd *cmd, const char *conninfo, struct arena *arena, struct collected *out,
                     struct err *e)
{
    struct cmd context = *cmd;
    const struct live_params params = {
        .conninfo = conninfo, .now_unix_s = env_now_s(&cmd->env), .probe = audit_live_probe, .ctx = &context
    };

    return collect_live(&params, arena, out, e);
}
