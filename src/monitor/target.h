/**
 * One target of `pgseal monitor`: what it has on disk, whom it wants asked, and what was answered.
 *
 * monitor_add_path() reads files and lists the endpoints to ask; the caller fetches what they serve and gives it to
 * monitor_ask_answer(); monitor_target_finish() adds what needs all rows. Targets share nothing.
 */
#ifndef PGSEAL_MONITOR_TARGET_H
#define PGSEAL_MONITOR_TARGET_H

#include "base/arena.h"
#include "monitor/row.h"
#include "pki/trust.h"

struct conn_world;

enum {
    MONITOR_ROWS_MAX = 4096, /* of one target [choice: the system's trust store has about 150 certificates] */
    MONITOR_ASKS_MAX = 1024
};

/** The same for all targets; borrowed. */
struct monitor_params {
    const struct conn_world *world; /* for the upstreams' connection strings */
    const struct expiry_days *days; /* NULL: shares of a life */
    int64_t now_s;
    const struct trust *roots;   /* what endpoints are verified with; NULL: they are not */
    bool system_roots;           /* … the system's trust store instead */
    const struct crl_list *crls; /* what endpoints' certificates must not be on; NULL: none */
    bool inventory;              /* what clients have shown, too */
};

enum monitor_ask_kind {
    ASK_ENDPOINT, /* a target of its own */
    ASK_SERVED,   /* does it serve the certificate of `disk`? */
    ASK_UPSTREAM  /* the upstream server of a gate, or the primary of a standby */
};

/** An endpoint to be asked for its certificates. */
struct monitor_ask {
    enum monitor_ask_kind kind;
    struct str label;    /* "db.example.com:5432" */
    struct str host;     /* the name to verify */
    struct str hostaddr; /* where to connect; empty: where the name leads */
    struct str sni;      /* to ask for; empty: the host */
    bool nameless;       /* to ask for none */
    struct str visit;    /* by which a gate of ours knows the visit under other names; empty: it cannot */
    struct str whom;     /* " to clients that …", who get what `disk` has; empty: all */
    unsigned port;
    bool direct;    /* it is known to be asked without SSLRequest */
    bool plain_tls; /* it is no PostgreSQL */
    bool checks_name;
    bool verifies; /* with `roots`, or the system's */
    bool system_roots;
    bool may_lack_tls;        /* a connection without TLS would do there */
    struct trust roots;       /* owned */
    struct str deployed;      /* for the rows */
    struct monitor_row *disk; /* ASK_SERVED: the row that is judged */
    STAILQ_ENTRY(monitor_ask) next;
};

STAILQ_HEAD(monitor_asks, monitor_ask);

struct monitor_target {
    const struct monitor_params *params;
    struct arena arena;
    struct str text; /* as given; borrowed */
    struct str
        sni; /* for the asks of its own listeners: a name that nobody has, by which a gate knows them */
    bool is_gate;
    struct monitor_rows rows;
    struct monitor_asks asks;
    size_t n_rows, n_asks;
    struct cert_list known; /* every certificate that was seen here, for the paths of issuers */
    struct crl_list crls;   /* every list, for those that are on it */
};

/** text: borrowed as long as the target. */
void monitor_target_init(struct monitor_target *target, const struct monitor_params *params, struct str text);
void monitor_target_fini(struct monitor_target *target);

/* ---- for those who fill it ---- */

/** An empty row, to be filled. */
MUST_CHECK enum code monitor_add_row(struct monitor_target *target, const char *kind, struct str where,
                                     struct monitor_row **out, struct err *e);

/** A row for a certificate (one more reference is taken). NULL in *out where the target has too many. */
MUST_CHECK enum code monitor_add_cert(struct monitor_target *target, const char *kind, struct str where,
                                      X509 *cert, struct monitor_row **out, struct err *e);
MUST_CHECK enum code monitor_add_crl(struct monitor_target *target, struct str where, X509_CRL *crl,
                                     struct monitor_row **out, struct err *e);
/** A row for what could not be looked at. */
MUST_CHECK enum code monitor_add_fault(struct monitor_target *target, const char *kind, struct str where,
                                       enum monitor_status status, const char *why, struct err *e);
/** A zeroed ask in the list. E_LIMIT, E_NOMEM. */
MUST_CHECK enum code monitor_add_ask(struct monitor_target *target, struct monitor_ask **out, struct err *e);
/** When everything was read and answered: paths of issuers, and who is on a list. */
MUST_CHECK enum code monitor_target_finish(struct monitor_target *target, struct err *e);

#endif
