/**
 * The map of rules: which part of the space of connections each of them decides.
 *
 * Across: where a connection comes from, and whether it is in TLS. Down: the rules in their order.
 */
#ifndef PGSEAL_AUDIT_MAP_H
#define PGSEAL_AUDIT_MAP_H

#include "policy/reach.h"

struct arena;
struct audit_subject;

enum map_cell {
    MAP_NONE,   /* the rule is not about it */
    MAP_LOST,   /* it is, and rules before it take all of it */
    MAP_DECIDES /* it decides some of it, or nobody can tell that it does not */
};

struct map_column {
    struct str label;
    struct reach_part part;
};

struct rule_map {
    struct map_column *columns;
    size_t n_columns;
    const struct hba_rule *const *rules;
    size_t n_rules;  /* shown; the first ones */
    size_t n_hidden; /* beyond those */
    uint8_t *cells;  /* enum map_cell, a row of columns per rule */
};

/** All in the arena; empty where the rules were not seen. E_NOMEM. */
MUST_CHECK enum code rule_map_draw(const struct audit_subject *subject, struct arena *arena,
                                   struct rule_map *out);

#endif
