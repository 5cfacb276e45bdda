#include "audit/collect_rules.h"

#include "base/arena.h"
#include "conf/settings.h"
#include "policy/policy.h"

void collected_fini(struct collected *collected)
{
    policy_unref(collected->policy);
    settings_unref(collected->settings);
    *collected = (struct collected){ .settings = NULL };
}

void collected_auto(struct collected *collected)
{
    collected_fini(collected);
}

enum code collect_rules(const struct policy_params *params, struct audit_subject *subject,
                        struct arena *arena, struct policy **out_policy)
{
    const struct diag *d;
    struct diags diags;

    diags_init(&diags, arena);
    enum code code = policy_load(params, out_policy, &diags);
    if (code == E_NOMEM || diags.nomem)
        return E_NOMEM;
    if (code == OK)
        subject->policy = *out_policy;
    STAILQ_FOREACH (d, &diags.list, next)
        if (d->severity == SEV_ERROR &&
            !collect_broken(&subject->broken_rules, &subject->n_broken_rules, arena,
                            (struct subject_broken){ d->file, d->line, d->message }))
            return E_NOMEM;
    return OK;
}

/* Lists grow by doubling: a file may be broken in ten thousand lines. */
static void *grown(struct arena *arena, const void *list, size_t n, size_t size)
{
    void *items = (void *)(uintptr_t)list;

    if (n > 0 && (n & (n - 1)) != 0)
        return items;
    void *more = arena_array(arena, n ? 2 * n : 1, size);
    if (more && n > 0)
        memcpy(more, items, n * size);
    return more;
}

bool collect_broken(const struct subject_broken **list, size_t *n, struct arena *arena,
                    struct subject_broken broken)
{
    struct subject_broken *items = grown(arena, *list, *n, sizeof *items);

    if (!items)
        return false;
    items[(*n)++] = broken;
    *list = items;
    return true;
}

bool collect_unseen(struct audit_subject *subject, struct arena *arena, struct subject_unseen unseen)
{
    struct subject_unseen *items = grown(arena, subject->unseen, subject->n_unseen, sizeof *items);

    if (!items)
        return false;
    items[subject->n_unseen++] = unseen;
    subject->unseen = items;
    return true;
}
