/**
 * Chains: is the file a server serves in order and complete, and would a peer accept it?
 */
#ifndef PGSEAL_PKI_CHAIN_H
#define PGSEAL_PKI_CHAIN_H

#include "pki/cert.h"

struct crl_list;

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
 * Judge the certificates of ssl_cert_file: each one must be followed by its issuer; a chain is complete when
 * it ends in a self-signed certificate or in one whose issuer is a root among `anchors` or, with `system`,
 * in the system's trust store.
 *
 * chain    borrowed, leaf first.
 * anchors  borrowed; may be NULL. Non-roots among them complete nothing (a client may not have them).
 * [src: PostgreSQL 18, "Creating Certificates": intermediates belong in the server's file]
 */
struct chain_params {
    const struct cert_list *chain;
    const struct cert_list *anchors;
    bool system;
};
MUST_CHECK enum code chain_check(const struct chain_params *params, struct arena *arena,
                                 struct chain_report *out, struct err *e);
/**
 * Turn a report into a row of `diags`: order and strays are errors; incompleteness a warning, or an error
 * when `strict`. CHAIN_FINE adds nothing.
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
