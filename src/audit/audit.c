/* The table of checks, the list of findings, and the order of both. */
#include "audit/audit.h"

#include "audit/audit_around.h"
#include "audit/audit_certs.h"
#include "audit/audit_rules.h"
#include "audit/audit_tls.h"
#include "audit/finding.h"
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
