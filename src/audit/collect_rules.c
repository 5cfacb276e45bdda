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

static enum code add_broken(struct audit_subject *subject, const struct diags *diags, struct arena *arena)
{
    struct subject_broken *items = arena_array(arena, diags->errors, sizeof *items);
    const struct diag *d;
    size_t n = 0;

    if (!items || diags->nomem)
        return E_NOMEM;
    STAILQ_FOREACH (d, &diags->list, next)
        if (d->severity == SEV_ERROR)
            items[n++] = (struct subject_broken){ d->file, d->line, d->message };
    subject->broken_rules = items;
    subject->n_broken_rules = n;
    return OK;
}

enum code collect_rules(const struct policy_params *params, struct audit_subject *subject,
                        struct arena *arena, struct policy **out_policy)
{
    struct diags diags;

    diags_init(&diags, arena);
    enum code code = policy_load(params, out_policy, &diags);
    if (code == E_NOMEM)
        return code;
    if (code == OK) {
        subject->policy = *out_policy;
        return OK;
    }
    return add_broken(subject, &diags, arena);
}

bool collect_unseen(struct audit_subject *subject, struct arena *arena, struct subject_unseen unseen)
{
    struct subject_unseen *grown = arena_array(arena, subject->n_unseen + 1, sizeof *grown);

    if (!grown)
        return false;
    if (subject->n_unseen > 0)
        memcpy(grown, subject->unseen, subject->n_unseen * sizeof *grown);
    grown[subject->n_unseen++] = unseen;
    subject->unseen = grown;
    return true;
}
