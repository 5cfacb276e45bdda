/**
 * Names in certificates, in each of the forms PostgreSQL shows or compares them.
 *
 * Everything found is copied into the caller's arena. Values may hold any byte, NUL included, unless an
 * entry says otherwise: a name that is to be compared must be looked at with its length.
 */
#ifndef PGSEAL_PKI_NAME_H
#define PGSEAL_PKI_NAME_H

#include "base/err.h"

#include <openssl/types.h>

struct arena;

/** More subjectAltName entries than this refuse the certificate. */
enum { NAME_SANS_MAX = 4096 };

/**
 * `/O=Acme\, Inc/OU=Ünit/CN=alice`: encoding order, short names, RFC 2253 escapes but UTF-8 left alone.
 * Not truncated: PostgreSQL's views cut it to 63 bytes, its log to the last 71.
 * [src: PostgreSQL 18, "The sslinfo module", ssl_client_dn; be-secure-openssl.c X509_NAME_to_cstring]
 */
MUST_CHECK enum code name_slash(const X509_NAME *name, struct arena *arena, struct str *out, struct err *e);

/**
 * `CN=alice,OU=\C3\9Cnit,O=Acme\, Inc`: reverse order, `+` in multi-valued RDNs, non-ASCII bytes escaped.
 * The form that `clientname=DN` matches; E_AUTH when the text holds a NUL.
 * [src: PostgreSQL 18, "The pg_hba.conf File", clientname]
 */
MUST_CHECK enum code name_rfc2253(const X509_NAME *name, struct arena *arena, struct str *out, struct err *e);

/** One attribute of a name, if it is there. */
struct name_value {
    bool present;
    bool has_nul;     /* then nobody may use `value` as a name */
    struct str value; /* of name_cn: raw bytes of the entry, not converted */
};

/** The first CN in encoding order. [src: PostgreSQL 18, be-secure-openssl.c be_tls_open_server] */
MUST_CHECK enum code name_cn(const X509_NAME *name, struct arena *arena, struct name_value *out,
                             struct err *e);

/**
 * First value of one attribute, with the escapes of name_slash.
 *
 * field  short name, long name or dotted number, as OpenSSL knows them.
 * out    not present when the name has no such attribute.
 *
 * E_PARAM `invalid X.509 field name: "X"` when OpenSSL does not know the name.
 * [src: PostgreSQL 18, "The sslinfo module", ssl_client_dn_field]
 */
MUST_CHECK enum code name_field(const X509_NAME *name, struct str field, struct arena *arena,
                                struct name_value *out, struct err *e);

/** One attribute under each name that name_field() takes for it; empty: it has none such. */
struct name_attribute {
    struct str short_name, long_name, dotted;
    struct str value; /* as name_field() gives it */
};

/** All attributes whose names OpenSSL knows, in the name's order. */
MUST_CHECK enum code name_attributes(const X509_NAME *name, struct arena *arena, struct name_attribute **out,
                                     size_t *out_n, struct err *e);
/** True for a name that name_field() takes. */
bool name_field_known(struct str field);

/** Decimal digits of any length, with a sign if negative. */
MUST_CHECK enum code name_serial_decimal(const ASN1_INTEGER *serial, struct arena *arena, struct str *out,
                                         struct err *e);
/** The positive value in lower-case hex, without leading zeros beyond whole bytes: "0a1b…". */
MUST_CHECK enum code name_serial_hex(const ASN1_INTEGER *serial, struct arena *arena, struct str *out,
                                     struct err *e);

enum san_type {
    SAN_DNS,
    SAN_IP, /* 4 or 16 bytes in a well-formed certificate; other lengths are kept, for the caller to refuse */
    SAN_URI,
    SAN_EMAIL,
    SAN_OTHER /* directory names, otherName …; the value is empty */
};

struct san {
    enum san_type type;
    struct bytes value;
};

/** What a host name is compared with: all SAN entries in the certificate's order, and the first CN. */
struct cert_names {
    struct san *sans;
    size_t n_sans;
    struct name_value cn;
};

/** E_TLS when the extension cannot be decoded or occurs twice, E_LIMIT beyond NAME_SANS_MAX. */
MUST_CHECK enum code cert_names_of(X509 *cert, struct arena *arena, struct cert_names *out, struct err *e);
struct stack_st_GENERAL_NAME; /* GENERAL_NAMES */
/** The alternative names alone, into `sans` and `n_sans`. E_LIMIT beyond NAME_SANS_MAX. */
MUST_CHECK enum code cert_names_copy(const struct stack_st_GENERAL_NAME *names, struct arena *arena,
                                     struct cert_names *out, struct err *e);
/** "dns:db.example.com", "ip:192.0.2.1", … for people; bytes that are not printable ASCII as \xNN. */
MUST_CHECK enum code san_text(const struct san *san, struct arena *arena, struct str *out, struct err *e);
/** The reverse, from the command line: `dns:`, `ip:`, `uri:`, `email:`; without a prefix dns or ip by its
 * look. */
MUST_CHECK enum code san_parse(struct str text, struct arena *arena, struct san *out, struct err *e);

#endif
