/**
 * Where a new certificate comes from. The key is ours and there before; a source only has it signed.
 */
#ifndef PGSEAL_RENEW_SOURCE_H
#define PGSEAL_RENEW_SOURCE_H

#include "pki/leaf.h"
#include "renew/conf.h"
#include "renew/target.h"

struct ca;

/** What `cmd` lends: the renewal does not know how a gate gets its revocation list. */
struct renew_hooks {
    enum code (*publish_crl)(void *ctx, const struct renew_target *target, const char *ca_dir, struct ca *ca,
                             struct err *e);
    void *ctx;
};

/** All borrowed. */
struct renew_order {
    const struct renew_target *target;
    const struct renew_rule *rule;
    const struct renew_hooks *hooks;
    const struct cert_list *old; /* leaf first; not empty */
    const struct env *env;
    struct arena *arena;
};

/** The names and subject to ask for; texts in the arena. */
MUST_CHECK enum code renew_request(const struct renew_order *order, struct ca_request *out, struct err *e);

#endif
