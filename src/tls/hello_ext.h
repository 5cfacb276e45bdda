/**
 * Extensions of a ClientHello, as OpenSSL hands them out: their bodies, of which it has checked nothing yet.
 * [src: RFC 6066 §3; RFC 7301 §3.1; RFC 8446 §4.2.1]
 */
#ifndef PGSEAL_TLS_HELLO_EXT_H
#define PGSEAL_TLS_HELLO_EXT_H

#include "base/err.h"

/** Server name: the first name of the list, which has one; it points into `extension`. False: it is broken. */
MUST_CHECK bool hello_name(struct bytes extension, struct str *out);
/** ALPN: is this one of the protocols? What is broken has none. */
bool hello_has_protocol(struct bytes extension, struct bytes protocol);
/**
 * Supported versions: lowers *min and raises *max to what is offered, of SSL 3.0 to TLS 1.3; *min of 0 is none yet.
 * Other numbers (GREASE, drafts) do not count.
 */
void hello_versions(struct bytes extension, uint16_t *min, uint16_t *max);

#endif
