/**
 * What the files of this room share: the policy's inside, and the parsers' contracts. Not for other rooms.
 */
#ifndef PGSEAL_POLICY_POLICY_IMPL_H
#define PGSEAL_POLICY_POLICY_IMPL_H

#include "base/arena.h"
#include "base/buf.h"
#include "lex/hba_lex.h"
#include "policy/policy.h"
#include "regex/regex.h"

#include <netinet/in.h>
#include <stdatomic.h>

/** Most bytes the rows or rules of one load may take. */
#define POLICY_ARENA_MAX ((size_t)512 * 1024 * 1024)
enum { POLICY_ARENA_FIRST = 16 * 1024, PG_VERSION_DEFAULT = 18 };

/* ---- parsing one line ---- */

/** What went wrong with a line. */
struct line_fault {
    struct str error;  /* for the view's `error`; p == NULL: none */
    struct str hidden; /* reason that the view does not show; p == NULL: none */
};

/** Shared by the lines of one load. */
struct line_parser {
    const struct policy_params *params;
    unsigned version;
    struct arena *arena; /* owns rules */
    struct regex_set *regexes;
    struct diags *diags;         /* may be NULL */
    const struct hba_line *line; /* at hand */
    struct line_fault fault;     /* of that line */
};

struct ident_line {
    struct str map;
    struct str file;
    unsigned line;
    struct hba_name system; /* EXACT or REGEX */
    struct hba_name role;   /* EXACT, ALL, MEMBER or REGEX */
    size_t group_at;        /* where \1 is in role.text if it is to be replaced; else SIZE_MAX */
};

/** What protects a TCP connection. */
enum { TRANSPORT_PLAIN, TRANSPORT_TLS, TRANSPORT_GSS };

/* ---- the policy ---- */

enum { KEY_LANES = 4 };

/** Four numbers that one instruction works on. */
typedef uint32_t key_lanes __attribute__((vector_size(KEY_LANES * sizeof(uint32_t))));

/**
 * Four rules' fields in the form that most rules can be dismissed by, without looking at them: a bit per kind
 * of connection, the first word of address and mask, and two bits per name of a field (all bits where a field
 * has keywords or expressions). What passes may still not fit. Lanes after the last rule have no class.
 */
struct rule_keys {
    key_lanes classes; /* a bit per kind of connection */
    key_lanes addr;
    key_lanes mask;
    key_lanes databases;
    key_lanes users;
};

struct policy {
    _Atomic unsigned refs;
    struct arena arena;
    struct hba_rule *rules;
    struct rule_keys *keys; /* rule I is lane I % KEY_LANES of keys[I / KEY_LANES] */
    size_t n_rules;
    struct regex_set *regexes;
    struct ident_line *maps;
    size_t n_maps;
    struct policy_path *paths;
    size_t n_paths;
    struct buf archive; /* what was read, where that was asked for */
};

#endif
