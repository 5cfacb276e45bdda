/*
 * One run; a rule per check that found something, a result per finding, taxa for the numbers of benchmarks. A place that is a file is a physical
 * location, relative where it lies below the working directory; any other, such as a setting or a row, a
 * logical one. [src: SARIF 2.1.0, OASIS Standard 27 March 2020]
 */
#include "cmd/audit_sarif.h"

#include "base/buf.h"
#include "base/check.h"
#include "cmd/audit_report.h"
#include "cmd/certtext.h"
#include "cmd/sarif_taxa.h"
#include "os/files.h"

#include <unistd.h>

#define SCHEMA "https://json.schemastore.org/sarif-2.1.0.json"
enum { URI_MAX = 64 * 1024, NUMBER_MAX = 24 };

static void audit_sarif_put(json_t *object, const char *name, json_t *value)
{
    (void)json_object_set_new(object, name, value);
}

static json_t *message(struct str text)
{
    json_t *o = json_object();

    audit_sarif_put(o, "text", json_of(text));
    return o;
}

/* ---- severities ---- */

static const char *level(enum finding_severity severity)
{
    switch (severity) {
    case FINDING_HIGH:
        return "error";
    case FINDING_MEDIUM:
        return "warning";
    case FINDING_LOW:
    case FINDING_INFO:
    case FINDING_SEVERITIES:
        break;
    }
    return "note";
}

/* As code-scanning services sort them: high is above 7, medium above 4. */
static const char *security_severity(enum finding_severity severity)
{
    static const char *const numbers[] = {
        [FINDING_HIGH] = "8.0", [FINDING_MEDIUM] = "5.0", [FINDING_LOW] = "3.0", [FINDING_INFO] = "1.0"
    };

    return numbers[severity];
}

/* ---- places ---- */

/* FILE and the line, 0: none. */
static struct str split_place(struct str where, uint32_t *out_line)
{
    size_t at = where.n;

    *out_line = 0;
    while (at > 0 && where.p[at - 1] != ':')
        at--;
    if (at == 0 || !str_to_u32(str_from(where, at), 1, INT32_MAX, out_line))
        return where;
    return str_first(where, at - 1);
}

/* [src: RFC 3986, sections 2.3 and 3.3] */
static void put_path(struct buf *out, struct str path)
{
    for (size_t i = 0; i < path.n; i++) {
        unsigned char c = (unsigned char)path.p[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     (c != 0 && strchr("-._~/", c));
        if (plain)
            buf_append_byte(out, c);
        else
            buf_printf(out, "%%%02X", c);
    }
}

static json_t *artifact(struct str path)
{
    AUTO(buf) struct buf uri = BUF_INIT(URI_MAX);
    json_t *o = json_object();
    char here[OS_PATH_MAX];
    struct str root = getcwd(here, sizeof here) ? str_c(here) : STR("");

    if (root.n > 1 && str_starts(path, root) && path.n > root.n && path.p[root.n] == '/')
        path = str_from(path, root.n + 1);
    if (str_starts(path, STR("/")))
        buf_append_c(&uri, "file://");
    put_path(&uri, path);
    audit_sarif_put(o, "uri", json_string(buf_c(&uri)));
    return o;
}

static json_t *region(uint32_t line)
{
    json_t *o = json_object();

    audit_sarif_put(o, "startLine", json_integer(line));
    return o;
}

static json_t *location(struct str where)
{
    char path[OS_PATH_MAX];
    uint32_t line;
    struct str file = split_place(where, &line);
    json_t *o = json_object(), *inner = json_object();

    if (str_to_c(file, path, sizeof path) && os_exists(path)) {
        audit_sarif_put(inner, "artifactLocation", artifact(file));
        if (line > 0)
            audit_sarif_put(inner, "region", region(line));
        audit_sarif_put(o, "physicalLocation", inner);
        return o;
    }
    audit_sarif_put(inner, "fullyQualifiedName", json_of(where));
    json_t *list = json_array();
    (void)json_array_append_new(list, inner);
    audit_sarif_put(o, "logicalLocations", list);
    return o;
}

static json_t *one(json_t *item)
{
    json_t *list = json_array();

    (void)json_array_append_new(list, item);
    return list;
}

/* A line replaced: what it says now is deleted, the new text is in its place. */
static json_t *fix(const struct finding *f)
{
    json_t *o = json_object(), *change = json_object(), *replacement = json_object();
    json_t *deleted = region(f->edit.line), *inserted = json_object();

    audit_sarif_put(deleted, "startColumn", json_integer(1));
    audit_sarif_put(deleted, "endLine", json_integer(f->edit.line));
    audit_sarif_put(inserted, "text", json_of(f->edit.after));
    audit_sarif_put(replacement, "deletedRegion", deleted);
    audit_sarif_put(replacement, "insertedContent", inserted);
    audit_sarif_put(change, "artifactLocation", artifact(f->edit.file));
    audit_sarif_put(change, "replacements", one(replacement));
    audit_sarif_put(o, "description", message(f->fix));
    audit_sarif_put(o, "artifactChanges", one(change));
    return o;
}

/* ---- rules and results ---- */

static json_t *rule(enum check check)
{
    json_t *o = json_object(), *config = json_object(), *more = json_object(), *tags = json_array();

    audit_sarif_put(o, "id", json_string(check_id(check)));
    audit_sarif_put(o, "shortDescription", message(str_c(check_title(check))));
    audit_sarif_put(o, "fullDescription", message(str_c(check_why(check))));
    audit_sarif_put(o, "help", message(str_c(check_fix(check))));
    audit_sarif_put(config, "level", json_string(level(check_severity(check))));
    audit_sarif_put(o, "defaultConfiguration", config);
    (void)json_array_append_new(tags, json_string("security"));
    audit_sarif_put(more, "tags", tags);
    audit_sarif_put(more, "security-severity", json_string(security_severity(check_severity(check))));
    audit_sarif_put(o, "properties", more);
    audit_sarif_put(o, "relationships", json_array());
    return o;
}

/* Where a source's own advice breaks or weakens. */
static json_t *objections(const struct audit_report *report, enum check check)
{
    struct check_source sources[CHECK_SOURCES_MAX];
    size_t n = check_sources(check, report->profile, report->subject->version, sources);
    json_t *list = json_array();

    for (size_t i = 0; i < n; i++) {
        AUTO(buf) struct buf text = BUF_INIT(URI_MAX);
        if (!sources[i].note)
            continue;
        buf_printf(&text, "%s: %s", sources[i].source, sources[i].note);
        (void)json_array_append_new(list, json_of(buf_str(&text)));
    }
    return list;
}

/* `taxa` is taken. */
static json_t *result_json(const struct audit_result *result, size_t i, size_t rule_index, json_t *taxa)
{
    const struct finding *f = &result->report.findings.items[i];
    json_t *o = json_object(), *prints = json_object(), *more = json_object();

    audit_sarif_put(o, "ruleId", json_string(check_id(f->check)));
    audit_sarif_put(o, "ruleIndex", json_integer((json_int_t)rule_index));
    audit_sarif_put(o, "level", json_string(level(f->severity)));
    audit_sarif_put(o, "message", message(f->what));
    audit_sarif_put(o, "locations", one(location(f->where)));
    audit_sarif_put(prints, "about/v1", json_of(f->about));
    audit_sarif_put(o, "partialFingerprints", prints);
    if (f->edit.file.n > 0 && f->edit.line > 0)
        audit_sarif_put(o, "fixes", one(fix(f)));
    if (result->known[i])
        audit_sarif_put(o, "baselineState", json_string("unchanged"));
    audit_sarif_put(more, "severity", json_string(finding_severity_name(f->severity)));
    audit_sarif_put(more, "target", json_of(str_c(result->target)));
    if (f->witness.n > 0)
        audit_sarif_put(more, "witness", json_of(f->witness));
    audit_sarif_put(more, "objections", objections(&result->report, f->check));
    audit_sarif_put(o, "taxa", taxa);
    audit_sarif_put(o, "properties", more);
    return o;
}

/* What kept it from being looked at, and what was not seen. */
static json_t *notification(const char *level_name, struct str what, struct str why)
{
    AUTO(buf) struct buf text = BUF_INIT(URI_MAX);
    json_t *o = json_object();

    buf_printf(&text, "%.*s: %.*s", STR_ARG(what), STR_ARG(why));
    audit_sarif_put(o, "level", json_string(level_name));
    audit_sarif_put(o, "message", message(buf_str(&text)));
    return o;
}

static json_t *invocation(const struct audit_results *results)
{
    json_t *o = json_object(), *notes = json_array();
    bool fine = true;

    for (size_t i = 0; i < results->n; i++) {
        const struct audit_result *r = &results->items[i];
        const struct audit_subject *subject = r->report.subject;
        fine = fine && r->error.code == OK;
        if (r->error.code != OK)
            (void)json_array_append_new(notes,
                                        notification("error", str_c(r->target), str_c(err_text(&r->error))));
        for (size_t u = 0; r->error.code == OK && u < subject->n_unseen; u++)
            (void)json_array_append_new(
                notes, notification("note", subject->unseen[u].what, subject->unseen[u].why));
    }
    audit_sarif_put(o, "executionSuccessful", json_boolean(fine));
    audit_sarif_put(o, "toolExecutionNotifications", notes);
    return o;
}

static json_t *driver(json_t *rules, json_t *taxonomies)
{
    json_t *o = json_object();

    audit_sarif_put(o, "name", json_string("pgseal"));
    audit_sarif_put(o, "semanticVersion", json_string(PGSEAL_VERSION));
    audit_sarif_put(o, "rules", rules);
    audit_sarif_put(o, "supportedTaxonomies", sarif_taxa_supported(taxonomies));
    return o;
}

json_t *audit_sarif(const struct audit_results *results)
{
    size_t index[CHECK_COUNT] = { 0 }; /* of the rule, from 1 */
    json_t *log = json_object(), *run = json_object(), *tool = json_object(), *list = json_array();
    json_t *rules = json_array(), *taxonomies = json_array();

    for (size_t i = 0; i < results->n; i++) {
        for (size_t f = 0; f < results->items[i].report.findings.n; f++) {
            enum check check = results->items[i].report.findings.items[f].check;
            if (index[check] == 0) {
                (void)json_array_append_new(rules, rule(check));
                index[check] = json_array_size(rules);
            }
            json_t *taxa = sarif_taxa(taxonomies, &results->items[i].report, check);
            json_t *of_rule = json_array_get(rules, index[check] - 1);
            sarif_taxa_relate(json_object_get(of_rule, "relationships"), taxa);
            (void)json_array_append_new(list, result_json(&results->items[i], f, index[check] - 1, taxa));
        }
    }
    audit_sarif_put(tool, "driver", driver(rules, taxonomies));
    audit_sarif_put(run, "tool", tool);
    audit_sarif_put(run, "invocations", one(invocation(results)));
    audit_sarif_put(run, "taxonomies", taxonomies);
    audit_sarif_put(run, "results", list);
    audit_sarif_put(run, "columnKind", json_string("unicodeCodePoints"));
    audit_sarif_put(log, "$schema", json_string(SCHEMA));
    audit_sarif_put(log, "version", json_string("2.1.0"));
    audit_sarif_put(log, "runs", one(run));
    return log;
}
