#include "audit/edit.h"

#include "audit/subject_live.h"
#include "base/buf.h"
#include "base/check.h"
#include "conf/settings.h"
#include "os/files.h"
#include "policy/policy.h"
#include "policy/words.h"

/* Keep a whole file: edits of one file come one after another, and mostly in order. */
static bool open_file(struct audit *a, struct str file)
{
    AUTO(buf) struct buf text = BUF_INIT(OS_FILE_LIMIT);
    struct audit_lines *lines = &a->lines;

    if (lines->file.p && str_equal(lines->file, file))
        return true;
    *lines = (struct audit_lines){ .file = file, .line = 1 };
    return !str_has_nul(file) && os_read_file(file.p, &text, NULL) == OK &&
           arena_str(a->arena, buf_str(&text), &lines->text);
}

/* One physical line, without its end. */
bool edit_line(struct audit *a, struct str file, unsigned line, struct str *out)
{
    struct audit_lines *lines = &a->lines;

    if (line == 0 || !open_file(a, file))
        return false;
    if (line < lines->line)
        lines->line = 1, lines->at = 0;
    while (lines->line < line) {
        struct str rest = str_from(lines->text, lines->at);
        size_t end = str_find(rest, '\n');
        if (end == rest.n)
            return false;
        lines->at += end + 1;
        lines->line++;
    }
    struct str rest = str_from(lines->text, lines->at);
    *out = str_first(rest, str_find(rest, '\n'));
    return out->n > 0;
}

/* ---- settings ---- */

static struct str main_file(const struct audit_subject *subject)
{
    if (subject->kind == SUBJECT_GATE)
        return subject->settings->files.n > 0 ? subject->settings->files.at[0] : STR("");
    return subject->n_files > 0 ? subject->files[0] : STR("");
}

/* A service's parameters are set elsewhere. [src: PostgreSQL 18, "ALTER SYSTEM"] */
static void put_statement(struct audit *a, struct finding *f, const char *setting, const char *value)
{
    const struct subject_live *live = a->subject->live;

    if (!live || live->provider == PROVIDER_NONE)
        f->fix = audit_text(a, "ALTER SYSTEM SET %s = %s; SELECT pg_reload_conf();", setting, value);
}

void edit_setting(struct audit *a, struct finding *f, const char *setting, const char *value)
{
    const struct subject_setting *raw = subject_raw(a->subject, setting);
    struct str file, before = STR("");
    unsigned line;

    if (!f)
        return;
    if (a->subject->live || (raw && raw->source == SUBJECT_FROM_AUTO_FILE)) {
        put_statement(a, f, setting, value);
        return;
    }
    if (raw && raw->source != SUBJECT_FROM_FILE)
        return;
    subject_place(a->subject, setting, &file, &line);
    if (file.n == 0 || line == 0)
        file = main_file(a->subject), line = 0;
    if (file.n == 0 || (line > 0 && !edit_line(a, file, line, &before)))
        return;
    f->edit = (struct finding_edit){
        .file = file, .line = line, .before = before, .after = audit_text(a, "%s = %s", setting, value)
    };
}

/* ---- rules ---- */

/* The files of a live server may be on another machine: the line is told, not changed. */
static void tell_line(struct rule_audit *l, struct finding *f, const char *type)
{
    struct str old = str_c(hba_type_name(l->rule->type)), text = str_trim(l->rule->raw);

    if (str_starts(text, old) && text.n > old.n && char_is_blank(text.p[old.n]))
        f->fix = audit_text(l->audit, "Make line %u of %.*s: %s%.*s; then SELECT pg_reload_conf().",
                            l->rule->line, STR_ARG(l->rule->file), type, STR_ARG(str_from(text, old.n)));
}

void edit_rule_type(struct rule_audit *l, struct finding *f, const char *type)
{
    struct str old = str_c(hba_type_name(l->rule->type)), before;

    if (f && l->audit->subject->live) {
        tell_line(l, f, type);
        return;
    }
    if (!f || !edit_line(l->audit, l->rule->file, l->rule->line, &before))
        return;
    struct str trimmed = str_trim(before);
    size_t indent = (size_t)(trimmed.p - before.p);
    bool whole = str_equal(trimmed, str_trim(l->rule->raw));
    if (!whole || !str_starts(trimmed, old) || trimmed.n == old.n || !char_is_blank(trimmed.p[old.n]))
        return;
    f->edit = (struct finding_edit){ .file = l->rule->file,
                                     .line = l->rule->line,
                                     .before = before,
                                     .after = audit_text(l->audit, "%.*s%s%.*s", (int)indent, before.p, type,
                                                         STR_ARG(str_from(trimmed, old.n))) };
}
