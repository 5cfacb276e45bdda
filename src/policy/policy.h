/**
 * Who may connect how: pg_hba.conf and pg_ident.conf, parsed into one immutable, counted value.
 *
 * policy_load() is all or nothing and reports every error of both files in one pass, in PostgreSQL's words.
 * policy_hba_rows() and policy_ident_rows() give what PostgreSQL's views show, bad lines included.
 * Matching is in match.h, user-name maps are in ident.h.
 * [src: PostgreSQL 18, "Client Authentication"; hba.c]
 */
#ifndef PGSEAL_POLICY_POLICY_H
#define PGSEAL_POLICY_POLICY_H

#include "base/err.h"

#include <sys/socket.h>

struct archive_head;
struct hba_lex_fs;

/* ---- vocabulary ---- */

enum hba_method {
#define X(symbol, name, word, since, until, records, options, check, how, unit, needs, leaves, refusal,      \
          asks, asks_over_tls, audit, help)                                                                  \
    HBA_METHOD_##symbol,
#include "hba_methods.def"
#undef X
};

enum hba_option {
#define X(symbol, name, type, taken_by, since, help) HBA_OPTION_##symbol,
#include "hba_options.def"
#undef X
    HBA_OPTION_COUNT /* not an option */
};

/** Who can judge a method (tables/hba_methods.def). */
enum hba_how { HBA_HOW_GATE, HBA_HOW_SECRET, HBA_HOW_RELAYED, HBA_HOW_NEVER, HBA_HOW_ABSENT };

/** What a method asks of the client. */
enum hba_needs {
    HBA_NEEDS_NOTHING,
    HBA_NEEDS_CLEARTEXT,
    HBA_NEEDS_MD5_OR_SCRAM,
    HBA_NEEDS_SCRAM,
    HBA_NEEDS_CERT,
    HBA_NEEDS_PEER,
    HBA_NEEDS_GSS,
    HBA_NEEDS_OAUTHBEARER,
    HBA_NEEDS_OTHER,
};

/** What a client of the method leaves the gate to log in to the server with. */
enum hba_leaves { HBA_LEAVES_NO_SECRET, HBA_LEAVES_PASSWORD, HBA_LEAVES_KEYS, HBA_LEAVES_KEYS_OR_NONE };

enum hba_type { HBA_LOCAL, HBA_HOST, HBA_HOSTSSL, HBA_HOSTNOSSL, HBA_HOSTGSSENC, HBA_HOSTNOGSSENC };
enum hba_clientcert { CLIENTCERT_NONE, CLIENTCERT_VERIFY_CA, CLIENTCERT_VERIFY_FULL };
enum hba_clientname { CLIENTNAME_CN, CLIENTNAME_DN, CLIENTNAME_SAN };

/* ---- rules ---- */

/** What a token of the database or user field means. */
enum hba_name_kind {
    HBA_NAME_EXACT,
    HBA_NAME_ALL,
    HBA_NAME_SAMEUSER,    /* database only */
    HBA_NAME_SAMEROLE,    /* database only; samegroup too */
    HBA_NAME_REPLICATION, /* database only */
    HBA_NAME_MEMBER,      /* user only: +role; `text` keeps the plus */
    HBA_NAME_REGEX,       /* `text` keeps the slash */
};

struct hba_name {
    enum hba_name_kind kind;
    struct str text; /* without quotes */
    unsigned regex;  /* HBA_NAME_REGEX: its number in the policy's regex_set */
};

enum hba_addr_kind {
    HBA_ADDR_NONE,
    HBA_ADDR_ALL,
    HBA_ADDR_SAMEHOST,
    HBA_ADDR_SAMENET,
    HBA_ADDR_NET,
    HBA_ADDR_NAME
};

struct hba_addr {
    enum hba_addr_kind kind;
    sa_family_t family; /* HBA_ADDR_NET: AF_INET or AF_INET6 */
    uint8_t addr[16];   /* network order; IPv4 uses the first 4 bytes */
    uint8_t mask[16];
    struct str name; /* HBA_ADDR_NAME: host name or .suffix as written */
};

/** One record. Lives as long as its policy. */
struct hba_rule {
    unsigned number; /* from 1, as rule_number of PostgreSQL's view */
    enum hba_type type;
    enum hba_method method;         /* `ident` on a local record is already PEER */
    enum hba_clientcert clientcert; /* VERIFY_FULL for the method cert */
    enum hba_clientname clientname;
    struct str map; /* empty: none */
    struct str file;
    unsigned line;
    struct str raw; /* the whole logical line */
    const struct hba_name *databases;
    size_t n_databases;
    const struct hba_name *users;
    size_t n_users;
    struct hba_addr address;
    const struct str *options; /* [HBA_OPTION_COUNT], p == NULL where not given; NULL: none at all */
};

/* ---- loading ---- */

struct policy; /* immutable */

/** What the caller can apply; what a record needs beyond it is an error with file and line. */
struct policy_features {
    bool roles_known;     /* memberships can be looked up: `+role`, samerole, samegroup */
    bool sans;            /* clientname=SAN, which PostgreSQL does not have */
    bool oauth_unchecked; /* oauth is judged elsewhere: do not ask for oauth_validator_libraries */
};

struct policy_params {
    struct str hba_file;   /* relative paths start at the working directory */
    struct str ident_file; /* empty: no maps */
    unsigned pg_version;   /* major version whose reading is wanted; 0 means 18 */
    bool ssl_on;
    struct policy_features features;
    bool reload; /* a bad ident file refuses a reload; at start it only means no maps (WARNING) */
    /**
     * At a reload: whose maps stay where the ident file cannot be opened (WARNING); loaded with `archive`, and
     * from the same ident file. NULL: none.
     */
    const struct policy *running;
    const char *oauth_validator_libraries; /* NULL: empty, PostgreSQL's default */
    const struct hba_lex_fs *fs;           /* NULL: the real disk */
    const struct archive_head *archive; /* not NULL: keep what is read, for policy_archive(); without `fs` */
    /**
     * Look up a name of `radiusservers`, as PostgreSQL does while it parses: 0 or EAI_…. NULL: the system's.
     */
    int (*resolve_server)(const char *name);
};

/**
 * Read both files.
 *
 * params  borrowed.
 * diags   borrowed; every error of both files (SEV_ERROR), and what PostgreSQL only logs (SEV_LOG,
 *         SEV_WARNING).
 * out     set on OK: one reference, returned to the caller.
 *
 * May block (disk; name service for `radiusservers`). E_CONFIG: see diags; E_NO_FILE and kin: the hba file
 * could not be opened, diags says so too; E_NOMEM.
 */
MUST_CHECK enum code policy_load(const struct policy_params *params, struct policy **out,
                                 struct diags *diags);

/** What was read for it, as archive_write() writes it; empty without policy_params.archive. Lives as long as
 * the policy. */
struct bytes policy_archive(const struct policy *policy);
struct policy *policy_ref(struct policy *policy);
/** The last reference frees it. NULL is fine. */
void policy_unref(struct policy *policy);
void policy_auto(struct policy **policy);

/** Rules in file order; rule I has number I + 1, so hit counters can live in an array beside the policy. */
size_t policy_rule_count(const struct policy *policy);
const struct hba_rule *policy_rule(const struct policy *policy, size_t index);
/** True when the files name the map. */
bool policy_has_map(const struct policy *policy, struct str map);
/** Number of map lines. */
size_t policy_map_count(const struct policy *policy);

/** A file or directory that was looked at while loading, there or not: what a watcher watches. */
struct policy_path {
    struct str path;
    bool is_dir;
};
/** Lives as long as the policy. */
const struct policy_path *policy_paths(const struct policy *policy, size_t *out_n);

/* ---- the rows of PostgreSQL's views ---- */

/** A list of texts, for text[] columns. */
struct str_list {
    const struct str *items;
    size_t n;
};

/** A row of pg_hba_file_rules. A text with p == NULL and a list with items == NULL are NULL. */
struct hba_row {
    unsigned rule_number; /* 0: NULL */
    struct str file_name;
    unsigned line_number;
    struct str type;
    struct str_list database;
    struct str_list user_name;
    struct str address;
    struct str netmask;
    struct str auth_method;
    struct str_list options;
    struct str error;
    struct str hidden; /* why the file is refused where `error` stays NULL as in PostgreSQL; else p == NULL */
};

/** A row of pg_ident_file_mappings. */
struct ident_row {
    unsigned map_number; /* 0: NULL */
    struct str file_name;
    unsigned line_number;
    struct str map_name;
    struct str sys_name;
    struct str pg_username;
    struct str error;
};

/** Passwords are in pg_hba_file_rules, as in PostgreSQL's, and nowhere else. */
enum hba_secrets { HBA_SECRETS_HIDDEN, HBA_SECRETS_SHOWN };

struct hba_rows {
    struct hba_row *rows;
    size_t n;
    bool refused; /* a server would not load this file */
};

struct ident_rows {
    struct ident_row *rows;
    size_t n;
    bool refused;
};

#endif
