/**
 * User-name maps: may this authenticated name act as that role?
 * [src: PostgreSQL 18, "User Name Maps"; hba.c check_usermap]
 */
#ifndef PGSEAL_POLICY_IDENT_H
#define PGSEAL_POLICY_IDENT_H

#include "base/err.h"
#include "policy/policy_impl.h"

struct policy;
struct role_set;

struct ident_question {
    struct str map;               /* empty: none, the names must be equal */
    struct str role;              /* the role the client asks for */
    struct str name;              /* the authenticated name: certificate name or DN, operating system user */
    const struct role_set *roles; /* memberships of `role`; NULL: not known yet */
};

/**
 * OK: yes. E_AUTH: no, with PostgreSQL's log-only reason in `why` (its client hears only its method's own
 * message). E_REGEX: no, a regular expression could not be applied; `why` likewise. E_NEED_ROLES: a `+role`
 * decides and question->roles is NULL. E_NOMEM. `why` may be NULL. Never blocks. Thread-safe.
 */
MUST_CHECK enum code ident_check(const struct policy *policy, const struct ident_question *question,
                                 struct err *why);

MUST_CHECK enum code ident_parse_line(struct line_parser *p, const struct hba_line *line,
                                      struct ident_line *out);

#endif
