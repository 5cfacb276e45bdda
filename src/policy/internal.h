/**
 * What the files of this room share: the policy's inside, and the parsers' contracts. Not for other rooms.
 */
#ifndef PGSEAL_POLICY_INTERNAL_H
#define PGSEAL_POLICY_INTERNAL_H

#include "base/arena.h"
#include "base/buf.h"
#include "lex/hba_lex.h"
#include "policy/policy.h"
#include "policy/regex.h"

#include <netinet/in.h>
#include <stdatomic.h>

struct role_set;

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

/**
 * Log a fault of the line at hand and make it the view's error; returns `code`. `hint` may be NULL.
 */
enum code line_bad(struct line_parser *p, enum code code, const char *hint, const char *fmt, ...)
    PRINTF_LIKE(4, 5);
/** The same where PostgreSQL's view shows nothing. */
enum code line_bad_hidden(struct line_parser *p, enum code code, const char *fmt, ...) PRINTF_LIKE(3, 4);
/** Only log (SEV_LOG). */
void line_log(struct line_parser *p, const char *hint, const char *fmt, ...) PRINTF_LIKE(3, 4);

/**
 * Parse a line without tokenizer error into `out`.
 * OK, but p->fault.error set: the record loads and can never match. E_CONFIG, E_REGEX: p->fault. E_NOMEM.
 */
MUST_CHECK enum code hba_parse_line(struct line_parser *p, const struct hba_line *line, struct hba_rule *out);
/** One `name=value`; `options` has HBA_OPTION_COUNT elements. */
MUST_CHECK enum code hba_parse_option(struct line_parser *p, struct hba_rule *rule, struct str *options,
                                      struct str text);
/** Checks that need all options of the record. */
MUST_CHECK enum code hba_check_options(struct line_parser *p, struct hba_rule *rule);
/** The address field and, where it has one, the mask field: *at is the next field to read. */
MUST_CHECK enum code hba_parse_address(struct line_parser *p, size_t *at, struct hba_addr *out);
/** As getnameinfo prints it, without scope. */
MUST_CHECK enum code hba_addr_text(struct arena *arena, sa_family_t family, const uint8_t *addr,
                                   struct str *out);
/** `ldapurl`: sets the options it stands for. */
MUST_CHECK enum code hba_parse_ldapurl(struct line_parser *p, struct str *options, struct str url);
/** A comma list as in settings, with quotes; count only. False when it is malformed. */
bool hba_split_list(struct str text, bool (*item)(void *arg, struct str item), void *arg, size_t *out_n);
/** As C's atoi over the text. */
int hba_atoi(struct str text);

struct ident_line {
    struct str map;
    struct str file;
    unsigned line;
    struct hba_name system; /* EXACT or REGEX */
    struct hba_name role;   /* EXACT, ALL, MEMBER or REGEX */
    size_t group_at;        /* where \1 stands in role.text if it is to be replaced; else SIZE_MAX */
};

MUST_CHECK enum code ident_parse_line(struct line_parser *p, const struct hba_line *line,
                                      struct ident_line *out);
/** What a token of a user field means; compiles it if it is a regular expression. */
MUST_CHECK enum code hba_parse_user(struct line_parser *p, struct hba_token token, struct hba_name *out);
/** Compile a token that begins with a slash. */
MUST_CHECK enum code hba_parse_regex(struct line_parser *p, struct hba_token token, bool captures,
                                     struct hba_name *out);

/** What protects a TCP connection. */
enum { TRANSPORT_PLAIN, TRANSPORT_TLS, TRANSPORT_GSS };
/** The transports that a type of TCP record takes, as bits 1 << TRANSPORT_…; 0 for `local`. */
uint32_t hba_transports(enum hba_type type);
/** Does a host name, or another pattern that stands for its names, fit the pattern of an address field? */
bool hba_host_name_fits(struct str pattern, struct str name);

/**
 * Does a token of a user field, or of a map's third field, mean this user?
 *
 * E_NEED_ROLES: memberships decide, and `roles` is NULL. E_NOMEM.
 */
MUST_CHECK enum code hba_user_fits(const struct policy *policy, const struct hba_name *name, struct str user,
                                   const struct role_set *roles, bool *out);

/* ---- the policy ---- */

enum { KEY_LANES = 4 };

/** Four numbers that one instruction works on. */
typedef uint32_t key_lanes __attribute__((vector_size(KEY_LANES * sizeof(uint32_t))));

/**
 * Four rules' fields in the form that most rules can be dismissed by, without looking at them: a bit per kind
 * of connection, the first word of address and mask, and two bits per name of a field (all bits where a field
 * has keywords or expressions). What passes may still not fit. Lanes behind the last rule have no class.
 */
struct rule_keys {
    key_lanes classes; /* 1 << enum conn_class */
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

/** Fill policy->keys. */
MUST_CHECK enum code policy_index(struct policy *policy);

#endif
