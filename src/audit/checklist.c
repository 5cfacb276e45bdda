#include "audit/checklist.h"

#include "base/arena.h"
#include "conf/settings.h"

/* Findings that leave the point open, and the worst of them. */
static size_t open_by(const struct findings *findings, unsigned item, const struct finding **out_first)
{
    size_t n = 0;

    for (size_t i = 0; i < findings->n; i++) {
        const struct finding *f = &findings->items[i];
        if (check_item(f->check) != item || f->severity == FINDING_INFO)
            continue;
        if (n++ == 0)
            *out_first = f;
    }
    return n;
}

static const struct subject_unseen *unseen(const struct audit_subject *subject, unsigned item)
{
    for (size_t i = 0; i < subject->n_unseen; i++)
        if (subject->unseen[i].items & 1u << item)
            return &subject->unseen[i];
    return NULL;
}

/* Canaries tell what no file does. */
static bool judge_clients(const struct subject_verifying *v, struct checklist_item *out, struct arena *arena)
{
    if (v->fully == v->clients) {
        out->pass = CHECKLIST_PASSED;
        return arena_printf(arena, &out->why,
                            "all %zu clients of the last %d days have refused an impostor's certificate",
                            v->clients, VERIFYING_DAYS);
    }
    out->pass = CHECKLIST_UNKNOWN;
    return arena_printf(
        arena, &out->why,
        "of %zu clients of the last %d days %zu have refused an impostor's certificate, %zu an "
        "unknown CA's only; the others were not tried out (canary)",
        v->clients, VERIFYING_DAYS, v->fully, v->name_unknown);
}

/* What no look at the server alone can show. NULL: all of it was there to be seen. */
static const char *beyond_sight(const struct audit_subject *subject, unsigned item)
{
    if (subject->n_broken_settings > 0 && item <= 3)
        return "a settings file is refused, so the settings in force differ from it";
    switch (item) {
    case 2:
        return subject->settings->ssl ? NULL : "TLS is off, so no certificate is served";
    case 4:
        return subject->kind == SUBJECT_CLIENT && subject->n_connections > 0
                   ? NULL
                   : "the server's files do not show which sslmode clients use";
    case 5:
        return subject->kind == SUBJECT_GATE
                   ? "a new certificate is loaded without a restart; how it is renewed cannot be seen here"
                   : "how certificates are renewed, and the server is then reloaded, cannot be seen here";
    case 6:
        return subject->kind == SUBJECT_GATE && subject->settings->http_listen.n > 0 &&
                       !str_is(subject->settings->http_listen, "off")
                   ? NULL
                   : "no certificate is due; whether anyone is alerted when one is cannot be seen here";
    default:
        return NULL;
    }
}

static const char *fulfilled(const struct audit_subject *subject, unsigned item)
{
    switch (item) {
    case 1:
        return subject->settings->ssl ? "TLS is on, with no weak version or cipher"
                                      : "nothing listens for other machines";
    case 2:
        return "the certificate has names, a whole chain and a strong key";
    case 3:
        return "no rule admits another machine without TLS";
    case 4:
        return "every connection verifies the server's certificate and its name";
    case 6:
        return "no certificate is due, and /metrics shows when one is";
    default:
        return "no finding";
    }
}

static bool judge(struct audit_report *report, unsigned item, struct arena *arena)
{
    const struct audit_subject *subject = report->subject;
    struct checklist_item *out = &report->checklist[item - 1];
    const struct subject_unseen *missing = unseen(subject, item);
    const struct finding *first = NULL;
    size_t n = open_by(&report->findings, item, &first);
    const char *beyond = beyond_sight(subject, item);

    if (n > 0) {
        out->pass = CHECKLIST_FAILED;
        if (n == 1)
            return arena_printf(arena, &out->why, "%s: %.*s", check_id(first->check), STR_ARG(first->what));
        return arena_printf(arena, &out->why, "%s and %zu more: %.*s", check_id(first->check), n - 1,
                            STR_ARG(first->what));
    }
    if (item == 4 && subject->verifying && !missing && subject->n_broken_settings == 0)
        return judge_clients(subject->verifying, out, arena);
    out->pass = missing || beyond ? CHECKLIST_UNKNOWN : CHECKLIST_PASSED;
    if (missing)
        return arena_printf(arena, &out->why, "%.*s: %.*s", STR_ARG(missing->what), STR_ARG(missing->why));
    out->why = str_c(beyond ? beyond : fulfilled(subject, item));
    return true;
}

enum code checklist_judge(struct audit_report *report, struct arena *arena)
{
    for (unsigned item = 1; item <= CHECKLIST_ITEMS; item++)
        if (!judge(report, item, arena))
            return E_NOMEM;
    return OK;
}
