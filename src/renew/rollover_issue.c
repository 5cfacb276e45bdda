/* What one CA has issued is issued by the other. */
#include "renew/rollover_issue.h"

#include "base/arena.h"
#include "base/check.h"
#include "renew/rollover_steps.h"

static enum code rules_of(struct rollover *r, enum rollover_issuer issuer, struct str passphrase_file,
                          struct renew_conf *out, struct err *e)
{
    out->rules = arena_array(r->arena, r->n_pairs, sizeof *out->rules);
    if (!out->rules)
        return err_set(e, E_NOMEM, "out of memory");
    for (size_t i = 0; i < r->n_pairs && out->n < RENEW_RULES_MAX; i++) {
        const struct rollover_pair *pair = &r->pairs[i];
        bool named = pair->rule && (pair->rule->source == RENEW_CA || !r->past.own);
        struct renew_rule rule = named ? *pair->rule : renew_rule_default(pair->name, RENEW_CA);
        if (pair->issuer != issuer || (!r->past.own && !named))
            continue;
        rule.client = rule.client || pair->client;
        rule.v[RENEW_SET_CERT_FILE] = pair->cert;
        rule.v[RENEW_SET_KEY_FILE] = pair->key;
        if (r->past.own)
            rule.v[RENEW_SET_CA_DIRECTORY] = str_c(r->ca_dir);
        if (passphrase_file.n > 0)
            rule.v[RENEW_SET_CA_PASSPHRASE_FILE] = passphrase_file;
        out->rules[out->n++] = rule;
    }
    return OK;
}

static enum code renew_these(struct rollover *r, const struct renew_conf *conf, bool force,
                             struct rollover_issued *out, struct err *e)
{
    struct str *only = arena_array(r->arena, conf->n, sizeof *only);
    const struct renew_params params = { .target = &r->target,
                                         .conf = conf,
                                         .hooks = r->hooks,
                                         .env = r->env,
                                         .only = only,
                                         .n_only = conf->n,
                                         .force = force };

    if (conf->n == 0)
        return OK;
    if (!only)
        return err_set(e, E_NOMEM, "out of memory");
    for (size_t i = 0; i < conf->n; i++)
        only[i] = conf->rules[i].name;
    TRY(renew_all(&params, r->arena, &out->reports, &out->n, e));
    for (size_t i = 0; i < out->n; i++)
        if (!renew_outcome_ok(out->reports[i].outcome))
            return err_set(e, E_CONFIG, "the certificate \"%.*s\" was not issued: %s: %s",
                           STR_ARG(out->reports[i].name), renew_event_name(out->reports[i].step),
                           err_text(&out->reports[i].why));
    return OK;
}

/* Clients have both roots now, whatever the files said when they were read. */
static enum code know_both(struct rollover *r, struct err *e)
{
    const struct cert_list *both[] = { &r->old, &r->next };

    for (size_t i = 0; i < COUNT_OF(both); i++)
        for (size_t j = 0; j < both[i]->n; j++)
            if (cert_list_add(&r->target.anchors, both[i]->items[j]) != OK)
                return err_set(e, E_NOMEM, "out of memory");
    return OK;
}

enum code rollover_issue(struct rollover *r, enum rollover_issuer from, const char *passphrase_file,
                         struct rollover_issued *out, struct err *e)
{
    enum rollover_issuer to = from == ROLLOVER_ISSUER_OLD ? ROLLOVER_ISSUER_NEXT : ROLLOVER_ISSUER_OLD;
    struct renew_conf wanted = { .n = 0 }, done = { .n = 0 };
    struct rollover_issued finished;

    TRY(rollover_step(r, ROLLOVER_STEP_ISSUE, e));
    TRY(know_both(r, e));
    TRY(rules_of(r, from, str_c(passphrase_file), &wanted, e));
    TRY(rules_of(r, to, str_c(passphrase_file), &done, e));
    /* A run that was killed may have exchanged a pair's files and no more. */
    TRY(renew_these(r, &done, false, &finished, e));
    return renew_these(r, &wanted, true, out, e);
}
