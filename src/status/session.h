/**
 * Whose statement it is: the user, the connection, and what SQL may set in motion in this session's name.
 */
#ifndef PGSEAL_STATUS_SESSION_H
#define PGSEAL_STATUS_SESSION_H

#include "base/err.h"

struct env;

enum signal_kind { SIGNAL_TERMINATE, SIGNAL_CANCEL };
enum signal_result { SIGNAL_SENT, SIGNAL_NO_SESSION, SIGNAL_DENIED, SIGNAL_AMBIGUOUS };

struct signal_request {
    enum signal_kind kind;
    int32_t pid;
    struct str user; /* who asks */
    bool is_admin;   /* in admin_users */
};

/**
 * What SQL may set in motion. In the gate called on the SQL thread; must be thread-safe. Each returns soon: a
 * reload within its 0.3 s.
 */
struct console_actions {
    void *ctx;
    /**
     * pg_reload_conf(), for admins only (checked before). `note` is the NOTICE to show: message, detail and
     * hint as far as given, e.g. "configuration reloaded, generation 4" or file and line of the refusal.
     * Returns false when the request could not be made at all; `note` is then a WARNING.
     */
    bool (*reload)(void *ctx, struct err *note);
    /** pgseal_recheck(), likewise: the hosts of upstream_check_url are asked again. False: there are none. */
    bool (*recheck)(void *ctx, struct err *note);
    /**
     * pg_terminate_backend(pid), pg_cancel_backend(pid).
     * SIGNAL_DENIED when the session belongs to somebody else and is_admin is false. SIGNAL_AMBIGUOUS:
     * servers number their processes for themselves, and several sessions that the user may signal have that
     * pid; none was signaled, and `e` has message, detail and hint. [choice: the wrong one must not be hit]
     */
    enum signal_result (*signal)(void *ctx, const struct signal_request *request, struct err *e);
};

/** One attribute of a distinguished name, for ssl_client_dn_field(). */
struct dn_field {
    struct str name;  /* short name, long name or dotted OID: give a row for each */
    struct str value; /* escaped as in the slash form */
};

/** One extension of the client's certificate, for ssl_extension_info(). */
struct ssl_extension {
    struct str name;
    struct str value;
    bool critical;
};

/** The asking session's own connection, for sslinfo's functions. Empty texts are NULL. */
struct console_tls {
    bool used;
    bool cert_present;
    struct str version;
    struct str cipher;
    struct str client_dn;     /* cut to 63 bytes by the caller */
    struct str issuer_dn;     /* likewise */
    struct str client_serial; /* decimal */
    const struct dn_field *subject_fields;
    size_t subject_field_count;
    const struct dn_field *issuer_fields;
    size_t issuer_field_count;
    const struct ssl_extension *extensions;
    size_t extension_count;
    bool (*field_known)(struct str name); /* the name is one OpenSSL knows; NULL: not checked */
};

struct console_option {
    struct str name;
    struct str value;
};

/** All texts are copied by console_new. */
struct console_params {
    const struct env *env; /* borrowed; its clock is also asked on the SQL thread */
    struct str user;
    struct str database;
    struct str system_user; /* empty: NULL */
    struct str client_addr; /* numeric, empty: unix socket */
    struct str server_addr;
    int client_port;
    int server_port;
    int32_t pid;
    bool is_admin;        /* admin_users: may reload, signal anybody, see all rows */
    bool can_see_all;     /* stats_users: may see all rows */
    int64_t started_us;   /* when the gate started, microseconds since 1970 */
    int64_t loaded_us;    /* when the configuration in force was loaded: pg_conf_load_time() */
    int scram_iterations; /* told to the client */
    unsigned deadline_ms; /* 0: CONSOLE_DEADLINE_MS_DEFAULT */
    struct console_tls tls;
    const struct console_option *options; /* the StartupMessage's other parameters */
    size_t option_count;
    struct console_actions actions;
};

#endif
