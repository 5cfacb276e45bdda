/*
 * pgseal audit: what is wrong with a configuration, or weaker than it need be.
 *
 * Each target is collected into a subject and judged by src/audit; here it is chosen how, and told.
 */
#include "audit/audit.h"

#include "audit/collect.h"
#include "audit/collect_client.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "cmd/audit_baseline.h"
#include "cmd/audit_html.h"
#include "cmd/audit_live.h"
#include "cmd/audit_rehearse.h"
#include "cmd/audit_report.h"
#include "cmd/audit_sarif.h"
#include "cmd/certtext.h"
#include "cmd/cmd.h"
#include "cmd/driver_option.h"
#include "cmd/rules.h"
#include "cmd/usage.h"
#include "lex/conninfo_hide.h"
#include "os/files.h"

#define AUDIT_ARENA_MAX ((size_t)1 << 30)
#define AUDIT_PAGE_MAX ((size_t)256 << 20)
enum { AUDIT_ARENA_FIRST = 64 * 1024 };

struct auditing {
    const struct cmd *cmd;
    struct arena *arena;
    struct audit_baseline *baseline;
    unsigned version;          /* of --pg-version; 0: not given */
    enum pasted_driver driver; /* of --driver */
    enum audit_profile profile;
    enum finding_severity fail_on; /* FINDING_SEVERITIES: none */
    const char *conninfo;          /* of --conninfo, the last target; NULL: not given */
    size_t n;                      /* targets */
    struct collected *collected;   /* one per target */
    struct audit_result *results;
    bool rehearsed;
    struct audit_rehearsal rehearsal;
};

/* ---- targets ---- */

/* A connection string may hold a password. NULL when memory ran out. */
static const char *shown(const struct auditing *a, const char *target)
{
    return os_exists(target) || !collect_is_string(str_c(target))
               ? target
               : arena_c(a->arena, conninfo_hidden(a->arena, str_c(target)));
}

static enum code collect(const struct auditing *a, size_t i, struct audit_result *result)
{
    if (i == a->cmd->n_args) {
        result->target = arena_c(a->arena, conninfo_hidden(a->arena, str_c(a->conninfo)));
        if (!result->target)
            return err_set(&result->error, E_NOMEM, "out of memory");
        return audit_live(a->cmd, a->conninfo, a->arena, &a->collected[i], &result->error);
    }
    result->target = shown(a, a->cmd->args[i]);
    if (!result->target)
        return err_set(&result->error, E_NOMEM, "out of memory");
    const struct collect_params params = { .target = a->cmd->args[i],
                                           .version = a->version,
                                           .driver = a->driver,
                                           .now_unix_s = env_now_s(&a->cmd->env),
                                           .arena = a->arena };
    return collect_target(&params, &a->collected[i], &result->error);
}

/* Keys of the targets before this one: none should be used here, too. */
static enum code tell_others(const struct auditing *a, size_t at)
{
    struct subject_key *keys;
    size_t n = 0;

    for (size_t i = 0; i < at; i++)
        n += a->collected[i].subject.live ? 0 : a->results[i].report.n_certificates;
    keys = arena_array(a->arena, n, sizeof *keys);
    if (!keys)
        return E_NOMEM;
    n = 0;
    for (size_t i = 0; i < at; i++)
        for (size_t c = 0; c < a->results[i].report.n_certificates && !a->collected[i].subject.live; c++) {
            const struct audit_certificate *from = &a->results[i].report.certificates[c];
            struct subject_key *key = &keys[n];
            if (!from->held)
                continue;
            n++;
            *key = (struct subject_key){ .target = str_c(a->results[i].target),
                                         .file = from->file,
                                         .subject = from->subject };
            memcpy(key->certificate, from->certificate, sizeof key->certificate);
            memcpy(key->key, from->key, sizeof key->key);
        }
    a->collected[at].subject.others = keys;
    a->collected[at].subject.n_others = n;
    return OK;
}

static enum code look_at(const struct auditing *a, size_t i)
{
    struct audit_result *result = &a->results[i];

    enum code code = collect(a, i, result);
    if (code != OK) {
        (void)cmd_error(a->cmd, &result->error);
        return code == E_NOMEM ? code : OK;
    }
    TRY(tell_others(a, i));
    TRY(audit_run(&a->collected[i].subject, a->profile, a->arena, &result->report));
    result->known = arena_array(a->arena, result->report.findings.n, sizeof *result->known);
    if (!result->known)
        return E_NOMEM;
    for (size_t f = 0; f < result->report.findings.n; f++)
        result->known[f] = audit_baseline_take(a->baseline, &result->report.findings.items[f]);
    return OK;
}

/* ---- the answer ---- */

static int status_of(const struct auditing *a)
{
    int status = a->rehearsed && a->rehearsal.outcome.counts[REHEARSED_OUT] > 0 ? EXIT_FINDING : EXIT_FINE;

    for (size_t i = 0; i < a->n; i++) {
        const struct audit_result *result = &a->results[i];
        if (result->error.code != OK)
            return EXIT_CANNOT_RUN;
        for (size_t f = 0; f < result->report.findings.n; f++)
            if (!result->known[f] && a->fail_on < FINDING_SEVERITIES &&
                result->report.findings.items[f].severity <= a->fail_on)
                status = EXIT_FINDING;
    }
    return status;
}

static enum code tell_page(const struct auditing *a, const struct audit_results *results, struct err *e)
{
    AUTO(buf) struct buf page = BUF_INIT(AUDIT_PAGE_MAX);

    if (audit_html(results, env_now_s(&a->cmd->env), a->arena, &page) != OK)
        return err_set(e, E_NOMEM, "the page does not fit in memory");
    (void)fwrite(page.p, 1, page.n, a->cmd->out);
    return OK;
}

static void tell_text(const struct auditing *a, const struct audit_results *results)
{
    for (size_t i = 0; i < results->n; i++) {
        if (i > 0)
            (void)fputs("\n\n", a->cmd->out);
        audit_report_print(a->cmd, &results->items[i]);
    }
    if (results->rehearsal)
        audit_rehearsal_print(a->cmd, results->rehearsal);
}

static int audit_tell(const struct auditing *a)
{
    const struct audit_results results = { a->results, a->n, a->profile,
                                           a->rehearsed ? &a->rehearsal : NULL };
    enum code code = OK;
    struct err e;

    if (a->cmd->json)
        code = json_print(a->cmd->out, audit_report_json(&results), &e);
    else if (cmd_flag(a->cmd, OPT_audit_sarif))
        code = json_print(a->cmd->out, audit_sarif(&results), &e);
    else if (cmd_flag(a->cmd, OPT_audit_html))
        code = tell_page(a, &results, &e);
    else
        tell_text(a, &results);
    return code == OK ? status_of(a) : cmd_error(a->cmd, &e);
}

static int audit_read_options(struct auditing *a)
{
    const char *word = cmd_value(a->cmd, OPT_audit_fail_on);
    const char *baseline = cmd_value(a->cmd, OPT_audit_baseline);
    struct err e;

    int status = cmd_read_driver(a->cmd, OPT_audit_driver, &a->driver);
    if (status >= 0)
        return status;
    a->conninfo = cmd_value(a->cmd, OPT_audit_conninfo);
    a->n = a->cmd->n_args + (a->conninfo != NULL);
    if (a->n == 0)
        return cmd_usage(
            a->cmd, "no target given: name the directory of a gate or of a server, a file, or --conninfo");
    if (a->cmd->json + cmd_flag(a->cmd, OPT_audit_sarif) + cmd_flag(a->cmd, OPT_audit_html) > 1)
        return cmd_usage(a->cmd, "only one of --json, --sarif and --html can be given");
    if (cmd_value(a->cmd, OPT_audit_log) && !cmd_value(a->cmd, OPT_audit_rehearse))
        return cmd_usage(a->cmd, "--log requires --rehearse");
    struct policy_params params;
    status = rules_params(a->cmd, cmd_value(a->cmd, OPT_audit_pg_version), &params);
    if (status >= 0)
        return status;
    a->version = params.pg_version;
    const char *profile = cmd_value(a->cmd, OPT_audit_profile);
    if (profile && !profile_find(str_c(profile), &a->profile))
        return cmd_usage(a->cmd,
                         "--profile takes default, cis, cis-16, cis-17, cis-18, stig, pci, bsi, "
                         "mozilla-intermediate or mozilla-modern, not \"%s\"",
                         profile);
    a->fail_on = FINDING_MEDIUM;
    if (word) {
        a->fail_on = FINDING_HIGH;
        while (a->fail_on < FINDING_SEVERITIES && strcmp(finding_severity_name(a->fail_on), word) != 0)
            a->fail_on++;
        if (a->fail_on == FINDING_SEVERITIES && strcmp(word, "none") != 0)
            return cmd_usage(a->cmd, "--fail-on takes high, medium, low, info or none, not \"%s\"", word);
    }
    if (baseline && audit_baseline_read(baseline, &a->baseline, &e) != OK) {
        (void)cmd_error(a->cmd, &e);
        return EXIT_CANNOT_RUN;
    }
    return -1;
}

static enum code play(struct auditing *a, struct err *e)
{
    const struct audit_subject **targets = arena_array(a->arena, a->n, sizeof *targets);
    struct audit_rehearsal_params params = { .cmd = a->cmd,
                                             .path = cmd_value(a->cmd, OPT_audit_rehearse),
                                             .version = a->version,
                                             .arena = a->arena,
                                             .targets = targets };

    if (!params.path)
        return OK;
    if (!targets)
        return err_set(e, E_NOMEM, "out of memory");
    for (size_t i = 0; i < a->n; i++)
        if (a->results[i].error.code == OK)
            targets[params.n_targets++] = &a->collected[i].subject;
    a->rehearsed = true;
    return audit_rehearsal_run(&params, &a->rehearsal, e);
}

static int run(struct auditing *a)
{
    struct err e;

    for (size_t i = 0; i < a->n; i++)
        if (look_at(a, i) != OK)
            return cmd_error(a->cmd, &(struct err){ .code = E_NOMEM });
    if (play(a, &e) != OK) {
        (void)cmd_error(a->cmd, &e);
        return EXIT_CANNOT_RUN;
    }
    return audit_tell(a);
}

int cmd_audit(struct cmd *cmd)
{
    AUTO(arena) struct arena arena;
    AUTO(audit_baseline) struct audit_baseline *baseline = NULL;
    struct auditing a = { .cmd = cmd, .arena = &arena };

    arena_init(&arena, AUDIT_ARENA_MAX, AUDIT_ARENA_FIRST);
    int status = audit_read_options(&a);
    baseline = a.baseline; /* NOLINT(clang-analyzer-deadcode.DeadStores): AUTO() reads it */
    if (status >= 0)
        return status;
    a.collected = arena_array(&arena, a.n, sizeof *a.collected);
    a.results = arena_array(&arena, a.n, sizeof *a.results);
    if (!a.collected || !a.results)
        return cmd_error(cmd, &(struct err){ .code = E_NOMEM });
    status = run(&a);
    audit_rehearsal_fini(&a.rehearsal);
    for (size_t i = 0; i < a.n; i++)
        collected_fini(&a.collected[i]);
    return status;
}
