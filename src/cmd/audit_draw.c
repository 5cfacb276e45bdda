#include "cmd/audit_draw.h"

#include "audit/audit.h"
#include "audit/map.h"
#include "base/arena.h"
#include "base/check.h"
#include "cmd/html.h"
#include "pki/expiry.h"
#include "policy/method.h"
#include "policy/policy.h"
#include "policy/words.h"

#include <inttypes.h>

enum {
    RULE_WIDTH = 300, /* of the texts in front */
    RULE_CHARACTERS = 40,
    CELL_WIDTH = 24,
    CELL_HEIGHT = 20,
    HEAD_HEIGHT = 152,
    LINE_WIDTH = 620, /* of the time line */
    LINE_ROW = 46,
    LINE_HEAD = 30,
    DAY_S = 86400,
    DATE_LENGTH = 10
};

/* ---- the map ---- */

struct look {
    const char *class, *sign, *words;
};

static bool is_this_machine(const struct reach_part *part)
{
    return part->local || (part->family == AF_INET && part->addr[0] == 127);
}

/* What it means that the rule decides there. */
static struct look look_of(const struct hba_rule *rule, const struct reach_part *part)
{
    if (rule->method == HBA_METHOD_REJECT)
        return (struct look){ "c-reject", "R", "rejects" };
    if (rule->method == HBA_METHOD_TRUST && rule->clientcert != CLIENTCERT_VERIFY_FULL)
        return is_this_machine(part) ? (struct look){ "c-medium", "~", "admits without authentication" }
                                     : (struct look){ "c-high", "!", "admits without authentication" };
    if (!is_this_machine(part) && !part->tls)
        return (struct look){ "c-high", "!", "continues without TLS" };
    if (rule->method == HBA_METHOD_MD5 || hba_method_needs(rule->method) == HBA_NEEDS_CLEARTEXT)
        return (struct look){ "c-medium", "~", "accepts weak authentication" };
    return (struct look){ "c-ok", "✓", "demands strong authentication" };
}

static void draw_heads(const struct rule_map *map, struct buf *out)
{
    for (size_t c = 0; c < map->n_columns; c++) {
        const struct map_column *column = &map->columns[c];
        size_t x = RULE_WIDTH + c * CELL_WIDTH + CELL_WIDTH / 2 + 4;
        buf_printf(out, "<text class=\"%s\" transform=\"translate(%zu %d) rotate(-62)\">",
                   column->part.tls ? "soft" : "", x, HEAD_HEIGHT - 8);
        html_cut(out, column->label, 20);
        buf_printf(out, "%s</text>", column->part.local ? "" : column->part.tls ? ", TLS" : ", plain");
    }
}

static void draw_cell(const struct rule_map *map, size_t r, size_t c, struct buf *out)
{
    const struct map_column *column = &map->columns[c];
    enum map_cell cell = map->cells[r * map->n_columns + c];
    struct look look = cell == MAP_LOST ? (struct look){ "c-lost", "", "is matched by earlier rules" }
                                        : look_of(map->rules[r], &column->part);
    size_t x = RULE_WIDTH + c * CELL_WIDTH, y = HEAD_HEIGHT + r * CELL_HEIGHT;

    if (cell == MAP_NONE)
        return;
    buf_printf(out,
               "<rect class=\"%s\" x=\"%zu\" y=\"%zu\" width=\"%d\" height=\"%d\" rx=\"3\"><title>rule %u, ",
               look.class, x + 2, y + 2, CELL_WIDTH - 4, CELL_HEIGHT - 4, map->rules[r]->number);
    html_text(out, column->label);
    buf_printf(out, "%s: %s</title></rect>",
               column->part.local ? ""
               : column->part.tls ? " in TLS"
                                  : " without TLS",
               look.words);
    if (*look.sign)
        buf_printf(out, "<text class=\"%s\" x=\"%zu\" y=\"%zu\" text-anchor=\"middle\">%s</text>", look.class,
                   x + CELL_WIDTH / 2, y + 14, look.sign);
}

/* A rule's text with one blank where there are several. */
static bool rule_text(const struct hba_rule *rule, struct arena *arena, struct str *out)
{
    struct str shown;
    size_t n = 0;

    if (!hba_rule_redacted(arena, rule, &shown))
        return false;
    char *text = arena_alloc(arena, shown.n + 1);
    if (!text)
        return false;
    for (size_t i = 0; i < shown.n; i++) {
        bool blank = shown.p[i] == ' ' || shown.p[i] == '\t';
        if (!blank || (n > 0 && text[n - 1] != ' '))
            text[n++] = blank ? ' ' : shown.p[i];
    }
    *out = str_of(text, n);
    return true;
}

static bool draw_rule(const struct rule_map *map, size_t r, struct arena *arena, struct buf *out)
{
    size_t y = HEAD_HEIGHT + r * CELL_HEIGHT, width = RULE_WIDTH + map->n_columns * CELL_WIDTH;
    struct str shown;

    if (!rule_text(map->rules[r], arena, &shown))
        return false;
    buf_printf(out, "<path class=\"grid\" d=\"M0 %zuH%zu\"/>", y, width);
    buf_printf(out, "<text class=\"mono whole\" x=\"0\" y=\"%zu\"><tspan class=\"soft\">%u</tspan> ", y + 14,
               map->rules[r]->line);
    html_cut(out, shown, RULE_CHARACTERS);
    buf_append_c(out, "<title>");
    html_text(out, shown);
    buf_append_c(out, "</title></text>");
    buf_printf(out, "<text class=\"soft mono narrow\" x=\"%d\" y=\"%zu\" text-anchor=\"end\">%u</text>",
               RULE_WIDTH - 4, y + 14, map->rules[r]->line);
    for (size_t c = 0; c < map->n_columns; c++)
        draw_cell(map, r, c, out);
    return true;
}

bool audit_draw_map(const struct rule_map *map, struct arena *arena, struct buf *out)
{
    size_t width = RULE_WIDTH + map->n_columns * CELL_WIDTH + 60;
    size_t height = HEAD_HEIGHT + map->n_rules * CELL_HEIGHT + 4;

    buf_printf(out,
               "<svg class=\"map\" width=\"%zu\" height=\"%zu\" viewBox=\"0 0 %zu %zu\" role=\"img\" "
               "aria-label=\"Which part of the connections each rule decides\">",
               width, height, width, height);
    draw_heads(map, out);
    for (size_t r = 0; r < map->n_rules; r++)
        if (!draw_rule(map, r, arena, out))
            return false;
    buf_append_c(out, "</svg>");
    return true;
}

/* The columns of a row where it does the same as in column `c`; true: this is the first of them. */
static bool begins(const struct rule_map *map, size_t r, size_t c, struct look look)
{
    for (size_t i = 0; i < c; i++)
        if (map->cells[r * map->n_columns + i] == MAP_DECIDES &&
            look_of(map->rules[r], &map->columns[i].part).words == look.words)
            return false;
    return true;
}

static void list_places(const struct rule_map *map, size_t r, struct look look, struct buf *out)
{
    const char *before = ": ";

    for (size_t c = 0; c < map->n_columns; c++) {
        const struct map_column *column = &map->columns[c];
        if (map->cells[r * map->n_columns + c] != MAP_DECIDES ||
            look_of(map->rules[r], &column->part).words != look.words)
            continue;
        buf_append_c(out, before);
        html_text(out, column->label);
        buf_append_c(out, column->part.local ? "" : column->part.tls ? " in TLS" : " without TLS");
        before = ", ";
    }
}

bool audit_list_map(const struct rule_map *map, struct arena *arena, struct buf *out)
{
    struct str shown;

    for (size_t r = 0; r < map->n_rules; r++) {
        bool decides = false;
        if (!rule_text(map->rules[r], arena, &shown))
            return false;
        buf_printf(out, "<li><span class=\"soft\">line %u</span><h3 class=\"mono\">", map->rules[r]->line);
        html_text(out, shown);
        buf_append_c(out, "</h3>");
        for (size_t c = 0; c < map->n_columns; c++) {
            struct look look = look_of(map->rules[r], &map->columns[c].part);
            if (map->cells[r * map->n_columns + c] != MAP_DECIDES || !begins(map, r, c, look))
                continue;
            decides = true;
            buf_printf(out, "<p>%s", look.words);
            list_places(map, r, look, out);
            buf_append_c(out, "</p>");
        }
        buf_append_c(out, decides ? "</li>" : "<p>decides nothing: earlier rules match all of it</p></li>");
    }
    return true;
}

/* ---- the time line ---- */

struct span {
    int64_t from, to;
};

/* From a little before now to the end that comes last, 400 days at most. */
static struct span span_of(const struct audit_report *report)
{
    int64_t now = report->subject->now_unix_s;
    struct span span = { now - (int64_t)30 * DAY_S, now + (int64_t)60 * DAY_S };

    for (size_t i = 0; i < report->n_certificates; i++) {
        int64_t end = report->certificates[i].not_after_unix_s;
        if (end > span.to)
            span.to = end < now + (int64_t)400 * DAY_S ? end : now + (int64_t)400 * DAY_S;
    }
    span.to += (span.to - span.from) / 20;
    return span;
}

static int place(struct span span, int64_t time)
{
    if (time <= span.from)
        return 0;
    if (time >= span.to)
        return LINE_WIDTH;
    return (int)((double)(time - span.from) / (double)(span.to - span.from) * LINE_WIDTH);
}

static void draw_certificate(const struct audit_report *report, size_t i, struct span span, struct buf *out)
{
    static const char *const classes[] = {
        [EXPIRY_OK] = "c-ok", [EXPIRY_WARNING] = "c-medium", [EXPIRY_CRITICAL] = "c-high"
    };
    const struct audit_certificate *c = &report->certificates[i];
    struct expiry e = expiry_judge(c->not_before_unix_s, c->not_after_unix_s, report->subject->now_unix_s);
    int from = place(span, c->not_before_unix_s), to = place(span, c->not_after_unix_s);
    int now = place(span, report->subject->now_unix_s);
    size_t y = LINE_HEAD + i * LINE_ROW;
    char date[EXPIRY_DATE_SIZE];

    buf_printf(out, "<text x=\"0\" y=\"%zu\">", y + 12);
    html_cut(out, c->subject, 60);
    buf_append_c(out, " <tspan class=\"soft\">");
    html_text(out, str_first(str_c(expiry_date(c->not_after_unix_s, date)), DATE_LENGTH));
    if (e.over)
        buf_append_c(out, ", expired");
    else if (c->not_after_unix_s != INT64_MAX)
        buf_printf(out, ", %" PRId64 " days left", e.days_left);
    buf_printf(out,
               "</tspan></text><rect class=\"%s\" x=\"%d\" y=\"%zu\" width=\"%d\" height=\"12\" rx=\"3\">",
               classes[e.status], from, y + 19, to - from > 3 ? to - from : 3);
    buf_append_c(out, "<title>");
    html_text(out, c->file);
    buf_append_c(out, "</title></rect>");
    if (c->not_after_unix_s > span.to)
        buf_printf(out, "<text class=\"soft\" x=\"%d\" y=\"%zu\">→</text>", LINE_WIDTH + 3, y + 29);
    buf_printf(out, "<path class=\"now\" d=\"M%d %zuv20\"/>", now, y + 15);
}

/* Lines at round distances from today, and what they are. */
static void draw_ticks(struct span span, int64_t now, size_t height, struct buf *out)
{
    static const struct {
        int days;
        const char *label;
    } ticks[] = { { 0, "today" }, { 30, "30 d" }, { 90, "90 d" }, { 365, "1 year" } };

    for (size_t i = 0; i < COUNT_OF(ticks); i++) {
        int64_t time = now + (int64_t)ticks[i].days * DAY_S;
        if (time > span.to)
            return;
        int x = place(span, time);
        buf_printf(out, "<text class=\"soft\" x=\"%d\" y=\"14\" text-anchor=\"middle\">%s</text>", x,
                   ticks[i].label);
        if (ticks[i].days > 0)
            buf_printf(out, "<path class=\"grid\" d=\"M%d 20V%zu\"/>", x, height);
    }
}

void audit_draw_certificates(const struct audit_report *report, struct buf *out)
{
    struct span span = span_of(report);
    int width = LINE_WIDTH + 24;
    size_t height = LINE_HEAD + report->n_certificates * LINE_ROW;

    buf_printf(out,
               "<svg width=\"%d\" height=\"%zu\" viewBox=\"0 0 %d %zu\" role=\"img\" "
               "aria-label=\"How long each certificate is valid\">",
               width, height, width, height);
    draw_ticks(span, report->subject->now_unix_s, height, out);
    for (size_t i = 0; i < report->n_certificates; i++)
        draw_certificate(report, i, span, out);
    buf_append_c(out, "</svg>");
}
