/* IPv4-mapped addresses. */
#include "base/ip.h"

#include <netinet/in.h>
#include <string.h>

bool ip_is_mapped(const uint8_t address[16])
{
    static const uint8_t prefix[IP_MAPPED_BITS / 8] = { [10] = 0xff, [11] = 0xff };

    return memcmp(address, prefix, sizeof prefix) == 0;
}

void ip_unmap(struct sockaddr_storage *ss, socklen_t *n)
{
    struct sockaddr_in6 in6;
    struct sockaddr_in in = { .sin_family = AF_INET };

    if (ss->ss_family != AF_INET6)
        return;
    memcpy(&in6, ss, sizeof in6);
    if (!ip_is_mapped(in6.sin6_addr.s6_addr))
        return;
    in.sin_port = in6.sin6_port;
    memcpy(&in.sin_addr, in6.sin6_addr.s6_addr + IP_MAPPED_BITS / 8, sizeof in.sin_addr);
    memset(ss, 0, sizeof *ss);
    memcpy(ss, &in, sizeof in);
    *n = sizeof in;
}
