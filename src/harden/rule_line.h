/**
 * The fields of one record of pg_hba.conf, as places in its line.
 */
#ifndef PGSEAL_HARDEN_RULE_LINE_H
#define PGSEAL_HARDEN_RULE_LINE_H

#include "policy/policy.h"

struct arena;

/** Views of the line. */
struct rule_line {
    struct str line;
    struct str type, database, user;
    struct str address; /* with a mask in a field of its own; empty: a local record */
    struct str method;
};

/** False where the record is not all of the line, or goes on in the next. */
bool rule_line_parse(struct str line, const struct hba_rule *rule, struct rule_line *out);
/** The line with one of its parts replaced. False when memory ran out. */
bool rule_line_with(const struct rule_line *parts, struct str part, struct str text, struct arena *arena,
                    struct str *out);

#endif
