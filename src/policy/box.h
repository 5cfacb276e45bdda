/**
 * A set of connections that one conjunction describes: a network × databases × users × roles × host names.
 *
 * A name is either given or free, and a free one carries what is said of it: names that it is not, expressions
 * and roles that take it or not. Saying one thing more either leaves something or nothing; what nobody can
 * prove empty counts as something.
 */
#ifndef PGSEAL_POLICY_BOX_H
#define PGSEAL_POLICY_BOX_H

#include "policy/token.h"

struct arena;
struct regex_set;

/** Addresses with some bits given. */
struct pattern {
    sa_family_t family; /* AF_INET or AF_INET6; AF_UNSPEC: a unix socket */
    uint8_t addr[16];
    uint8_t mask[16]; /* bits that are given; the others of `addr` are zero */
};

/** One thing said of a name; the list is shared by the boxes that came of it. */
struct said {
    const struct token *token;
    bool yes;
    const struct said *next;
};

struct names {
    const struct token *is;    /* EXACT; NULL: free */
    const struct said *others; /* EXACT, all `no` */
    const struct said *signs;  /* REGEX, MEMBER */
};

/** What of this machine the peer is, where its addresses are not known. */
enum { IS_SAMEHOST = 1, NOT_SAMEHOST = 2, IS_SAMENET = 4, NOT_SAMENET = 8 };

struct box {
    struct pattern net;
    bool physical; /* replication, with no database */
    struct names db, user;
    const struct said *hosts; /* patterns of names, as tokens' texts */
    int same; /* 1: the database is called like the user, and `db` is not used; -1: it is not */
    int role; /* 1: like a role of the user's; -1: it is not */
    bool same_settled, role_settled;
    unsigned near;
    size_t next; /* index of the rule to look at next */
};

/** What the work draws on. */
struct boxing {
    struct arena *arena;
    const struct regex_set *regexes;
    int64_t left; /* of its budget, in units of about a nanosecond */
    bool
        stranger; /* the user is not a role, so a member of nothing; else of himself, and who knows what else */
    bool nomem;
};

enum { BOX_COST_TOKEN = 5, BOX_COST_REGEX = 2000 };

/** Each says one thing more of the box. False: nothing is left of it. */
MUST_CHECK bool box_user(struct boxing *b, struct box *box, const struct token *token, bool yes);
MUST_CHECK bool box_database(struct boxing *b, struct box *box, const struct token *token, bool yes);
/** The peer's name, confirmed by its address; `pattern` as in the address field. */
MUST_CHECK bool box_host(struct boxing *b, struct box *box, const struct token *pattern, bool yes);
/** samehost, else samenet. */
MUST_CHECK bool box_same_machine(struct box *box, bool host, bool yes);

/** Do they share an address? */
bool pattern_meets(const struct pattern *a, const struct pattern *b);
/** What both share. */
struct pattern pattern_both(const struct pattern *a, const struct pattern *b);

/** Does the expression take the name? */
bool box_regex_takes(struct boxing *b, const struct token *regex, struct str name);

#endif
