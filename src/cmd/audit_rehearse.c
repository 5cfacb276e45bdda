#include "cmd/audit_rehearse.h"

#include "audit/collect.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "cmd/certtext.h"
#include "cmd/cmd.h"
#include "cmd/facts.h"
#include "cmd/fold.h"
#include "cmd/html.h"
#include "conf/settings.h"
#include "os/files.h"
#include "policy/method.h"
#include "policy/policy.h"
#include "status/clients_store.h"

#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>

#define LOG_MAX ((size_t)1 << 30)
enum { WHO_MAX = 1024 };

/* ---- what is known ---- */

static struct str member(const char *text, size_t size)
{
    return str_of(text, strnlen(text, size));
}

/* Sessions in TLS and without are two clients: what lets the one in may shut out the other. */
static void add_row(void *arg, const struct client_row *row)
{
    struct known_clients *known = arg;
    struct known_client client = {
        .user = member(row->key.user, sizeof row->key.user),
        .application = member(row->key.application, sizeof row->key.application),
        .source = STR("pgseal_clients"),
        .cert = row->issuer[0] ? KNOWN_CERT_PRESENTED : KNOWN_CERT_UNKNOWN,
        .times = (uint64_t)row->sessions,
    };

    if (row->sessions <= 0 || client.user.n == 0)
        return;
    if (!(row->seen & CLIENT_LOCAL))
        client.address = member(row->key.address, sizeof row->key.address);
    if (row->seen & (CLIENT_TLS | CLIENT_DIRECT)) {
        client.tls = true;
        client.tls_version = member(row->tls_version, sizeof row->tls_version);
        known_add(known, &client);
    }
    if (row->seen & (CLIENT_PLAIN | CLIENT_PLAIN_AFTER_N | CLIENT_LOCAL)) {
        client.tls = false;
        client.tls_version = STR("");
        client.upgrades = (row->seen & (CLIENT_WENT_UP | CLIENT_PLAIN_AFTER_N)) != 0;
        known_add(known, &client);
    }
}

enum code audit_rehearsal_add_gate(struct known_clients *known, const struct audit_subject *subject,
                                   struct err *e)
{
    char dir[PATH_MAX], path[OS_PATH_MAX];

    if (!realpath(settings_state_dir(subject->settings), dir))
        return OK;
    TRY(os_path(dir, STATE_CLIENTS, path, e));
    return client_store_load(path, add_row, known, e);
}

static enum code add_log(struct audit_rehearsal *r, const char *path, struct err *e)
{
    AUTO(buf) struct buf log = BUF_INIT(LOG_MAX);

    TRY(os_read_file(path, &log, e));
    known_add_log(&r->known, buf_str(&log), str_c(path));
    return OK;
}

static enum code gather(const struct audit_rehearsal_params *params, struct audit_rehearsal *r, struct err *e)
{
    const char *log;

    known_init(&r->known, params->arena);
    for (size_t i = 0; i < params->n_targets; i++) {
        const struct audit_subject *subject = params->targets[i];
        known_add_sessions(&r->known, subject);
        if (subject->kind == SUBJECT_GATE)
            TRY(audit_rehearsal_add_gate(&r->known, subject, e));
    }
    for (size_t i = 0; (log = cmd_value_at(params->cmd, OPT_audit_log, i)); i++)
        TRY(add_log(r, log, e));
    return r->known.nomem ? err_set(e, E_NOMEM, "out of memory") : OK;
}

/* ---- what is proposed ---- */

static enum code read_proposed(const struct audit_rehearsal_params *params, struct audit_rehearsal *r,
                               struct err *e)
{
    const struct collect_params collect = { .target = params->path,
                                            .version = params->version,
                                            .now_unix_s = env_now_s(&params->cmd->env),
                                            .arena = params->arena };

    TRY(collect_target(&collect, &r->proposed, e));
    const struct audit_subject *subject = &r->proposed.subject;
    if (subject->policy)
        return OK;
    if (subject->n_broken_rules == 0)
        return err_set(e, E_CONFIG, "\"%s\" holds no rules to rehearse", params->path);
    const struct subject_broken *broken = &subject->broken_rules[0];
    return err_set(e, E_CONFIG, "the rules to rehearse do not load: %.*s:%u: %.*s", STR_ARG(broken->file),
                   broken->line, STR_ARG(broken->error));
}

enum code audit_rehearsal_run(const struct audit_rehearsal_params *params, struct audit_rehearsal *out,
                              struct err *e)
{
    *out = (struct audit_rehearsal){ .path = params->path };
    TRY(read_proposed(params, out, e));
    TRY(gather(params, out, e));
    const struct rehearse_params rehearsal = { .proposed = &out->proposed.subject,
                                               .current = params->n_targets > 0 ? params->targets[0] : NULL,
                                               .look_up = facts_look_up,
                                               .arena = params->arena };
    enum code code = rehearse(&rehearsal, &out->known, &out->outcome);
    return code == OK ? OK : err_set(e, code, "out of memory");
}

void audit_rehearsal_fini(struct audit_rehearsal *rehearsal)
{
    collected_fini(&rehearsal->proposed);
}

/* ---- words ---- */

static const char *outcome_name(enum rehearsed outcome)
{
    static const char *const names[] = {
        [REHEARSED_OUT] = "refused", [REHEARSED_UNKNOWN] = "unknown", [REHEARSED_IN] = "admitted"
    };

    return names[outcome];
}

/* "ann" of app from 10.0.0.7 without TLS */
static void put_who(struct buf *out, const struct known_client *c)
{
    buf_printf(out, "\"%.*s\"", STR_ARG(c->user));
    if (c->replication)
        buf_append_c(out, ", replication");
    else if (c->database.p)
        buf_printf(out, ", database \"%.*s\"", STR_ARG(c->database));
    if (c->application.n > 0)
        buf_printf(out, ", application \"%.*s\"", STR_ARG(c->application));
    if (c->address.n == 0) {
        buf_append_c(out, ", over the Unix-domain socket");
        return;
    }
    buf_printf(out, ", from %.*s, ", STR_ARG(c->address));
    if (!c->tls)
        buf_append_c(out, "without TLS");
    else if (c->tls_version.n > 0)
        buf_printf(out, "in %.*s", STR_ARG(c->tls_version));
    else
        buf_append_c(out, "in TLS");
}

static void put_place(struct buf *out, const struct hba_rule *rule)
{
    buf_printf(out, "%.*s:%u", STR_ARG(rule->file), rule->line);
}

/* "12 known clients: 1 would be refused, 2 may be, 9 go on" */
static void put_summary(struct buf *out, const struct audit_rehearsal *r)
{
    buf_printf(
        out,
        "%zu known client%s: %zu would be refused, %zu cannot be decided, %zu would be admitted as before",
        r->known.n, r->known.n == 1 ? "" : "s", r->outcome.counts[REHEARSED_OUT],
        r->outcome.counts[REHEARSED_UNKNOWN], r->outcome.counts[REHEARSED_IN]);
}

/* What was not replayed; empty: all of it was. */
static void put_missing(struct buf *out, const struct audit_rehearsal *r)
{
    if (r->known.n == 0)
        buf_append_c(out,
                     "No client is known: name a log with log_connections (--log), a gate with its state, or "
                     "--conninfo of a running server.");
    if (r->known.unplaced > 0)
        buf_printf(out, "%zu connections of the log have no numeric address, and were skipped.",
                   r->known.unplaced);
    if (r->known.beyond > 0)
        buf_printf(out, "%zu connections of further clients were not kept.", r->known.beyond);
}

/* ---- for people ---- */

static void say_client(const struct cmd *cmd, const struct rehearsed_client *c)
{
    AUTO(buf) struct buf text = BUF_INIT(WHO_MAX * 64);
    bool bad = c->outcome == REHEARSED_OUT;

    (void)fprintf(cmd->out, "\n%s%-8s%s ", bad ? cmd_tint(cmd, TINT_BAD) : "", outcome_name(c->outcome),
                  bad ? cmd_tint_end(cmd) : "");
    put_who(&text, c->client);
    (void)fold_word(cmd->out, buf_str(&text));
    (void)fputc('\n', cmd->out);
    if (c->rule) {
        buf_reset(&text);
        put_place(&text, c->rule);
        fold_print(cmd->out, "by", buf_str(&text));
    }
    fold_print(cmd->out, "is", c->why);
    if (c->change.n > 0)
        fold_print(cmd->out, "fix", c->change);
    buf_reset(&text);
    buf_printf(&text, "%.*s, %" PRIu64 " time%s", STR_ARG(c->client->source), c->client->times,
               c->client->times == 1 ? "" : "s");
    fold_print(cmd->out, "seen", buf_str(&text));
}

void audit_rehearsal_print(const struct cmd *cmd, const struct audit_rehearsal *r)
{
    AUTO(buf) struct buf text = BUF_INIT(WHO_MAX);

    put_summary(&text, r);
    (void)fprintf(cmd->out, "\nrehearsal of %s\n  %s%s%s\n", r->path,
                  cmd_tint(cmd, r->outcome.counts[REHEARSED_OUT] > 0 ? TINT_BAD : TINT_GOOD), buf_c(&text),
                  cmd_tint_end(cmd));
    for (size_t i = 0; i < r->outcome.n && r->outcome.items[i].outcome != REHEARSED_IN; i++)
        say_client(cmd, &r->outcome.items[i]);
    buf_reset(&text);
    put_missing(&text, r);
    if (text.n > 0)
        (void)fprintf(cmd->out, "  %s\n", buf_c(&text));
}

/* ---- JSON ---- */

static void audit_rehearse_put(json_t *object, const char *name, json_t *value)
{
    (void)json_object_set_new(object, name, value);
}

static json_t *audit_rehearse_text_or_null(struct str text)
{
    return text.n > 0 ? json_of(text) : json_null();
}

static json_t *client_json(const struct rehearsed_client *c)
{
    const struct known_client *k = c->client;
    json_t *o = json_object(), *rule = json_null();

    audit_rehearse_put(o, "outcome", json_string(outcome_name(c->outcome)));
    audit_rehearse_put(o, "user", json_of(k->user));
    audit_rehearse_put(o, "database", k->database.p ? json_of(k->database) : json_null());
    audit_rehearse_put(o, "replication", json_boolean(k->replication));
    audit_rehearse_put(o, "application", audit_rehearse_text_or_null(k->application));
    audit_rehearse_put(o, "address", audit_rehearse_text_or_null(k->address));
    audit_rehearse_put(
        o, "tls", k->tls ? json_of(k->tls_version.n > 0 ? k->tls_version : STR("unknown")) : json_null());
    audit_rehearse_put(o, "source", json_of(k->source));
    audit_rehearse_put(o, "times", json_integer((json_int_t)k->times));
    if (c->rule) {
        rule = json_object();
        audit_rehearse_put(rule, "file", json_of(c->rule->file));
        audit_rehearse_put(rule, "line", json_integer(c->rule->line));
        audit_rehearse_put(rule, "method", json_string(hba_method_name(c->rule->method)));
    }
    audit_rehearse_put(o, "by", rule);
    audit_rehearse_put(o, "why", audit_rehearse_text_or_null(c->why));
    audit_rehearse_put(o, "change", audit_rehearse_text_or_null(c->change));
    return o;
}

json_t *audit_rehearsal_json(const struct audit_rehearsal *r)
{
    json_t *o = json_object(), *clients = json_array();

    if (!r) {
        json_decref(clients);
        json_decref(o);
        return json_null();
    }
    for (size_t i = 0; i < r->outcome.n; i++)
        (void)json_array_append_new(clients, client_json(&r->outcome.items[i]));
    audit_rehearse_put(o, "proposed", json_of(str_c(r->path)));
    for (unsigned i = 0; i < REHEARSED_OUTCOMES; i++)
        audit_rehearse_put(o, outcome_name((enum rehearsed)i),
                           json_integer((json_int_t)r->outcome.counts[i]));
    audit_rehearse_put(o, "passed_over",
                       json_integer((json_int_t)r->known.unplaced + (json_int_t)r->known.beyond));
    audit_rehearse_put(o, "clients", clients);
    return o;
}

/* ---- HTML ---- */

static void html_client(const struct rehearsed_client *c, struct buf *out)
{
    AUTO(buf) struct buf text = BUF_INIT(WHO_MAX * 64);
    bool bad = c->outcome == REHEARSED_OUT;

    buf_printf(out, "<li><span class=\"tag %s\">%s</span><h3>", bad ? "no" : "unknown",
               bad ? "✗ refused" : "? unknown");
    put_who(&text, c->client);
    html_text(out, buf_str(&text));
    buf_append_c(out, "</h3><p>");
    if (c->rule) {
        buf_reset(&text);
        put_place(&text, c->rule);
        html_text(out, buf_str(&text));
        buf_append_c(out, ": ");
    }
    html_text(out, c->why);
    buf_append_c(out, "</p>");
    if (c->change.n > 0) {
        buf_append_c(out, "<p>→ ");
        html_text(out, c->change);
        buf_append_c(out, "</p>");
    }
    buf_append_c(out, "</li>");
}

void audit_rehearsal_html(const struct audit_rehearsal *r, struct buf *out)
{
    AUTO(buf) struct buf text = BUF_INIT(WHO_MAX);

    buf_append_c(out, "<h2 class=\"target\">Rehearsal of ");
    html_text(out, str_c(r->path));
    buf_append_c(out, "</h2><section><h2>");
    put_summary(&text, r);
    html_text(out, buf_str(&text));
    buf_append_c(out, "</h2><ul class=\"list\">");
    for (size_t i = 0; i < r->outcome.n && r->outcome.items[i].outcome != REHEARSED_IN; i++)
        html_client(&r->outcome.items[i], out);
    buf_append_c(out, "</ul>");
    buf_reset(&text);
    put_missing(&text, r);
    if (text.n > 0) {
        buf_append_c(out, "<p class=\"soft\">");
        html_text(out, buf_str(&text));
        buf_append_c(out, "</p>");
    }
    buf_append_c(out, "</section>\n");
}
