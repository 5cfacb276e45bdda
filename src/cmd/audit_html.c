#include "cmd/audit_html.h"

#include "audit/map.h"
#include "cmd/audit_draw.h"
#include "cmd/audit_rehearse.h"
#include "cmd/audit_report.h"
#include "cmd/audit_style.h"
#include "cmd/html.h"
#include "pki/expiry.h"

struct page {
    const struct audit_results *results;
    int64_t now_unix_s;
    struct arena *arena;
    struct buf *out;
    bool nomem;
};

static void audit_html_say(const struct page *p, const char *html)
{
    buf_append_c(p->out, html);
}

/* <tag>text</tag> */
static void element(const struct page *p, const char *tag, struct str text)
{
    buf_printf(p->out, "<%s>", tag);
    html_text(p->out, text);
    buf_printf(p->out, "</%s>", tag);
}

static void tag(const struct page *p, const char *class, const char *word)
{
    buf_printf(p->out, "<span class=\"tag %s\">%s</span>", class, word);
}

/* ---- the verdict ---- */

static size_t audit_html_count(const struct audit_results *results, enum finding_severity severity)
{
    size_t n = 0;

    for (size_t i = 0; i < results->n; i++)
        for (size_t f = 0; f < results->items[i].report.findings.n; f++)
            n += results->items[i].report.findings.items[f].severity == severity &&
                 !results->items[i].known[f];
    return n;
}

static bool any_unread(const struct audit_results *results)
{
    for (size_t i = 0; i < results->n; i++)
        if (results->items[i].error.code != OK)
            return true;
    return false;
}

static const char *verdict(const struct audit_results *results)
{
    bool unknown = false;

    if (audit_html_count(results, FINDING_HIGH) > 0)
        return "Not safe: something must be fixed now";
    if (any_unread(results))
        return "No verdict: a target could not be read";
    if (audit_html_count(results, FINDING_MEDIUM) > 0)
        return "Weaker than necessary";
    for (unsigned item = 1; item <= CHECKLIST_ITEMS; item++)
        unknown = unknown || audit_results_item(results, item).pass != CHECKLIST_PASSED;
    return unknown ? "Nothing bad was found, but not everything could be examined" : "All is well";
}

static void put_head(const struct page *p)
{
    char date[EXPIRY_DATE_SIZE];

    audit_html_say(
        p,
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; "
        "base-uri 'none'; form-action 'none'\">"
        "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">"
        "<meta name=\"color-scheme\" content=\"light dark\"><meta name=\"referrer\" content=\"no-referrer\">"
        "<title>pgseal audit</title><style>\n");
    audit_html_say(p, audit_style);
    audit_html_say(
        p,
        "</style></head><body><a class=\"skip\" href=\"#main\">Skip to the report</a><header><p class=\"soft\">"
        "pgseal audit, ");
    html_text(p->out, str_c(expiry_date(p->now_unix_s, date)));
    audit_html_say(p, "</p><h1>");
    audit_html_say(p, verdict(p->results));
    audit_html_say(p, "</h1><p class=\"counts\">");
    for (unsigned s = 0; s < FINDING_SEVERITIES; s++) {
        const char *name = finding_severity_name((enum finding_severity)s);
        buf_printf(p->out, "<span class=\"tag %s\">%zu %s</span>", name,
                   audit_html_count(p->results, (enum finding_severity)s), name);
    }
    audit_html_say(p, "</p></header>\n");
}

/* ---- one target ---- */

static void put_checklist(const struct page *p, const struct audit_report *r)
{
    static const char *const classes[] = {
        [CHECKLIST_FAILED] = "no", [CHECKLIST_PASSED] = "yes", [CHECKLIST_UNKNOWN] = "unknown"
    };
    static const char *const words[] = {
        [CHECKLIST_FAILED] = "✗ no", [CHECKLIST_PASSED] = "✓ yes", [CHECKLIST_UNKNOWN] = "? unseen"
    };

    audit_html_say(p, "<section><h2>Checklist</h2><ol class=\"list\">");
    for (unsigned i = 0; i < CHECKLIST_ITEMS; i++) {
        audit_html_say(p, "<li>");
        tag(p, classes[r->checklist[i].pass], words[r->checklist[i].pass]);
        element(p, "h3", str_c(checklist_text(i + 1)));
        element(p, "p", r->checklist[i].why);
        audit_html_say(p, "</li>");
    }
    audit_html_say(p, "</ol></section>\n");
}

static void put_edit(const struct page *p, const struct finding_edit *edit)
{
    if (edit->file.n == 0)
        return;
    audit_html_say(p, "<dt>edit</dt><dd>");
    element(p, "code", edit->file);
    audit_html_say(p, "<pre>");
    if (edit->line > 0) {
        audit_html_say(p, "<span class=\"del\">- ");
        html_text(p->out, edit->before);
        audit_html_say(p, "</span>\n");
    }
    audit_html_say(p, "<span class=\"ins\">+ ");
    html_text(p->out, edit->after);
    audit_html_say(p, "</span></pre></dd>");
}

static void put_finding(const struct page *p, const struct finding *f, bool known)
{
    const char *severity = finding_severity_name(f->severity);

    buf_printf(p->out, "<details%s><summary>", f->severity == FINDING_HIGH && !known ? " open" : "");
    tag(p, severity, severity);
    audit_html_say(p, "<h3>");
    html_text(p->out, str_c(check_title(f->check)));
    audit_html_say(p, known ? " <span class=\"soft\">(known)</span></h3>" : "</h3>");
    audit_html_say(p, "<span class=\"where mono\">");
    html_text(p->out, f->where);
    audit_html_say(p, "</span></summary><dl><dt>is</dt>");
    element(p, "dd", f->what);
    if (f->witness.n > 0) {
        audit_html_say(p, "<dt>witness</dt><dd><pre>pgseal explain … ");
        html_text(p->out, f->witness);
        audit_html_say(p, "</pre></dd>");
    }
    audit_html_say(p, "<dt>why</dt>");
    element(p, "dd", str_c(check_why(f->check)));
    audit_html_say(p, "<dt>fix</dt>");
    element(p, "dd", f->fix);
    put_edit(p, &f->edit);
    audit_html_say(p, "<dt>check</dt><dd><code>");
    audit_html_say(p, check_id(f->check));
    audit_html_say(p, "</code></dd></dl></details>");
}

static void put_findings(const struct page *p, const struct audit_result *result)
{
    const struct findings *findings = &result->report.findings;

    audit_html_say(p, "<section><h2>Findings</h2>");
    for (size_t i = 0; i < findings->n; i++)
        put_finding(p, &findings->items[i], result->known[i]);
    if (findings->n == 0)
        audit_html_say(p, "<p class=\"soft\">None.</p>");
    audit_html_say(p, "</section>\n");
}

static void put_map(struct page *p, const struct audit_subject *subject)
{
    struct rule_map map;

    if (rule_map_draw(subject, p->arena, &map) != OK) {
        p->nomem = true;
        return;
    }
    if (map.n_rules == 0)
        return;
    audit_html_say(p,
                   "<section><h2>Map of rules</h2><figure><div class=\"wide\" tabindex=\"0\" role=\"region\" "
                   "aria-label=\"Map of rules, can be scrolled\">");
    p->nomem = p->nomem || !audit_draw_map(&map, p->arena, p->out);
    audit_html_say(
        p,
        "</div><figcaption><p class=\"legend\"><span><b class=\"tag yes\">✓</b> strong authentication</span>"
        "<span><b class=\"tag medium\">~</b> weak authentication</span><span><b class=\"tag high\">!</b> no "
        "TLS, or no authentication</span><span><b class=\"tag info\">R</b> rejected</span><span>dashed: "
        "earlier rules match all of it</span></p>");
    if (map.n_hidden > 0)
        buf_printf(p->out, "<p class=\"soft\">%zu more rules are not drawn.</p>", map.n_hidden);
    audit_html_say(
        p, "<details><summary class=\"plain\"><h3>As a list</h3></summary><ul class=\"list\" id=\"rules\">");
    p->nomem = p->nomem || !audit_list_map(&map, p->arena, p->out);
    audit_html_say(p, "</ul></details></figcaption></figure></section>\n");
}

static void put_certificates(const struct page *p, const struct audit_report *r)
{
    char from[EXPIRY_DATE_SIZE], to[EXPIRY_DATE_SIZE];

    if (r->n_certificates == 0)
        return;
    audit_html_say(p,
                   "<section><h2>Certificates</h2><figure><div class=\"wide\" tabindex=\"0\" role=\"region\" "
                   "aria-label=\"Timeline of certificates, can be scrolled\">");
    audit_draw_certificates(r, p->out);
    audit_html_say(
        p,
        "</div><figcaption><details><summary class=\"plain\"><h3>As a list</h3></summary><ul class=\"list\">");
    for (size_t i = 0; i < r->n_certificates; i++) {
        const struct audit_certificate *c = &r->certificates[i];
        audit_html_say(p, "<li><span></span>");
        element(p, "h3", c->subject);
        audit_html_say(p, "<p>");
        html_text(p->out, c->file);
        buf_printf(p->out, ": %s to %s</p></li>", expiry_date(c->not_before_unix_s, from),
                   expiry_date(c->not_after_unix_s, to));
    }
    audit_html_say(p, "</ul></details></figcaption></figure></section>\n");
}

static void put_unseen(const struct page *p, const struct audit_subject *subject)
{
    if (subject->n_unseen == 0)
        return;
    audit_html_say(p, "<section><h2>Not examined</h2><ul class=\"list\">");
    for (size_t i = 0; i < subject->n_unseen; i++) {
        audit_html_say(p, "<li>");
        tag(p, "unknown", "? unseen");
        element(p, "h3", subject->unseen[i].what);
        element(p, "p", subject->unseen[i].why);
        audit_html_say(p, "</li>");
    }
    audit_html_say(p, "</ul></section>\n");
}

static void put_target(struct page *p, const struct audit_result *result, size_t number)
{
    buf_printf(p->out, "<h2 class=\"target\" id=\"target-%zu\">", number);
    html_text(p->out, str_c(result->target));
    audit_html_say(p, "</h2>");
    if (result->error.code != OK) {
        audit_html_say(p, "<section><h2>It could not be read</h2>");
        element(p, "p", str_c(err_text(&result->error)));
        audit_html_say(p, "</section>\n");
        return;
    }
    put_checklist(p, &result->report);
    put_findings(p, result);
    put_map(p, result->report.subject);
    put_certificates(p, &result->report);
    put_unseen(p, result->report.subject);
}

enum code audit_html(const struct audit_results *results, int64_t now_unix_s, struct arena *arena,
                     struct buf *out)
{
    struct page p = { .results = results, .now_unix_s = now_unix_s, .arena = arena, .out = out };

    put_head(&p);
    audit_html_say(&p, "<main id=\"main\">");
    if (results->n > 1) {
        audit_html_say(&p, "<nav aria-label=\"Targets\">");
        for (size_t i = 0; i < results->n; i++) {
            buf_printf(out, "<a href=\"#target-%zu\">", i + 1);
            html_text(out, str_c(results->items[i].target));
            audit_html_say(&p, "</a>");
        }
        audit_html_say(&p, "</nav>");
    }
    for (size_t i = 0; i < results->n; i++)
        put_target(&p, &results->items[i], i + 1);
    if (results->rehearsal)
        audit_rehearsal_html(results->rehearsal, out);
    audit_html_say(
        &p, "</main><footer class=\"soft\"><p>pgseal " PGSEAL_VERSION
            ". Names of files, rules and certificates are shown as plain text.</p></footer></body></html>\n");
    return p.nomem || !buf_ok(out) ? E_NOMEM : OK;
}
