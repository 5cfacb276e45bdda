/**
 * Values of single connection options that need more than a word list. For conninfo.c.
 */
#ifndef PGSEAL_CLIENT_CONNINFO_VALUES_H
#define PGSEAL_CLIENT_CONNINFO_VALUES_H

#include "client/conninfo.h"

/** What to do about a URI that falls apart at a password's characters. */
#define CONN_ENCODE_HINT "Percent-encode the special characters of a password."

/** strtol's idea of a number, blanks around it allowed; E_PARAM `invalid integer value "V" for …`. */
MUST_CHECK enum code conn_parse_int(struct str value, const char *keyword, int32_t *out, struct err *e);
/** Any case; unset or empty: TLS_BOUND_NONE. E_PARAM `invalid "NAME" value: "V"`. */
MUST_CHECK enum code conn_parse_tls_bound(struct str value, const char *keyword, enum tls_bound *out,
                                          struct err *e);
/** A list of methods, all of them bare or all of them with `!`; empty: everything is allowed. */
MUST_CHECK enum code conn_parse_require_auth(struct str list, unsigned *out, struct err *e);
/** Unset values give 3.0, or the latest where the minimum asks for more. */
MUST_CHECK enum code conn_parse_protocols(struct str min, struct str max, uint32_t *out_min,
                                          uint32_t *out_max, struct err *e);
/** Base64 of 32 bytes; unset: *out stays NULL. `which` is "client" or "server". */
MUST_CHECK enum code conn_parse_scram_key(struct str value, const char *which, struct arena *arena,
                                          struct secret **out, struct err *e);

#endif
