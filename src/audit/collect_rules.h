/**
 * What every collector shares: the subject with what it borrows from, and its rules.
 */
#ifndef PGSEAL_AUDIT_COLLECT_RULES_H
#define PGSEAL_AUDIT_COLLECT_RULES_H

#include "audit/subject.h"

struct arena;
struct regular_file_drafts;
struct policy;
struct policy_params;
struct settings;

/** A directory that is read. All borrowed. */
struct collect_source {
    const char *path;
    int64_t now_unix_s;
    const struct regular_file_drafts *drafts; /* files as they are proposed; NULL: none */
};

/** A subject and the owners of what it borrows; released when the report has been told. */
struct collected {
    struct audit_subject subject;
    struct settings *settings;
    struct policy *policy;
};

void collected_fini(struct collected *collected);
void collected_auto(struct collected *collected);

/**
 * Load hba and ident file into the subject. What a server would refuse becomes subject->broken_rules, and no
 * policy is set then.
 *
 * out_policy  set when both files were taken; returned to the caller.
 *
 * E_NOMEM.
 */
MUST_CHECK enum code collect_rules(const struct policy_params *params, struct audit_subject *subject,
                                   struct arena *arena, struct policy **out_policy);
/** Add to one of the subject's lists of what is broken. False when memory ran out. */
bool collect_broken(const struct subject_broken **list, size_t *n, struct arena *arena,
                    struct subject_broken broken);
/** Remember something that was not to be seen. False when memory ran out. */
bool collect_unseen(struct audit_subject *subject, struct arena *arena, struct subject_unseen unseen);

enum {
    ITEM_TLS = 1 << 1,
    ITEM_CERTIFICATE = 1 << 2,
    ITEM_RULES = 1 << 3,
    ITEM_VERIFIED = 1 << 4,
    ITEM_ROTATION = 1 << 5,
    ITEM_EXPIRY = 1 << 6
};

#endif
