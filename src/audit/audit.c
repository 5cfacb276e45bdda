/* The table of checks, the list of findings, and the order of both. */
#include "audit/audit.h"

#include "audit/internal.h"
#include "base/check.h"

static const struct {
    const char *id, *title, *fix;
    enum finding_severity severity;
    unsigned item;
} checks[CHECK_COUNT] = {
#define X(name, id, severity, item, title, fix) [CHECK_##name] = { id, title, fix, FINDING_##severity, item },
#include "checks.def"
#undef X
};

const char *check_id(enum check check)
{
    return checks[check].id;
}

enum finding_severity check_severity(enum check check)
{
    return checks[check].severity;
}

unsigned check_item(enum check check)
{
    return checks[check].item;
}

const char *check_title(enum check check)
{
    return checks[check].title;
}

const char *check_fix(enum check check)
{
    return checks[check].fix;
}

const char *finding_severity_name(enum finding_severity severity)
{
    static const char *const names[FINDING_SEVERITIES] = {
        [FINDING_HIGH] = "high",
        [FINDING_MEDIUM] = "medium",
        [FINDING_LOW] = "low",
        [FINDING_INFO] = "info",
    };

    return names[severity];
}

/* ---- the list ---- */

static bool grow(struct audit *a)
{
    size_t size = a->size ? 2 * a->size : 64;
    struct finding *items = arena_array(a->arena, size, sizeof *items);

    if (!items)
        return false;
    if (a->n > 0)
        memcpy(items, a->items, a->n * sizeof *items);
    a->items = items;
    a->size = size;
    return true;
}

struct finding *audit_add(struct audit *a, enum check check, struct str where, const char *what, ...)
{
    struct finding finding = { .check = check, .where = where };
    va_list args;

    va_start(args, what);
    bool made = arena_vprintf(a->arena, &finding.what, what, args);
    va_end(args);
    if (!made || (a->n == a->size && !grow(a))) {
        a->nomem = true;
        return NULL;
    }
    a->items[a->n] = finding;
    return &a->items[a->n++];
}

struct str audit_place(struct audit *a, struct str file, unsigned line)
{
    struct str place = file;

    if (line > 0 && !arena_printf(a->arena, &place, "%.*s:%u", STR_ARG(file), line))
        a->nomem = true;
    return place;
}

/* The worst first, then as in the table; those of one check as they were found. */
static bool sort(struct audit *a, struct findings *out)
{
    struct finding *sorted = arena_array(a->arena, a->n, sizeof *sorted);
    size_t place[FINDING_SEVERITIES * CHECK_COUNT + 1] = { 0 };

    if (!sorted)
        return false;
    for (size_t i = 0; i < a->n; i++)
        place[checks[a->items[i].check].severity * CHECK_COUNT + a->items[i].check + 1]++;
    for (size_t i = 1; i < COUNT_OF(place); i++)
        place[i] += place[i - 1];
    for (size_t i = 0; i < a->n; i++)
        sorted[place[checks[a->items[i].check].severity * CHECK_COUNT + a->items[i].check]++] = a->items[i];
    *out = (struct findings){ sorted, a->n };
    return true;
}

enum code audit_run(const struct audit_subject *subject, struct arena *arena, struct findings *out)
{
    struct audit a = { .subject = subject, .arena = arena };

    audit_tls(&a);
    audit_certificates(&a);
    audit_rules(&a);
    audit_upstreams(&a);
    audit_files(&a);
    audit_operation(&a);
    return !a.nomem && sort(&a, out) ? OK : E_NOMEM;
}
