#include "audit/check_broken.h"

#include "audit/finding.h"

enum { BROKEN_SHOWN = 100 /* [choice: what no line tells any more, the number does] */ };

static void add_all(struct audit *a, enum check check, const struct subject_broken *items, size_t n)
{
    for (size_t i = 0; i < n && i < BROKEN_SHOWN; i++) {
        struct finding *f = audit_add(a, check, audit_place(a, items[i].file, items[i].line), "%.*s",
                                      STR_ARG(items[i].error));
        if (f)
            f->about = audit_text(a, "%.*s %.*s", STR_ARG(items[i].file), STR_ARG(items[i].error));
    }
    if (n > BROKEN_SHOWN)
        audit_add(a, check, items[0].file, "%zu more lines are refused", n - BROKEN_SHOWN);
}

void check_broken(struct audit *a)
{
    add_all(a, CHECK_SETTINGS_BROKEN, a->subject->broken_settings, a->subject->n_broken_settings);
    add_all(a, CHECK_RULES_BROKEN, a->subject->broken_rules, a->subject->n_broken_rules);
    add_all(a, CHECK_CLIENT_FILE_BROKEN, a->subject->broken_client, a->subject->n_broken_client);
}
