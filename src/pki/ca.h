/**
 * A private certification authority in one directory.
 *
 *   ca.crt     its certificate, for everybody (0644): clients' sslrootcert
 *   ca.key     its key (0600), the only secret; may be kept on another machine
 *   ca.crl     the revocation list as last written (0644)
 *   journal    one line per certificate issued or revoked and per CRL written (0600)
 *   issued/    a copy of every certificate issued, SERIAL.crt (0644)
 *   ca.lock    two runs at once take turns by refusing the second
 *
 * Every file is replaced as a whole (os_write_file). A certificate is in the journal before anybody can
 * have it, so whatever exists can be found and revoked.
 */
#ifndef PGSEAL_PKI_CA_H
#define PGSEAL_PKI_CA_H

#include "pki/crl.h"

struct env;

enum {
    CA_BACKDATE_S = 300,    /* notBefore lies this far back, for clocks that are slow */
    CA_DAYS_DEFAULT = 3650, /* life of the CA certificate */
    CA_LEAF_DAYS_DEFAULT = 90,
    /* nextUpdate of a CRL [choice: it is read from a local file and written again with every command; a short
     * life would only lock everybody out of a gate nobody has touched for a month] */
    CA_CRL_DAYS_DEFAULT = 365,
    CA_DAYS_MAX = 36500,
    CA_NAME_MAX = 64, /* characters in a common name [src: RFC 5280, appendix A.1, ub-common-name] */
    CA_LIST_MAX = 256 /* SAN entries or name constraints in one request */
};

/** What a certificate may be used for; `both` is for servers that also replicate from others. */
enum ca_use { CA_USE_SERVER, CA_USE_CLIENT, CA_USE_BOTH };

/** A name constraint: a DNS suffix, a mail domain, a URI host, or a network. */
struct ca_constraint {
    enum san_type type;
    struct bytes value; /* SAN_IP: address and mask, 8 or 32 bytes */
    bool excluded;
};
/** `dns:example.com`, `ip:10.0.0.0/8`, `email:example.com`, `uri:…`; a leading `!` excludes. E_PARAM. */
MUST_CHECK enum code ca_constraint_parse(struct str text, struct arena *arena, struct ca_constraint *out,
                                         struct err *e);

/** All borrowed. */
struct ca_params {
    struct str common_name;
    struct str organization; /* empty: none */
    enum key_kind key;
    unsigned days;
    int path_length; /* -1: no limit; 0: issues end certificates only */
    const struct ca_constraint *constraints;
    size_t n_constraints;
    const struct secret *passphrase; /* for ca.key; NULL: stored unencrypted */
    bool replace;                    /* an existing key may be overwritten */
};

/**
 * Make the directory (0700) and in it key, certificate, empty journal and first CRL.
 * E_EXISTS when there is a key already and `replace` is not set.
 */
MUST_CHECK enum code ca_create(const char *dir, const struct ca_params *params, const struct env *env,
                               struct err *e);

struct ca;

enum ca_access {
    CA_READ, /* certificate and journal only: neither lock nor key is needed */
    CA_SIGN  /* lock taken, key loaded */
};

/** Where a CA is, and what is needed to use it. */
struct ca_where {
    const char *dir;                         /* borrowed for the call */
    const struct key_passphrase *passphrase; /* asked only if ca.key is encrypted; NULL: then it fails */
    const struct env *env;                   /* borrowed until ca_close() */
};

/**
 * out  returned to caller, ca_close().
 *
 * E_NO_FILE: no CA there. E_EXISTS: another run holds the lock.
 */
MUST_CHECK enum code ca_open(const struct ca_where *where, enum ca_access access, struct ca **out,
                             struct err *e);
void ca_close(struct ca *ca);
void ca_auto(struct ca **ca);
X509 *ca_certificate(const struct ca *ca);

/** All borrowed. */
struct ca_request {
    enum ca_use use;
    struct str common_name;   /* empty: then `subject` is needed */
    struct str organization;  /* empty: none */
    const X509_NAME *subject; /* not NULL: taken as it is, instead of the two above (renewal) */
    const struct san *sans;
    size_t n_sans;
    unsigned days;
};

/**
 * Sign a certificate for `key` (its public half) and enter it in the journal.
 * It never outlives the CA's own: notAfter is cut to the CA's.
 *
 * out  returned to caller, cert_free().
 * E_PARAM for a request that makes no sense (no name at all, a SAN the CA's constraints forbid, …).
 */
MUST_CHECK enum code ca_issue(struct ca *ca, const struct ca_request *request, EVP_PKEY *key, X509 **out,
                              struct err *e);
/** A certificate signed by its own key; it belongs to no CA and is in no journal. */
MUST_CHECK enum code ca_self_sign(const struct ca_request *request, EVP_PKEY *key, const struct env *env,
                                  X509 **out, struct err *e);
/** The request that would make `cert` again (subject, SANs, use, days of life); texts in `arena`. */
MUST_CHECK enum code ca_request_of(X509 *cert, struct arena *arena, struct ca_request *out, struct err *e);

/** RFC 5280 CRLReason, those that make sense for an end certificate. */
enum ca_reason {
    CA_REASON_UNSPECIFIED = 0,
    CA_REASON_KEY_COMPROMISE = 1,
    CA_REASON_AFFILIATION_CHANGED = 3,
    CA_REASON_SUPERSEDED = 4,
    CA_REASON_CESSATION = 5
};

/** One certificate of the journal; texts live in the arena given. */
struct ca_entry {
    struct str serial_hex;
    enum ca_use use;
    int64_t issued_unix_s;
    int64_t not_after_unix_s;
    struct str sha256;      /* hex */
    struct str subject;     /* slash form */
    int64_t revoked_unix_s; /* 0: not revoked */
    enum ca_reason reason;
};

/** In the order of issue. */
MUST_CHECK enum code ca_entries(struct ca *ca, struct arena *arena, struct ca_entry **out, size_t *out_n,
                                struct err *e);
/** The copy kept in issued/. */
MUST_CHECK enum code ca_issued(struct ca *ca, struct str serial_hex, X509 **out, struct err *e);
/**
 * Enter in the journal; E_UNDEFINED: never issued here; E_EXISTS: revoked before. ca_write_crl() comes next.
 */
MUST_CHECK enum code ca_revoke(struct ca *ca, struct str serial_hex, enum ca_reason reason, struct err *e);
/** Write ca.crl with every revoked certificate, valid for `days`. */
MUST_CHECK enum code ca_write_crl(struct ca *ca, unsigned days, struct err *e);

#endif
