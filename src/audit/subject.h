/**
 * Everything that was seen of what is audited, whatever it was seen through.
 *
 * collect_*.c fill it: from a gate's snapshot or directory, from a data directory, from single files, from a
 * live server. check_*.c judge it and see nothing else, but for the files that it names. All members are
 * borrowed and live as long as the arena of the audit.
 */
#ifndef PGSEAL_AUDIT_SUBJECT_H
#define PGSEAL_AUDIT_SUBJECT_H

#include "base/err.h"

#include <sys/types.h>

struct conninfo;
struct iface_source;
struct policy;
struct settings;
struct settings_route;
struct subject_link;
struct subject_live;

enum subject_kind {
    SUBJECT_GATE,   /* pgseal.conf and what it names */
    SUBJECT_SERVER, /* a PostgreSQL server, or files of one */
    SUBJECT_CLIENT  /* connection strings, and files of programs that connect */
};

/* ---- settings as somebody wrote them ---- */

enum subject_source {
    SUBJECT_FROM_FILE,         /* postgresql.conf and what it includes; pgseal.conf */
    SUBJECT_FROM_AUTO_FILE,    /* postgresql.auto.conf: ALTER SYSTEM */
    SUBJECT_FROM_MANIFEST,     /* of Kubernetes: the operator writes the server's files */
    SUBJECT_FROM_COMMAND_LINE, /* postmaster.opts, -c */
    SUBJECT_FROM_SERVER        /* a live server said so */
};

/** One setting as it was asked for, by a line of a file or in another way. */
struct subject_setting {
    struct str name; /* as written */
    struct str value;
    struct str file; /* empty: in none */
    unsigned line;
    enum subject_source source;
    bool in_force;    /* false: a later one of the same name counts */
    struct str error; /* p is NULL: none; else why a server refuses it, in PostgreSQL's words */
};

/* ---- connections that go out ---- */

enum subject_purpose {
    PURPOSE_UPSTREAM,     /* of a gate */
    PURPOSE_STANDBY,      /* primary_conninfo */
    PURPOSE_SUBSCRIPTION, /* pg_subscription */
    PURPOSE_FOREIGN,      /* a foreign server: postgres_fdw, dblink_fdw */
    PURPOSE_DBLINK,       /* a text that calls dblink */
    PURPOSE_SERVICE,      /* an entry of a service file */
    PURPOSE_POOLER,       /* PgBouncer and the like */
    PURPOSE_CLUSTER,      /* Patroni's own connections */
    PURPOSE_APPLICATION   /* a connection string of an application */
};

struct subject_connection {
    enum subject_purpose purpose;
    struct str name;             /* what it is called there, such as a subscription's name; empty: nothing */
    struct str file;             /* where it is written; empty: in no file */
    unsigned line;               /* 0: none */
    unsigned mode_line;          /* of its sslmode, if it is on a line of its own; 0: it does not */
    struct str where;            /* where it is written if in no file, such as a row */
    struct str fix;              /* a statement that makes it verified; empty: none is known */
    struct str program;          /* the name of the process that has it; empty: none */
    const struct conninfo *info; /* effective values */
    const struct settings_route *route; /* PURPOSE_UPSTREAM; else NULL */
    const struct subject_link *link;    /* all but PURPOSE_UPSTREAM, which has `info` instead */
};

/* ---- roles ---- */

enum subject_secret {
    SECRET_UNSEEN, /* nobody showed it */
    SECRET_NONE,
    SECRET_SCRAM,
    SECRET_MD5,
    SECRET_UNRECOGNIZED /* neither, such as a clear text */
};

struct subject_role {
    struct str name;
    enum subject_secret secret;
    unsigned iterations; /* SECRET_SCRAM */
    bool superuser, can_login, replication;
    bool has_valid_until;
    int64_t valid_until_unix_s; /* INT64_MAX: infinity */
    int connection_limit;       /* -1: none */
};

/* ---- certificates of their own for some names ---- */

/** A line of hosts_file, in force with ssl_sni. Paths are absolute; NULL: not given. */
struct subject_host {
    struct str file;
    unsigned line;
    const struct str *names; /* "*": any other name; "/no_sni/": clients that name none */
    size_t n_names;
    const char *cert, *key, *ca;
};

/** A key that another target of the same audit holds. */
struct subject_key {
    struct str target, file, subject;
    uint8_t certificate[32], key[32]; /* SHA-256 of each */
};

enum subject_fips { FIPS_UNSEEN, FIPS_ON, FIPS_OFF };

/* ---- what was not seen ---- */

/** Something that would have counted, and was not to be had. */
struct subject_unseen {
    struct str what;
    struct str why;
    unsigned items; /* bits 1 << item: points of the checklist that cannot be called fulfilled */
};

/** Something that is wrong with a file itself: the server refuses it, so the rest is not what it seems. */
struct subject_broken {
    struct str file;
    unsigned line;
    struct str error; /* in PostgreSQL's words */
};

/** Of a manifest, the rules that come before its own. */
enum { MANIFEST_FIXED_RULES = 4 };

/** Clients of a gate that were admitted over the network lately: what they verify, as canaries have shown it. */
enum { VERIFYING_DAYS = 30 /* [choice: who has not come for a month is gone] */ };
struct subject_verifying {
    size_t clients;
    size_t nothing;      /* accepted a stranger's certificate */
    size_t any_name;     /* accepted a wrong name */
    size_t fully;        /* refused both */
    size_t name_unknown; /* refused a stranger's, and was not shown a wrong name */
    struct str first_nothing, first_any_name;
};

struct audit_subject {
    enum subject_kind kind;
    struct str name;            /* the target, as the user wrote it */
    struct str operators_rules; /* of a manifest: the file of the rules that the operator writes */
    bool manifest;    /* of a cluster that runs elsewhere: files that it names are not on this machine */
    struct str dir;   /* the gate's, or the data directory; empty: not known */
    unsigned version; /* major version of the server; 0: not known */
    unsigned minor;   /* its minor version, if `minor_seen` */
    bool minor_seen;
    struct str version_of; /* the program that says so; empty: the server itself */
    struct str openssl;    /* the series of its OpenSSL, "3.0"; empty: not known */
    struct str openssl_of; /* what says so */
    bool owner_seen; /* the account that a server runs under is known: the owner of its data directory */
    uid_t owner;
    unsigned dir_mode; /* permission bits of the data directory, if `owner_seen` */
    int64_t now_unix_s;
    enum subject_fips fips; /* of the machine */

    /* In force, a gate's or those of a server that a gate knows too, with the server's defaults. */
    const struct settings *settings;
    bool settings_seen; /* false: nothing was seen of them; `settings` are defaults that prove nothing */
    const struct subject_setting *raw; /* of a server: all that were asked for */
    size_t n_raw;
    const struct str *files; /* of a server: every settings file that was read */
    size_t n_files;

    const struct policy *policy; /* NULL: not seen, or refused */
    const struct iface_source *ifaces;
    const struct subject_broken *broken_rules; /* hba and ident files */
    size_t n_broken_rules;
    const struct subject_broken *broken_settings;
    size_t n_broken_settings;
    const struct subject_broken *broken_client; /* of programs that connect */
    size_t n_broken_client;

    const struct subject_host *hosts;
    size_t n_hosts;
    struct str hosts_file; /* where a line can be added; empty: ssl_sni is off */
    const struct subject_key *others;
    size_t n_others;

    const struct subject_connection *connections;
    size_t n_connections;
    const struct subject_role *roles; /* NULL: not seen */
    size_t n_roles;
    const struct subject_live *live;           /* NULL: no running server was asked */
    const struct subject_verifying *verifying; /* NULL: nobody was tried out */
    struct bytes served;                       /* DER of the certificate that clients get; empty: not known */

    const struct subject_unseen *unseen;
    size_t n_unseen;
};

/** The setting of this name that counts, any case; NULL: it has its default, or was not seen. */
const struct subject_setting *subject_raw(const struct audit_subject *subject, const char *name);

/** True when this file was not to be seen, and that has been said. */
bool subject_is_unseen(const struct audit_subject *subject, const char *path);
/** The i-th file of CAs that client certificates are verified with, from 0: of the hosts where there are any, else
 * ssl_ca_file. NULL after the last. */
const char *subject_client_ca(const struct audit_subject *subject, size_t i);
/** Where a setting is written; `out_file` is empty where it is not. */
void subject_place(const struct audit_subject *subject, const char *name, struct str *out_file,
                   unsigned *out_line);

#endif
