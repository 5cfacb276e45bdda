/**
 * Does this certificate belong to this host? libpq's answer, which differs from RFC 9525's.
 *
 * All subjectAltName entries are walked in order; dNSName entries are compared as text even with a host that
 * is an address; the common name counts only where no entry is of the host's own type.
 * [src: PostgreSQL 18, "Client Verification of Server Certificates"; pq_verify_peer_name_matches_certificate]
 */
#ifndef PGSEAL_CLIENT_VERIFY_H
#define PGSEAL_CLIENT_VERIFY_H

#include "base/err.h"

struct cert_names;
struct san;

/**
 * names  as cert_names_of() found them.
 * host   the `host` of the conninfo's entry, not its address; empty: E_TLS, a name must be given.
 *
 * OK: the certificate is for this host. E_TLS with libpq's text otherwise.
 */
MUST_CHECK enum code verify_host(const struct cert_names *names, struct str host, struct err *e);
/** True when the host is an address in libpq's eyes: inet_aton (`127.1` too) or an IPv6 address. */
bool verify_host_is_ip(struct str host);
/** One text comparison: ASCII case-insensitive, `*.` at the front of `pattern` stands for one label. */
bool verify_name_matches(struct str pattern, struct str host);
/** Does any name of `names` cover this one: the same, or a wildcard for it? */
bool verify_names_match(const struct cert_names *names, const struct san *wanted);

#endif
