#include "audit/checks.h"

#include "base/check.h"

static const struct {
    const char *id, *title, *why, *fix;
    enum finding_severity severity;
    unsigned item;
} checks[CHECK_COUNT] = {
#define X(name, id, subject, severity, item, title, why, fix)                                                \
    [CHECK_##name] = { id, title, why, fix, FINDING_##severity, item },
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

const char *check_why(enum check check)
{
    return checks[check].why;
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

const char *checklist_text(unsigned item)
{
    static const char *const texts[] = {
#define X(text) text,
#include "checklist.def"
#undef X
    };

    CHECK(item > 0 && item <= COUNT_OF(texts));
    return texts[item - 1];
}
