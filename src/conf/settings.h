/**
 * Text to settings: pgseal.conf and command-line overrides become one immutable struct settings.
 *
 * Names, units, limits and messages are PostgreSQL's where PostgreSQL has the setting. A load reports every
 * error it finds and gives nothing unless there was none.
 * [src: PostgreSQL 18, "Setting Parameters"; guc.c]
 */
#ifndef PGSEAL_CONF_SETTINGS_H
#define PGSEAL_CONF_SETTINGS_H

#include "base/err.h"
#include "setting_values.def"

struct arena;
struct conf_fs;
struct sockaddr;

/* enum conf_tls_version { CONF_TLS_ANY, … }, and so on for every set of words. */
#define SETTING_ENUMERATOR_(enumerator, word, shown) enumerator,
#define SETTING_ENUM_(set) enum set { VALUES_##set(SETTING_ENUMERATOR_) };
SETTING_VALUE_SETS(SETTING_ENUM_)
#undef SETTING_ENUM_
#undef SETTING_ENUMERATOR_

enum { SHARE_PERCENT = 10000, SHARE_WHOLE = 100 * SHARE_PERCENT };

/** A path. `text` is what was written (PostgreSQL's messages name that), `path` is where to look. */
struct settings_file {
    struct str text; /* empty: not set */
    char *path;      /* absolute when the gate's directory is; NULL: not set */
};

struct settings_names {
    const struct str *at;
    size_t n;
};

enum { SETTINGS_LOGINS_MAX = 6 };

/** upstream_login: each way at most once, in the order written. */
struct settings_logins {
    enum conf_upstream_login at[SETTINGS_LOGINS_MAX];
    size_t n;
};

struct settings_net {
    uint8_t address[16]; /* IPv4 in the first four bytes */
    unsigned prefix_bits;
    bool is_ipv6;
};

struct settings_nets {
    const struct settings_net *at;
    size_t n;
};

/** What upstream, auth_source, upstream_login and max_db_connections are for one database. */
struct settings_route {
    struct str database; /* empty for the default route (index 0); of a host, "sni:HOST" */
    struct str host;     /* p == NULL: the route of a database */
    /**
     * What metrics, views and messages call it: `default`, or the database. A database that is called
     * default, or whose name begins with a double quote, is in double quotes, so that no two labels are
     * the same.
     */
    struct str label;
    struct str upstream; /* conninfo text, not parsed here; empty: no server */
    enum conf_auth_source auth_source;
    struct settings_logins upstream_login;
    int max_db_connections;
    unsigned index;           /* position in settings->routes: a key for arrays beside the settings */
    bool owns_upstream;       /* upstream.NAME is set; otherwise it is the default's */
    struct str upstream_file; /* where `upstream` was written; empty: nowhere or command line */
    unsigned upstream_line;
};

/** What max_user_connections is for one user. */
struct settings_user {
    struct str user;
    int max_user_connections;
};

#define SETTING_MEMBER_BOOL(member, values) bool member;
#define SETTING_MEMBER_INT(member, values) int member;
/* In millionths. */
#define SETTING_MEMBER_SHARE(member, values) int member;
#define SETTING_MEMBER_STRING(member, values) struct str member;
#define SETTING_MEMBER_FILE(member, values) struct settings_file member;
#define SETTING_MEMBER_ENUM(member, values) enum values member;
#define SETTING_MEMBER_NAMES(member, values) struct settings_names member;
#define SETTING_MEMBER_DIRS(member, values) struct settings_names member;
/* Bits: (1u << CONF_LOG_RECEIPT) and so on. */
#define SETTING_MEMBER_FLAGS(member, values) unsigned member;
#define SETTING_MEMBER_LOGINS(member, values) struct settings_logins member;
#define SETTING_MEMBER_NETS(member, values) struct settings_nets member;

/**
 * All settings in force; immutable, reference counted, thread-safe to read.
 *
 * The members are those of tables/settings.def, e.g. `int port`, `struct settings_file ssl_cert_file`,
 * `enum conf_tls_version ssl_min_protocol_version`, `int authentication_timeout_s`.
 */
struct settings {
#define X(member, name, type, values, unit, min, max, boot, context, category, flags, short_desc, extra)     \
    SETTING_MEMBER_##type(member, values)
#include "settings.def"
#undef X
    struct str dir;                      /* absolute */
    const struct settings_route *routes; /* [0] is the default, the rest sorted by database name */
    size_t n_routes;
    const struct settings_user *users; /* sorted by name: those with a limit of their own */
    size_t n_users;
    bool limits_names;              /* some user or database has a limit */
    size_t n_database_routes;       /* these come first, hosts behind them, sorted by name */
    struct settings_names files;    /* every file and include_dir directory that was looked at */
    const struct setting_row *rows; /* sorted by name */
    size_t n_rows;
    struct settings_core *core; /* private */
};

enum setting_context { SETTING_INTERNAL, SETTING_POSTMASTER, SETTING_SIGHUP };
enum setting_source {
    SETTING_FROM_DEFAULT,
    SETTING_FROM_FILE,
    SETTING_FROM_COMMAND_LINE,
    SETTING_FROM_OVERRIDE
};
enum setting_flags {
    SETTING_HIDDEN = 1,
    SETTING_OCTAL = 2,
    SETTING_ABSOLUTE = 4,
    SETTING_NAME = 8,
    SETTING_ASCII = 16,
    SETTING_SECRET = 32,
    SETTING_CONNINFO = 64
};

/** One setting as SHOW and pg_settings print it. A text whose `p` is NULL is SQL's NULL. */
struct setting_row {
    struct str name;    /* upstream."My Db" for a database's own */
    struct str raw;     /* as written, before units and words were understood */
    struct str show;    /* what SHOW prints: with unit, e.g. "1min"; here and below without passwords */
    struct str setting; /* what pg_settings prints: without */
    struct str unit;    /* "s" */
    struct str category;
    struct str short_desc;
    struct str extra_desc;
    struct str vartype; /* bool, integer, string, enum */
    struct str min_val;
    struct str max_val;
    struct settings_names enumvals; /* only for vartype enum */
    struct str boot_val;
    struct str reset_val;
    struct str sourcefile;
    unsigned sourceline; /* 0: NULL */
    enum setting_source source;
    enum setting_context context;
    bool hidden;          /* only for those who may read all settings */
    bool secret;          /* `raw` may hold a password: the log never repeats it */
    bool pending_restart; /* the file asks for another value than the one in force */
};

/** One line of the files, for pg_file_settings. */
struct setting_file_row {
    struct str sourcefile;
    unsigned sourceline;
    unsigned seqno;
    struct str name; /* p is NULL for a line that is no setting */
    struct str setting;
    struct str error; /* p is NULL when there is none */
    bool applied;
};

struct settings_params {
    struct str dir;              /* the gate's directory (-D); relative paths start there */
    struct str config_file;      /* empty: DIR/pgseal.conf */
    const struct str *overrides; /* "name=value" of -c, the last of one name wins, all win over files */
    size_t n_overrides;
    const struct settings *running; /* NULL at start; else settings that need a restart are kept from it */
    const struct conf_fs *fs;       /* NULL: the disk */
};

/**
 * Read all files and overrides.
 *
 * params  borrowed. `running` is only read; the result is independent of it.
 * out     set on OK; returned to caller with one reference.
 * diags   every complaint: SEV_ERROR rows refuse the load; SEV_LOG rows name settings that wait for a restart
 *         (`parameter "x" cannot be changed without restarting the server`).
 *
 * E_CONFIG: something is wrong in text; E_NO_FILE, E_ACCESS, E_IO: the main file cannot be read (a row says
 * so too); E_NOMEM. Reads files, else never blocks.
 */
MUST_CHECK enum code settings_load(const struct settings_params *params, struct settings **out,
                                   struct diags *diags);
struct settings *settings_ref(const struct settings *settings);
void settings_unref(struct settings *settings);
void settings_unrefp(struct settings **settings);

/** The row of a setting, any case, old names too; NULL when there is none. [src: guc.c, find_option] */
const struct setting_row *settings_find(const struct settings *settings, struct str name);

/** The lock that a running gate holds in that directory. */
#define STATE_LOCK "pgseal.lock"
#define STATE_SECRET "pgseal.secret"
#define STATE_CLIENTS "pgseal.clients"
/** Where the gate keeps what it writes itself: state_directory, or the gate's directory. Lives as long. */
const char *settings_state_dir(const struct settings *settings);
/** True when a connection from `peer` (IPv4, IPv6 or IPv4 in IPv6) must begin with a PROXY header. */
bool settings_proxy_expected(const struct settings *settings, const struct sockaddr *peer);

/** Is the name in the list? */
bool settings_listed(const struct settings_names *names, struct str name);

/** The severity from which on lines are written, of log_min_messages. */
enum severity settings_log_severity(const struct settings *settings);

/**
 * What a reload changed: SEV_LOG rows `parameter "NAME" changed to "VALUE"` (without the value where it may
 * hold a password) and `parameter "NAME" removed from configuration file, reset to default`.
 */
void settings_log_changes(const struct settings *before, const struct settings *after, struct diags *diags);

/**
 * Read the files again and say of each line what it would do; for the view pg_file_settings.
 *
 * arena  the rows live there.
 * Bad lines are rows, not failures. Passwords in connection strings are hidden.
 */
MUST_CHECK enum code settings_file_rows(const struct settings_params *params, struct arena *arena,
                                        const struct setting_file_row **out_rows, size_t *out_n);

/** The word of an enumerator, e.g. conf_auth_source_name(CONF_AUTH_QUERY) is "query". */
#define SETTING_NAME_FUNCTION_(set) const char *set##_name(enum set value);
SETTING_VALUE_SETS(SETTING_NAME_FUNCTION_)
#undef SETTING_NAME_FUNCTION_

#endif
