#include "cmd/audit_report.h"

#include "base/buf.h"
#include "base/check.h"
#include "cmd/audit_rehearse.h"
#include "cmd/certtext.h"
#include "cmd/cmd.h"
#include "cmd/fold.h"
#include "os/files.h"

enum { SOURCES_MAX = 4096 };

/* ---- for people ---- */

/* The numbers of others, and what is wrong with their advice. */
static void say_sources(const struct cmd *cmd, const struct audit_report *r, enum check check)
{
    AUTO(buf) struct buf out = BUF_INIT(SOURCES_MAX);
    struct check_source sources[CHECK_SOURCES_MAX];
    size_t n = check_sources(check, r->profile, r->subject->version, sources);

    for (size_t i = 0; i < n; i++)
        buf_printf(&out, "%s%s%s%s%s%s", i ? "; " : "", sources[i].source, *sources[i].edition ? " " : "",
                   sources[i].edition, *sources[i].number ? ": " : "", sources[i].number);
    if (n > 0)
        fold_print(cmd->out, "see", buf_str(&out));
    for (size_t i = 0; i < n; i++) {
        if (!sources[i].note)
            continue;
        buf_reset(&out);
        buf_printf(&out, "%s: %s", sources[i].source, sources[i].note);
        fold_print(cmd->out, "but", buf_str(&out));
    }
}

static void say_finding(const struct cmd *cmd, const struct audit_report *r, const struct finding *f,
                        bool known)
{
    bool bad = f->severity <= FINDING_MEDIUM && !known;

    (void)fprintf(cmd->out, "\n%s%-8s%s %s: %s%s\n", bad ? cmd_tint(cmd, TINT_BAD) : "",
                  finding_severity_name(f->severity), bad ? cmd_tint_end(cmd) : "", check_id(f->check),
                  check_title(f->check), known ? " (known)" : "");
    fold_print(cmd->out, "at", f->where);
    fold_print(cmd->out, "is", f->what);
    fold_print(cmd->out, "why", str_c(check_why(f->check)));
    fold_print(cmd->out, "fix", f->fix);
    say_sources(cmd, r, f->check);
}

static void say_item(const struct cmd *cmd, unsigned number, const struct checklist_item *item)
{
    static const char *const words[] = {
        [CHECKLIST_FAILED] = "no", [CHECKLIST_PASSED] = "yes", [CHECKLIST_UNKNOWN] = "?"
    };
    const char *tint = item->pass == CHECKLIST_PASSED   ? cmd_tint(cmd, TINT_GOOD)
                       : item->pass == CHECKLIST_FAILED ? cmd_tint(cmd, TINT_BAD)
                                                        : "";

    (void)fprintf(cmd->out, "  %s%-4s%s%u %s\n", tint, words[item->pass], *tint ? cmd_tint_end(cmd) : "",
                  number, checklist_text(number));
    fold_print(cmd->out, "", item->why);
}

static void say_summary(const struct cmd *cmd, const struct audit_result *result)
{
    const struct audit_report *r = &result->report;
    const char *separator = ": ";
    bool bad = r->counts[FINDING_HIGH] + r->counts[FINDING_MEDIUM] > 0;

    (void)fprintf(cmd->out, "%s: %s%zu finding%s%s", result->target,
                  cmd_tint(cmd, bad ? TINT_BAD : TINT_GOOD), r->findings.n, r->findings.n == 1 ? "" : "s",
                  cmd_tint_end(cmd));
    for (unsigned s = 0; s < FINDING_SEVERITIES; s++) {
        if (r->counts[s] == 0)
            continue;
        (void)fprintf(cmd->out, "%s%zu %s", separator, r->counts[s],
                      finding_severity_name((enum finding_severity)s));
        separator = ", ";
    }
    (void)fputc('\n', cmd->out);
}

/* Where pgseal harden can help. */
static void say_next(const struct cmd *cmd, const struct audit_result *result)
{
    const struct audit_report *r = &result->report;
    size_t n = r->counts[FINDING_HIGH] + r->counts[FINDING_MEDIUM] + r->counts[FINDING_LOW];

    if (n > 0 && r->subject->kind != SUBJECT_CLIENT && os_is_directory(result->target))
        (void)fprintf(cmd->out, "\nTo see the changes that clear what can be cleared: pgseal harden %s\n",
                      result->target);
}

void audit_report_print(const struct cmd *cmd, const struct audit_result *result)
{
    const struct audit_report *r = &result->report;

    if (result->error.code != OK)
        return;
    say_summary(cmd, result);
    for (size_t i = 0; i < r->findings.n; i++)
        say_finding(cmd, r, &r->findings.items[i], result->known[i]);
    (void)fputs("\nchecklist\n", cmd->out);
    for (unsigned item = 1; item <= CHECKLIST_ITEMS; item++)
        say_item(cmd, item, &r->checklist[item - 1]);
    if (r->subject->n_unseen > 0)
        (void)fputs("\nnot examined\n", cmd->out);
    for (size_t i = 0; i < r->subject->n_unseen; i++) {
        const struct subject_unseen *u = &r->subject->unseen[i];
        (void)fprintf(cmd->out, "  %.*s\n", STR_ARG(u->what));
        fold_print(cmd->out, "", u->why);
    }
    say_next(cmd, result);
}

/* ---- JSON ---- */

static void audit_report_put(json_t *object, const char *name, json_t *value)
{
    (void)json_object_set_new(object, name, value);
}

static json_t *audit_report_text_or_null(struct str text)
{
    return text.n > 0 ? json_of(text) : json_null();
}

static json_t *edit_json(const struct finding_edit *edit)
{
    if (edit->file.n == 0)
        return json_null();
    json_t *o = json_object();
    audit_report_put(o, "file", json_of(edit->file));
    audit_report_put(o, "line", edit->line > 0 ? json_integer(edit->line) : json_null());
    audit_report_put(o, "before", edit->line > 0 ? json_of(edit->before) : json_null());
    audit_report_put(o, "after", json_of(edit->after));
    return o;
}

static json_t *sources_json(const struct audit_report *r, enum check check)
{
    struct check_source sources[CHECK_SOURCES_MAX];
    size_t n = check_sources(check, r->profile, r->subject->version, sources);
    json_t *array = json_array();

    for (size_t i = 0; i < n; i++) {
        json_t *o = json_object();
        audit_report_put(o, "source", json_string(sources[i].source));
        audit_report_put(o, "edition", audit_report_text_or_null(str_c(sources[i].edition)));
        audit_report_put(o, "number", audit_report_text_or_null(str_c(sources[i].number)));
        audit_report_put(o, "note", sources[i].note ? json_string(sources[i].note) : json_null());
        (void)json_array_append_new(array, o);
    }
    return array;
}

static json_t *finding_json(const struct audit_result *result, size_t i)
{
    const struct finding *f = &result->report.findings.items[i];
    json_t *o = json_object();

    audit_report_put(o, "id", json_string(check_id(f->check)));
    audit_report_put(o, "severity", json_string(finding_severity_name(f->severity)));
    audit_report_put(o, "title", json_string(check_title(f->check)));
    audit_report_put(o, "target", json_of(str_c(result->target)));
    audit_report_put(o, "where", json_of(f->where));
    audit_report_put(o, "evidence", json_of(f->what));
    audit_report_put(o, "witness", audit_report_text_or_null(f->witness));
    audit_report_put(o, "why", json_string(check_why(f->check)));
    audit_report_put(o, "fix", json_of(f->fix));
    audit_report_put(o, "edit", edit_json(&f->edit));
    audit_report_put(o, "sources", sources_json(&result->report, f->check));
    audit_report_put(o, "item", check_item(f->check) ? json_integer(check_item(f->check)) : json_null());
    audit_report_put(o, "about", json_of(f->about));
    audit_report_put(o, "known", json_boolean(result->known[i]));
    return o;
}

static json_t *pass_json(enum checklist_pass pass)
{
    return pass == CHECKLIST_UNKNOWN ? json_null() : json_boolean(pass == CHECKLIST_PASSED);
}

static json_t *item_json(unsigned number, const struct checklist_item *item)
{
    json_t *o = json_object();

    audit_report_put(o, "item", json_integer(number));
    audit_report_put(o, "text", json_string(checklist_text(number)));
    audit_report_put(o, "pass", pass_json(item->pass));
    audit_report_put(o, "why", json_of(item->why));
    return o;
}

static json_t *unseen_json(const struct audit_subject *subject)
{
    json_t *array = json_array();

    for (size_t i = 0; subject && i < subject->n_unseen; i++) {
        json_t *o = json_object();
        audit_report_put(o, "what", json_of(subject->unseen[i].what));
        audit_report_put(o, "why", json_of(subject->unseen[i].why));
        (void)json_array_append_new(array, o);
    }
    return array;
}

static json_t *target_json(const struct audit_result *result)
{
    static const char *const kinds[] = {
        [SUBJECT_GATE] = "gate", [SUBJECT_SERVER] = "server", [SUBJECT_CLIENT] = "client"
    };
    const struct audit_report *r = &result->report;
    bool failed = result->error.code != OK;
    json_t *o = json_object(), *checklist = json_array();

    audit_report_put(o, "target", json_of(str_c(result->target)));
    audit_report_put(o, "kind", failed ? json_null() : json_string(kinds[r->subject->kind]));
    audit_report_put(o, "version",
                     !failed && r->subject->version ? json_integer(r->subject->version) : json_null());
    audit_report_put(o, "error", failed ? json_string(err_text(&result->error)) : json_null());
    for (unsigned item = 1; !failed && item <= CHECKLIST_ITEMS; item++)
        (void)json_array_append_new(checklist, item_json(item, &r->checklist[item - 1]));
    audit_report_put(o, "checklist", checklist);
    audit_report_put(o, "unseen", unseen_json(r->subject));
    return o;
}

struct checklist_item audit_results_item(const struct audit_results *results, unsigned item)
{
    struct checklist_item worst = { CHECKLIST_PASSED, STR("") };

    for (size_t i = 0; i < results->n; i++) {
        const struct audit_result *r = &results->items[i];
        struct checklist_item one = r->error.code == OK
                                        ? r->report.checklist[item - 1]
                                        : (struct checklist_item){ CHECKLIST_UNKNOWN,
                                                                   str_c(err_text(&r->error)) };
        bool worse = one.pass == CHECKLIST_FAILED
                         ? worst.pass != CHECKLIST_FAILED
                         : one.pass == CHECKLIST_UNKNOWN && worst.pass == CHECKLIST_PASSED;
        if (i == 0 || worse)
            worst = one;
    }
    return worst;
}

static json_t *summary_json(const struct audit_results *results)
{
    size_t counts[FINDING_SEVERITIES] = { 0 }, known = 0;
    json_t *o = json_object();

    for (size_t i = 0; i < results->n; i++) {
        const struct audit_report *r = &results->items[i].report;
        for (size_t s = 0; s < FINDING_SEVERITIES; s++)
            counts[s] += r->counts[s];
        for (size_t f = 0; f < r->findings.n; f++)
            known += results->items[i].known[f];
    }
    for (unsigned s = 0; s < FINDING_SEVERITIES; s++)
        audit_report_put(o, finding_severity_name((enum finding_severity)s),
                         json_integer((json_int_t)counts[s]));
    audit_report_put(o, "known", json_integer((json_int_t)known));
    return o;
}

json_t *audit_report_json(const struct audit_results *results)
{
    json_t *o = json_object(), *findings = json_array(), *checklist = json_array(), *targets = json_array();

    for (unsigned s = 0; s < FINDING_SEVERITIES; s++) /* the worst first, of whatever target */
        for (size_t i = 0; i < results->n; i++)
            for (size_t f = 0; f < results->items[i].report.findings.n; f++)
                if (results->items[i].report.findings.items[f].severity == (enum finding_severity)s)
                    (void)json_array_append_new(findings, finding_json(&results->items[i], f));
    for (unsigned item = 1; item <= CHECKLIST_ITEMS; item++) {
        struct checklist_item all = audit_results_item(results, item);
        (void)json_array_append_new(checklist, item_json(item, &all));
    }
    for (size_t i = 0; i < results->n; i++)
        (void)json_array_append_new(targets, target_json(&results->items[i]));
    audit_report_put(o, "findings", findings);
    audit_report_put(o, "checklist", checklist);
    audit_report_put(o, "summary", summary_json(results));
    audit_report_put(o, "targets", targets);
    audit_report_put(o, "profile", json_string(profile_name(results->profile)));
    audit_report_put(o, "rehearsal", audit_rehearsal_json(results->rehearsal));
    return o;
}
