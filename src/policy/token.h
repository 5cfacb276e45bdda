/**
 * Tokens of database and user fields, as sets of names.
 *
 * Expressions that mean one name, or any, become that: what is left of them is compared by the engine only.
 */
#ifndef PGSEAL_POLICY_TOKEN_H
#define PGSEAL_POLICY_TOKEN_H

#include "policy/policy.h"

/** A name of a database or user field. */
struct token {
    enum hba_name_kind kind;
    struct str text; /* EXACT: the name; MEMBER: the role, without the plus; REGEX: without the slash */
    uint32_t bits;   /* EXACT: two of 32 bits, by the name; else all */
    unsigned regex;
    struct str prefix; /* REGEX: what every name begins with that it takes */
    bool whole;        /* REGEX: it takes every name that begins so */
};

/** Two of 32 bits, by the name. */
uint32_t token_name_bits(struct str name);
/** A name of its own. */
struct token token_of_name(struct str name);
/** Read one. `user`: of a user field, where `+` counts. Borrows the text. */
struct token token_read(const struct hba_name *name, bool user);

#endif
