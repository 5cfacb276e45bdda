/**
 * IPv4 addresses in the clothes of IPv6, ::ffff:a.b.c.d: they are IPv4 wherever a rule, a log line or a view is
 * concerned.
 *
 * [src: RFC 4291 §2.5.5.2; PostgreSQL 18 never sees one: its IPv6 sockets are IPV6_V6ONLY]
 */
#ifndef PGSEAL_BASE_IP_H
#define PGSEAL_BASE_IP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

enum { IP_MAPPED_BITS = 96 };

/** Is this an IPv4-mapped address, or a network of such if the mask has IP_MAPPED_BITS or more? */
bool ip_is_mapped(const uint8_t address[16]);
/** Make an IPv4-mapped address the IPv4 address that it stands for; the port stays. Others are left alone. */
void ip_unmap(struct sockaddr_storage *ss, socklen_t *n);

#endif
