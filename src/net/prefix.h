/**
 * Whom an address stands for when something is shared out: one IPv4 address; of IPv6 a network of 64 bits,
 * and the site of 48 bits around it; on a Unix-domain socket the peer's user.
 */
#ifndef PGSEAL_NET_PREFIX_H
#define PGSEAL_NET_PREFIX_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

/** Compared as bytes: there is no padding, and what is not used is zero. */
struct prefix {
    uint8_t kind;
    uint8_t bytes[8];
};

/** IPv4 that is written as IPv6 is IPv4. */
struct prefix prefix_of_address(const struct sockaddr_storage *address);
struct prefix prefix_of_user(uid_t uid);
/** The wider one around it: of IPv6 the 48 bits; of others themselves. */
struct prefix prefix_site(const struct prefix *prefix);
enum { PREFIX_TEXT_MAX = 64 };
/** An IPv4 address as it is, of IPv6 with the bits: "2001:db8::/48". Empty for what is no address. */
void prefix_text(const struct prefix *prefix, char out[PREFIX_TEXT_MAX]);
bool prefix_equal(const struct prefix *a, const struct prefix *b);

#endif
