/**
 * Chains: is the file a server serves in order and complete, and would a peer accept it?
 */
#ifndef PGSEAL_PKI_CHAIN_H
#define PGSEAL_PKI_CHAIN_H

#include "pki/cert.h"

struct crl_list;

/** All borrowed. */
struct chain_params {
    const struct cert_list *chain;   /* what clients get, the leaf first */
    const struct cert_list *anchors; /* the roots among them are taken for clients' own; may be NULL */
    bool system;                     /* clients have the system's trust store, too */
    int64_t now_unix_s;              /* of several issuers one that is valid now is taken */
    const struct cert_list *store;   /* clients have all of these, whatever they are; may be NULL */
};

/* ---- the path that a client finds ---- */

enum path_end {
    PATH_ROOT,   /* in a root that clients have */
    PATH_OWN,    /* in a self-signed certificate that is in the chain only */
    PATH_MISSING /* in a certificate whose issuer is not there */
};

struct chain_path {
    enum path_end end;
    bool *used;                /* in the arena, one per certificate of the chain: on the path */
    size_t index;              /* the last one of the chain that is on the path */
    X509 *last;                /* the last one of the path but for the root: of the chain or of `store` */
    X509 *own;                 /* PATH_OWN: the self-signed one, of the chain */
    bool missing_intermediate; /* PATH_MISSING: the issuer is among `anchors`, and is no root */
    bool detour;               /* OpenSSL's clients try another path first, and give up at its end */
    int error;                 /* X509_V_ERR_… but for dates and a missing issuer; 0: none */
    size_t error_depth;        /* whose: 0 is the leaf */
};

/**
 * Build the path from the leaf as OpenSSL does in a client: whatever is not on it does not matter. Where
 * several lead upwards (cross-signed or renewed copies of a CA), one that ends in a root is enough.
 *
 * The chain must not be empty. Dates are the caller's business. E_NOMEM, E_INTERNAL.
 */
MUST_CHECK enum code chain_path(const struct chain_params *params, struct arena *arena,
                                struct chain_path *out, struct err *e);
/** Do both paths want the same root of clients, one that is not known here? */
bool chain_ends_alike(const struct chain_path *a, const struct chain_path *b);
/** OpenSSL's words for `error`. */
const char *chain_error_text(int error);

/* ---- faults of a chain, in words ---- */

enum chain_fault {
    CHAIN_FINE,
    CHAIN_EMPTY,        /* no certificate */
    CHAIN_OUT_OF_ORDER, /* certificate `index` belongs to the chain, but not at this place */
    CHAIN_STRAY,        /* certificate `index` belongs to no chain that begins with the first one */
    CHAIN_INCOMPLETE    /* certificate `index` is the last one and its issuer is not known here */
};

struct chain_report {
    enum chain_fault fault;
    size_t index;              /* 0 is the leaf */
    struct str subject;        /* of that certificate */
    struct str missing;        /* CHAIN_INCOMPLETE: subject of the issuer that is missing */
    bool missing_intermediate; /* … and it is known to be an intermediate, which clients do not have */
};

/**
 * Judge the certificates of ssl_cert_file: each one issued one in front of it, and the path ends in a root
 * of clients or in a self-signed certificate of its own. Several issuers of one certificate may follow
 * it. A fault of the order is told before incompleteness.
 * [src: PostgreSQL 18, "Creating Certificates": intermediates belong in the server's file; RFC 8446 §4.4.2]
 */
MUST_CHECK enum code chain_check(const struct chain_params *params, struct arena *arena,
                                 struct chain_report *out, struct err *e);
/** The order alone: CHAIN_FINE, CHAIN_EMPTY, CHAIN_OUT_OF_ORDER, CHAIN_STRAY. */
MUST_CHECK enum code chain_order(const struct cert_list *chain, struct arena *arena, struct chain_report *out,
                                 struct err *e);
/** The report on a path with the end PATH_MISSING: CHAIN_INCOMPLETE. */
MUST_CHECK enum code chain_incomplete(const struct chain_path *path, struct arena *arena,
                                      struct chain_report *out, struct err *e);
/**
 * Turn a report into a row of `diags`: an empty chain is an error; order and strays are warnings, for clients
 * find their path anyway; incompleteness is a warning, or an error when `strict`. CHAIN_FINE adds
 * nothing.
 */
void chain_diagnose(const struct chain_report *report, const char *file, bool strict, struct diags *diags);

/* ---- would a peer accept it? ---- */

enum chain_purpose { CHAIN_SERVER, CHAIN_CLIENT, CHAIN_ANY };

/** All borrowed. `crls` may be NULL: no revocation check; else every certificate of the chain needs one. */
struct chain_verify {
    X509 *leaf;
    const struct cert_list *chain; /* untrusted intermediates; may be NULL, may include the leaf */
    const struct cert_list *roots; /* NULL: the system's trust store */
    const struct crl_list *crls;
    enum chain_purpose purpose;
    int64_t now_unix_s;
};

struct chain_verdict {
    bool ok;
    int error;          /* X509_V_ERR_…, 0 when ok */
    int depth;          /* 0 is the leaf */
    struct str text;    /* OpenSSL's words for `error` */
    struct str subject; /* certificate at `depth` */
    struct str issuer;
};

/** As OpenSSL's default verification in PostgreSQL: no partial chains. */
MUST_CHECK enum code chain_verify(const struct chain_verify *what, struct arena *arena,
                                  struct chain_verdict *out, struct err *e);

#endif
