/*
 * Lines of settings and rules that harden edits: an edited line is read by the real lexers as the same line with one part
 * replaced.
 */
#include "../unit/conf_memory.h"
#include "base/arena.h"
#include "base/check.h"
#include "harden/rule_line.h"
#include "harden/setting_line.h"
#include "lex/conf_lex.h"
#include "lex/hba_lex.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ARENA_LIMIT = 64 << 20, ARENA_FIRST = 4096 };

/* ---- settings ---- */

/* The one entry of a line that stands alone; NULL: it is in error, or an include. */
static const struct conf_entry *entry_of(struct str line, struct arena *arena)
{
    struct memory_file files[] = { { "/f", str_bytes(line) }, { NULL, { NULL, 0 } } };
    struct conf_fs fs = memory_fs(files);
    struct conf_entries *entries = ARENA_NEW(arena, struct conf_entries);
    struct diags diags;

    if (!entries)
        return NULL;
    diags_init(&diags, arena);
    conf_entries_init(entries, arena);
    return conf_lex_file(&fs, STR("/f"), entries, &diags) == OK ? STAILQ_FIRST(&entries->list) : NULL;
}

static void edit_setting_line(struct str line, struct arena *arena)
{
    struct setting_line parts;
    struct str edited;

    const struct conf_entry *before = entry_of(line, arena);
    if (!before || !before->name.p || !setting_line_parse(line, &parts) ||
        !str_equal_nocase(parts.name, before->name))
        return;
    CHECK(setting_line_set(line, &parts, STR("'it''s'"), arena, &edited));
    const struct conf_entry *after = entry_of(edited, arena);
    CHECK(after && after->name.p && str_equal(after->name, before->name) && str_is(after->value, "it's"));
}

/* ---- rules ---- */

static const struct hba_line *record_of(struct str line, struct arena *arena)
{
    const struct hba_lex_params params = { .pg_version = 18 };
    struct hba_lines *lines = ARENA_NEW(arena, struct hba_lines);

    if (!lines || hba_lex_bytes(&params, STR("/nonexistent/f"), str_bytes(line), arena, lines) != OK)
        return NULL;
    const struct hba_line *first = STAILQ_FIRST(&lines->list);
    return lines->n == 1 && first->error.n == 0 ? first : NULL;
}

static bool same_field(const struct hba_field *a, const struct hba_field *b)
{
    if (a->n != b->n)
        return false;
    for (size_t i = 0; i < a->n; i++)
        if (!str_equal(a->tokens[i].s, b->tokens[i].s) || a->tokens[i].quoted != b->tokens[i].quoted)
            return false;
    return true;
}

static void edit_rule_line(struct str line, struct arena *arena)
{
    const struct hba_line *before = record_of(line, arena);
    struct rule_line parts;
    struct str edited;
    size_t changed = 0;

    if (!before)
        return;
    const struct hba_rule rule = { .type = str_is(before->fields[0].tokens[0].s, "local") ? HBA_LOCAL
                                                                                          : HBA_HOST,
                                   .raw = before->raw };
    if (!rule_line_parse(line, &rule, &parts))
        return;
    CHECK(rule_line_with(&parts, parts.method, STR("harden-method"), arena, &edited));
    const struct hba_line *after = record_of(edited, arena);
    CHECK(after && after->n == before->n);
    for (size_t i = 0; i < after->n; i++) {
        if (same_field(&after->fields[i], &before->fields[i]))
            continue;
        changed++;
        CHECK(after->fields[i].n == 1 && str_is(after->fields[i].tokens[0].s, "harden-method"));
    }
    CHECK(changed <= 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = str_from_bytes(bytes_of(data, size)), line;
    struct arena arena;

    while (str_split(&text, '\n', &line)) {
        arena_init(&arena, ARENA_LIMIT, ARENA_FIRST);
        edit_setting_line(line, &arena);
        edit_rule_line(line, &arena);
        arena_fini(&arena);
    }
    return 0;
}
