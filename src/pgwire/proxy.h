/**
 * PROXY protocol version 2: who really connects, told by a balancer as the first bytes on the socket.
 *
 * [src: PROXY protocol specification, section 2.2]
 */
#ifndef PGSEAL_PGWIRE_PROXY_H
#define PGSEAL_PGWIRE_PROXY_H

#include "base/err.h"

#include <sys/socket.h>

enum {
    PROXY_HEADER = 16, /* signature, command, family, length of the rest */
    PROXY_LENGTH_MAX =
        2048, /* of the rest: addresses and TLVs [choice: the specification's own recommendation is 536] */
    PROXY_UNIQUE_ID_MAX = 128
};

struct proxy {
    bool local; /* LOCAL: the balancer speaks for itself, the real peer stays */
    struct sockaddr_storage peer;
    socklen_t peer_n;
    struct bytes
        unique_id; /* the balancer's name for the connection, in its log too; borrowed; n == 0: none */
};

/**
 * Read a header off the front of `in`. An IPv4-mapped address is told as IPv4. Of the TLVs a unique id is told and a
 * CRC-32c is checked; others are passed over: only our own TLS makes `hostssl` match.
 *
 * used  bytes of the header, set on OK.
 *
 * E_MORE. E_PROTOCOL: not version 2, an address family other than TCP over IPv4 and IPv6, a TLV that does not end with
 * the header, or a CRC-32c that does not fit.
 */
MUST_CHECK enum code proxy_parse(struct bytes in, struct proxy *out, size_t *used, struct err *e);

#endif
