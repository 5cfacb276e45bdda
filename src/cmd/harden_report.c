#include "cmd/harden_report.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "cmd/certtext.h"
#include "cmd/drivers.h"
#include "cmd/fold.h"
#include "cmd/harden.h"
#include "conf/settings.h"
#include "harden/setting_line.h"

enum { DIFF_LIMIT = 64 << 20, TEXT_LIMIT = 1 << 16, NAME_COLUMN = 22 };

/* ---- the diff ---- */

static bool is_auto_file(const struct harden_run *run, const struct harden_text *text)
{
    return run->wish.way == HARDEN_ALTER_SYSTEM && run->plan.auto_file &&
           str_is(text->path, run->plan.auto_file);
}

/* ALTER SYSTEM writes every value in quotes. */
static void put_statements(const struct harden_text *text, struct buf *out)
{
    struct setting_line parts;

    for (size_t i = 0; i < text->n; i++) {
        const struct harden_line *line = &text->lines[i];
        bool same = line->before.p && line->after.p && str_equal(line->before, line->after);
        if (same || !line->after.p || !setting_line_parse(line->after, &parts))
            continue;
        buf_printf(out, "ALTER SYSTEM SET %.*s = %.*s;  -- ", STR_ARG(parts.name), STR_ARG(parts.value));
        harden_text_reasons(line, 1, out);
        buf_append_byte(out, '\n');
    }
}

enum code harden_report_diff(const struct harden_run *run, struct buf *out)
{
    for (size_t i = 0; i < run->plan.n_texts; i++) {
        const struct harden_text *text = run->plan.texts[i];
        if (!text->changed)
            continue;
        if (is_auto_file(run, text))
            put_statements(text, out);
        else
            harden_text_diff(text, out);
    }
    return buf_ok(out) ? OK : E_LIMIT;
}

/* ---- for people ---- */

static void head(const struct harden_run *run, const char *title)
{
    (void)fprintf(run->cmd->out, "\n%s\n", title);
}

static void item(const struct harden_run *run, const char *label, struct str text)
{
    fold_print(run->cmd->out, label, text);
}

static const char *host_of(const struct harden_run *run)
{
    return run->names.host ? run->names.host : "HOST";
}

static unsigned port_of(const struct harden_run *run)
{
    return (unsigned)run->plan.after.subject.settings->port;
}

/* Has the server used the certificate before? */
static bool is_pair(const struct harden_run *run)
{
    const char *path = run->plan.before.subject.settings->ssl_cert_file.path;

    return path && strcmp(path, run->target.cert) == 0;
}

static void say_pair(const struct harden_run *run)
{
    AUTO(buf) struct buf text = BUF_INIT(TEXT_LIMIT);

    const char *present = run->plan.before.subject.settings->ssl_cert_file.path;

    if (!run->plan.needs_pair && !run->target.is_gate && present &&
        !harden_names_in(present, &run->names, run->arena)) {
        head(run, "Certificate");
        buf_printf(&text,
                   "\"%s\" lacks a name that was given with --host, and stays: ask the CA that issued it for "
                   "one with all names.",
                   present);
        item(run, "note", buf_str(&text));
    }
    if (!run->plan.needs_pair)
        return;
    head(run, "Certificate");
    buf_printf(&text, "A CA of the server's own, and a certificate of it, in %s, for", run->target.state);
    for (size_t i = 0; i < run->names.n; i++) {
        struct str san;
        if (san_text(&run->names.sans[i], run->arena, &san, NULL) == OK)
            buf_printf(&text, "%s %.*s", i > 0 ? "," : "", STR_ARG(san));
    }
    buf_append_c(&text,
                 run->names.given ? "." : ". If clients use another name for it, add that with --host.");
    item(run, "", buf_str(&text));
    if (run->plan.before.subject.settings->ssl && !is_pair(run))
        item(
            run, "note",
            STR("Clients that verify the present certificate, with a copy of it, are refused from the reload on "
                "unless they know the new CA: give them its file first."));
}

static void say_left(const struct harden_run *run)
{
    if (run->plan.n_left > 0)
        head(run, "What stays");
    for (size_t i = 0; i < run->plan.n_left; i++) {
        const struct harden_left *left = &run->plan.left[i];
        const struct finding *f = left->finding;
        (void)fprintf(run->cmd->out, "  %-6s  %s  ", finding_severity_name(f->severity), check_id(f->check));
        (void)fold_word(run->cmd->out, f->where);
        (void)fputc('\n', run->cmd->out);
        item(run, "is", f->what);
        item(run, "fix", left->why);
    }
}

static void say_notes(const struct harden_run *run)
{
    if (run->plan.n_notes > 0)
        head(run, "Passwords");
    for (size_t i = 0; i < run->plan.n_notes; i++)
        item(run, "note", run->plan.notes[i]);
}

/* "ann" of app from 10.0.0.7 */
static void put_client(struct buf *out, const struct known_client *c)
{
    buf_printf(out, "\"%.*s\"", STR_ARG(c->user));
    if (c->replication)
        buf_append_c(out, ", replication");
    if (c->application.n > 0)
        buf_printf(out, ", application \"%.*s\"", STR_ARG(c->application));
    if (c->address.n > 0)
        buf_printf(out, ", from %.*s, %s", STR_ARG(c->address), c->tls ? "in TLS" : "without TLS");
    else
        buf_append_c(out, ", over the Unix-domain socket");
}

static const char *outcome_of(const struct harden_client *c)
{
    return c->accepted ? "dropped" : c->blocks ? "refused" : "unknown";
}

static void say_client(const struct harden_client *c, FILE *out)
{
    AUTO(buf) struct buf text = BUF_INIT(TEXT_LIMIT);

    put_client(&text, c->played->client);
    (void)fprintf(out, "  %-8s ", outcome_of(c));
    (void)fold_word(out, buf_str(&text));
    (void)fputc('\n', out);
    fold_print(out, "is", c->played->why);
    if (c->played->change.n > 0)
        fold_print(out, "fix", c->played->change);
}

static void say_rehearsal(const struct harden_run *run)
{
    const struct harden_clients *c = &run->clients;

    head(run, "Clients");
    if (!run->rehearsed) {
        item(run, "",
             run->target.pid ? str_c(err_text(&run->unasked))
                             : STR("The server is not running, so its clients could not be seen."));
        return;
    }
    (void)fprintf(run->cmd->out,
                  "  %zu known: %zu would be refused, %zu cannot be decided, %zu would be admitted as before",
                  run->seen.known.n, c->counts[REHEARSED_OUT], c->counts[REHEARSED_UNKNOWN],
                  c->counts[REHEARSED_IN]);
    if (c->today > 0)
        (void)fprintf(run->cmd->out, ", %zu would be refused today", c->today);
    (void)fputc('\n', run->cmd->out);
    for (size_t i = 0; i < c->n; i++)
        say_client(&c->items[i], run->cmd->out);
}

void harden_report_blocked(const struct harden_run *run)
{
    const struct harden_clients *c = &run->clients;

    (void)fprintf(run->cmd->err,
                  "pgseal harden: %zu known client%s would be refused, and nothing was changed:\n",
                  c->blocking, c->blocking == 1 ? "" : "s");
    for (size_t i = 0; i < c->n; i++)
        if (c->items[i].blocks)
            say_client(&c->items[i], run->cmd->err);
    (void)fprintf(run->cmd->err,
                  "HINT:  Fix them first, or accept the loss: --accept-loss USER, APPLICATION or ADDRESS.\n");
}

/* ---- what others need ---- */

static struct driver_facts facts_of(const struct harden_run *run)
{
    return (struct driver_facts){ .host = host_of(run),
                                  .port = port_of(run),
                                  .dbname = "DATABASE",
                                  .user = "USER",
                                  .root = run->target.root };
}

static void say_needs(const struct harden_run *run)
{
    const struct driver_facts facts = facts_of(run);

    if (!run->plan.needs_pair)
        return;
    (void)fprintf(run->cmd->out, "\nClients need a copy of %s, and sslmode=verify-full\n", run->target.root);
    for (enum driver d = DRIVER_LIBPQ; d <= DRIVER_LAST_SHOWN; d++) {
        AUTO(buf) struct buf text = BUF_INIT(TEXT_LIMIT);
        driver_connect(&text, d, &facts);
        (void)fprintf(run->cmd->out, "  %-*s %s\n", NAME_COLUMN, driver_title(d), buf_c(&text));
    }
}

static void put_standby(struct buf *out, const struct harden_run *run, const struct known_client *c)
{
    buf_append_c(out, "primary_conninfo = 'host=");
    conninfo_quote(out, str_c(host_of(run)));
    buf_printf(out, " port=%u user=%.*s sslmode=verify-full sslrootcert=%s", port_of(run), STR_ARG(c->user),
               run->target.root);
    if (c->application.n > 0 && !str_is(c->application, "walreceiver"))
        buf_printf(out, " application_name=%.*s", STR_ARG(c->application));
    buf_append_c(out, "'");
}

static void say_standbys(const struct harden_run *run)
{
    bool any = false;

    for (size_t i = 0; i < run->seen.known.n; i++) {
        AUTO(buf) struct buf text = BUF_INIT(TEXT_LIMIT);
        const struct known_client *c = &run->seen.known.items[i];
        if (!c->replication || c->address.n == 0)
            continue;
        if (!any)
            (void)fprintf(
                run->cmd->out,
                "\nStandbys need a copy of %s, and this string, to verify the server. Keep the password and "
                "the other settings of the present one; a reload there is enough\n",
                run->target.root);
        any = true;
        put_standby(&text, run, c);
        (void)fprintf(run->cmd->out, "  %.*s: %s\n", STR_ARG(c->address), buf_c(&text));
    }
    if (run->seen.standby)
        (void)fprintf(
            run->cmd->out,
            "\nThis server is a standby. Harden the primary, too; then append to primary_conninfo here, "
            "where the last word counts:\n  sslmode=verify-full sslrootcert=%s/primary-ca.crt\n",
            run->target.state);
}

void harden_report_print(const struct harden_run *run)
{
    if (run->plan.managed_by.n > 0)
        (void)fprintf(run->cmd->out,
                      "\nThe files say that %.*s writes them: make the same changes there, or its "
                      "next run undoes them.\n",
                      STR_ARG(run->plan.managed_by));
    say_pair(run);
    say_left(run);
    say_notes(run);
    say_rehearsal(run);
    say_needs(run);
    say_standbys(run);
}

/* ---- a change ---- */

static void say_proof(const struct harden_run *run, const struct harden_proof *proof)
{
    (void)fprintf(run->cmd->out, "  %.*s: sslmode=disable %s", STR_ARG(proof->endpoint),
                  proof->plain_refused ? "is refused" : "is admitted, by a rule for this machine");
    if (run->plan.needs_pair)
        (void)fprintf(run->cmd->out, "; sslmode=verify-full %s",
                      proof->verified ? "verifies the server" : "is refused by the rules");
    (void)fputc('\n', run->cmd->out);
}

void harden_report_done(const struct harden_run *run)
{
    (void)fputs("Changed\n", run->cmd->out);
    for (size_t i = 0; i < run->plan.n_texts; i++)
        if (run->plan.texts[i]->changed)
            (void)fprintf(run->cmd->out, "  %.*s\n", STR_ARG(run->plan.texts[i]->path));
    if (run->job.proofs.n > 0)
        head(run, "Proved, with user \"" HARDEN_STRANGER "\"");
    for (size_t i = 0; i < run->job.proofs.n; i++)
        say_proof(run, &run->job.proofs.items[i]);
    if (run->asked)
        (void)fprintf(run->cmd->out, "  role \"%.*s\" logs in over a new connection\n",
                      STR_ARG(run->seen.role));
    harden_report_print(run);
    (void)fprintf(run->cmd->out, "\nTo undo it: pgseal harden %s --undo\n", run->shown);
}

/* ---- JSON ---- */

static void put(json_t *object, const char *name, json_t *value)
{
    (void)json_object_set_new(object, name, value);
}

static json_t *changes_json(const struct harden_run *run)
{
    json_t *array = json_array();

    for (size_t i = 0; i < run->plan.n_texts; i++) {
        AUTO(buf) struct buf text = BUF_INIT(DIFF_LIMIT);
        const struct harden_text *t = run->plan.texts[i];
        json_t *o = json_object();
        if (!t->changed) {
            json_decref(o);
            continue;
        }
        put(o, "file", json_of(t->path));
        put(o, "is_new", json_boolean(t->is_new));
        harden_text_diff(t, &text);
        put(o, "diff", json_of(buf_str(&text)));
        buf_reset(&text);
        if (is_auto_file(run, t))
            put_statements(t, &text);
        put(o, "alter_system", text.n > 0 ? json_of(buf_str(&text)) : json_null());
        (void)json_array_append_new(array, o);
    }
    return array;
}

static json_t *left_json(const struct harden_run *run)
{
    json_t *array = json_array();

    for (size_t i = 0; i < run->plan.n_left; i++) {
        const struct harden_left *left = &run->plan.left[i];
        json_t *o = json_object();
        put(o, "id", json_string(check_id(left->finding->check)));
        put(o, "severity", json_string(finding_severity_name(left->finding->severity)));
        put(o, "where", json_of(left->finding->where));
        put(o, "evidence", json_of(left->finding->what));
        put(o, "why", json_of(left->why));
        (void)json_array_append_new(array, o);
    }
    return array;
}

static json_t *notes_json(const struct harden_run *run)
{
    json_t *array = json_array();

    for (size_t i = 0; i < run->plan.n_notes; i++)
        (void)json_array_append_new(array, json_of(run->plan.notes[i]));
    return array;
}

static json_t *client_json(const struct harden_client *c)
{
    const struct known_client *k = c->played->client;
    json_t *o = json_object();

    put(o, "outcome", json_string(outcome_of(c)));
    put(o, "blocks", json_boolean(c->blocks));
    put(o, "user", json_of(k->user));
    put(o, "application", json_of(k->application));
    put(o, "address", k->address.n > 0 ? json_of(k->address) : json_null());
    put(o, "replication", json_boolean(k->replication));
    put(o, "tls", json_boolean(k->tls));
    put(o, "source", json_of(k->source));
    put(o, "why", json_of(c->played->why));
    put(o, "change", json_of(c->played->change));
    return o;
}

static json_t *clients_json(const struct harden_run *run)
{
    json_t *array;

    if (!run->rehearsed)
        return json_null();
    array = json_array();
    for (size_t i = 0; i < run->clients.n; i++)
        (void)json_array_append_new(array, client_json(&run->clients.items[i]));
    return array;
}

static json_t *needs_json(const struct harden_run *run)
{
    const struct driver_facts facts = facts_of(run);
    json_t *o = json_object();

    for (enum driver d = DRIVER_LIBPQ; d <= DRIVER_LAST_SHOWN && run->plan.needs_pair; d++) {
        AUTO(buf) struct buf text = BUF_INIT(TEXT_LIMIT);
        driver_connect(&text, d, &facts);
        put(o, driver_name(d), json_of(buf_str(&text)));
    }
    return o;
}

static json_t *standbys_json(const struct harden_run *run)
{
    json_t *array = json_array();

    for (size_t i = 0; i < run->seen.known.n; i++) {
        AUTO(buf) struct buf text = BUF_INIT(TEXT_LIMIT);
        const struct known_client *c = &run->seen.known.items[i];
        if (!c->replication || c->address.n == 0)
            continue;
        put_standby(&text, run, c);
        (void)json_array_append_new(array, json_pack("{s:o, s:o}", "address", json_of(c->address), "setting",
                                                     json_of(buf_str(&text))));
    }
    return array;
}

json_t *harden_report_json(const struct harden_run *run)
{
    json_t *o = json_object();

    put(o, "target", json_string(run->shown));
    put(o, "changes", changes_json(run));
    put(o, "left", left_json(run));
    put(o, "notes", notes_json(run));
    put(o, "ca_file", run->plan.needs_pair ? json_string(run->target.root) : json_null());
    put(o, "state", json_string(run->target.state));
    put(o, "clients", clients_json(run));
    put(o, "needs", needs_json(run));
    put(o, "standbys", standbys_json(run));
    return o;
}

json_t *harden_report_proofs(const struct harden_run *run)
{
    json_t *array = json_array();

    for (size_t i = 0; i < run->job.proofs.n; i++) {
        const struct harden_proof *proof = &run->job.proofs.items[i];
        json_t *o = json_object();
        put(o, "endpoint", json_of(proof->endpoint));
        put(o, "plaintext_refused", json_boolean(proof->plain_refused));
        put(o, "refusal", json_of(proof->refusal));
        put(o, "verify_full", json_boolean(proof->verified));
        (void)json_array_append_new(array, o);
    }
    return array;
}
