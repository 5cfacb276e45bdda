/**
 * What earlier rules leave of a later one.
 *
 * A rule is a product of networks × databases × users; each rule before it takes a product away. What is left
 * is a list of boxes, made one after the other; when there is none, no connection whatever gets to the rule.
 */
#ifndef PGSEAL_POLICY_CARVE_H
#define PGSEAL_POLICY_CARVE_H

#include "policy/box.h"

struct arena;
struct iface_source;

enum carved {
    CARVED_NOTHING, /* earlier rules take everything */
    CARVED_STOPPED, /* a box was found, and the caller wanted no more */
    CARVED_ALL,     /* boxes were found, and all were told */
    CARVED_CUT      /* the budget was used up, or memory */
};

struct carver;

/** Which part of the rule. */
struct carve_query {
    size_t rule;                  /* index */
    bool local;                   /* over a unix socket; `transport` does not count then */
    unsigned transport;           /* TRANSPORT_… */
    bool from_network;            /* from other machines only */
    bool stranger;                /* of users that are no roles; else of those that are */
    const struct pattern *within; /* NULL: from anywhere */
    bool (*left)(void *ctx, struct boxing *b, const struct box *box); /* false: enough */
    void *ctx;
    uint8_t *takers;       /* NULL, or one per rule: set to 1 where it took something away */
    const uint8_t *passed; /* NULL, or one per rule: 1 where it is passed over */
};

/**
 * Lives in `arena`.
 *
 * ifaces  this machine's addresses, asked for once, here; NULL or unable: not known.
 * budget  of all questions, in units of about a nanosecond.
 */
struct carver *carver_new(const struct policy *policy, const struct iface_source *ifaces, int64_t budget,
                          struct arena *arena);
enum carved carve(struct carver *carver, const struct carve_query *query);
/** Take from the budget; false: there is none left. */
bool carver_pay(struct carver *carver, int64_t cost);
/** How many rules have expressions that only the engine understands. */
size_t carver_regexes(const struct carver *carver);

#endif
