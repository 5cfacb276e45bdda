/**
 * libpq connection strings: text → values → checked settings, with libpq's meaning and messages.
 *
 * Three steps, as in libpq: conn_options_parse (syntax), conn_options_defaults (service file, environment,
 * built-in values), conninfo_build (checks). conninfo_parse does all three. What is outside the text, such
 * as files and environment, is reached through `struct conn_world`, so that tests and fuzzers need none of
 * it. [src: PostgreSQL 18, "Connection Strings", "Parameter Key Words"]
 */
#ifndef PGSEAL_CLIENT_CONNINFO_H
#define PGSEAL_CLIENT_CONNINFO_H

#include "auth/scram_client.h"
#include "base/err.h"
#include "base/secret.h"

struct arena;
struct buf;

#define CONN_DEFAULT_SOCKET_DIR "/var/run/postgresql" /* Debian's */

enum conn_option {
#define X(name, keyword, environment, value, secrecy) CONN_##name,
#include "conninfo.def"
#undef X
    CONN_OPTION_COUNT
};

/** Raw values; p == NULL: not given (an empty value is given). */
struct conn_options {
    struct str v[CONN_OPTION_COUNT];
    bool port_of_uri; /* a port that is no number may then be a piece of a password: not to be shown */
};

/** What a path is, as far as the rules for certificates, keys and password files ask. */
struct conn_file {
    int error; /* errno of stat, 0: the file is there */
    bool regular;
    bool owned_by_root;
    unsigned mode; /* permission bits, 0777 */
};

/** The machine around a connection string. Borrowed wherever it is passed. */
struct conn_world {
    /** NULL: no such variable. A NULL function: the environment is not consulted. */
    const char *(*getenv)(void *ctx, const char *name);
    /** Append a whole file to `out`; E_NO_FILE when it is not there. */
    enum code (*read_file)(void *ctx, const char *path, struct buf *out, struct err *e);
    struct conn_file (*stat_file)(void *ctx, const char *path);
    struct str home;    /* home directory; empty: there is none */
    struct str os_user; /* name of the OS user; empty: unknown */
    struct str
        user_error; /* libpq's text where os_user is empty, e.g. `local user with ID 7 does not exist` */
    void *ctx;
};

/** libpq's own rules, or those of the gate's `upstream` setting. */
enum conn_dialect {
    CONN_LIBPQ,
    /**
     * sslmode defaults to verify-full, `password=` and unusable options are refused, the environment, the
     * service file and the home directory play no part. [choice: what the gate does follows from its own files alone]
     */
    CONN_GATE
};

enum sslmode {
    SSLMODE_DISABLE,
    SSLMODE_ALLOW,
    SSLMODE_PREFER,
    SSLMODE_REQUIRE,
    SSLMODE_VERIFY_CA,
    SSLMODE_VERIFY_FULL
};
enum sslnegotiation { SSLNEG_POSTGRES, SSLNEG_DIRECT };
enum sslcertmode { SSLCERT_DISABLE, SSLCERT_ALLOW, SSLCERT_REQUIRE };

enum session_attrs {
    ATTRS_ANY,
    ATTRS_READ_WRITE,
    ATTRS_READ_ONLY,
    ATTRS_PRIMARY,
    ATTRS_STANDBY,
    ATTRS_PREFER_STANDBY
};
/** TLS versions in the order of their numbers; NONE: no limit. */
enum tls_bound { TLS_BOUND_NONE, TLS_BOUND_1_0, TLS_BOUND_1_1, TLS_BOUND_1_2, TLS_BOUND_1_3 };

/** Methods of require_auth, as bits. [src: PostgreSQL 18, "Parameter Key Words", require_auth] */
enum auth_method_bit {
    AUTH_BIT_PASSWORD = 1 << 0,
    AUTH_BIT_MD5 = 1 << 1,
    AUTH_BIT_GSS = 1 << 2,
    AUTH_BIT_SSPI = 1 << 3,
    AUTH_BIT_SCRAM = 1 << 4,
    AUTH_BIT_OAUTH = 1 << 5,
    AUTH_BIT_NONE = 1 << 6,
    AUTH_BIT_ALL = (1 << 7) - 1
};

enum conn_host_kind {
    CONN_HOST_NAME,    /* to be looked up */
    CONN_HOST_ADDRESS, /* hostaddr was given: `host` is only the name to verify */
    CONN_HOST_UNIX     /* `host` is a directory, or an abstract name with its @ */
};

/** One entry of the comma lists host, hostaddr, port. */
struct conn_host {
    enum conn_host_kind kind;
    struct str host;     /* empty: only hostaddr was given */
    struct str hostaddr; /* empty: none */
    struct str port_text;
    uint16_t port; /* 0: `port_text` is not a port; the entry is passed over with a message when reached */
};

struct conninfo {
    struct conn_options options; /* after defaults */
    struct conn_host *hosts;
    size_t host_count;
    struct str user;
    struct str dbname;
    struct bytes password; /* of the options; empty: none given */
    enum sslmode sslmode;
    enum sslnegotiation sslnegotiation;
    enum sslcertmode sslcertmode;
    bool sslsni;
    enum tls_bound tls_min;
    enum tls_bound tls_max;
    enum channel_binding channel_binding;
    unsigned auth_allowed;   /* enum auth_method_bit: what require_auth lets through */
    struct str require_auth; /* the list as written, for messages; empty: no demand */
    uint32_t protocol_min;   /* 3.0 or 3.2, as PROTOCOL_3_x */
    uint32_t protocol_max;
    enum session_attrs session_attrs;
    bool load_balance;
    uint32_t connect_timeout_s; /* 0: none */
    bool keepalives;            /* TCP only, like the four numbers; 0 there: the system's */
    int32_t keepalives_idle_s;
    int32_t keepalives_interval_s;
    int32_t keepalives_count;
    int32_t tcp_user_timeout_ms;
    struct str requirepeer;          /* OS user of a Unix-socket server; empty: any */
    struct secret *scram_client_key; /* 32 bytes; NULL: not given */
    struct secret *scram_server_key;
};

enum {
    CONN_HOSTS_MAX = 1024,     /* entries of a host list [choice: libpq has no limit] */
    CONN_TEXT_MAX = 64 * 1024, /* bytes of a connection string [choice: no limit in libpq] */
    CONN_SERVICE_FILE_MAX = 1 << 20
};

/** "verify-full" and its like. */
const char *sslmode_name(enum sslmode mode);
/** The mode of a word; E_PARAM with libpq's text and the words that there are. */
MUST_CHECK enum code conn_parse_sslmode(struct str value, enum sslmode *out, struct err *e);

/**
 * Check all values in libpq's order and lay them out.
 *
 * The result lives in `arena`. E_PARAM with libpq's text, cut where it would not fit `struct err`.
 */
MUST_CHECK enum code conninfo_build(const struct conn_options *options, const struct conn_world *world,
                                    enum conn_dialect dialect, struct arena *arena, struct conninfo *out,
                                    struct err *e);
/** All three steps. */
MUST_CHECK enum code conninfo_parse(struct str text, const struct conn_world *world,
                                    enum conn_dialect dialect, struct arena *arena, struct conninfo *out,
                                    struct err *e);
/** Wipe the secrets that lie in the arena; the values stay readable otherwise. */
void conninfo_wipe(struct conninfo *info);

#endif
