/**
 * Network addresses as PostgreSQL's inet: an address and a prefix length.
 */
#ifndef PGSEAL_PGTYPES_PGINET_H
#define PGSEAL_PGTYPES_PGINET_H

#include "base/slice.h"

struct buf;

struct pginet {
    bool v6;
    uint8_t prefix; /* 0…32 or 0…128 */
    uint8_t addr[16];
};

/** "10.0.0.1", "10.0.0.0/8", "::1"; blanks and brackets are refused. */
bool pginet_read(struct str in, struct pginet *out);
/** Without the prefix length where it covers a single host. */
void pginet_write(struct buf *out, const struct pginet *inet);
/** PostgreSQL's order: family, common network bits, prefix length, all bits. */
int pginet_compare(const struct pginet *a, const struct pginet *b);
/** True when `a` lies within `b`'s network; with `proper`, only where a's network is smaller. */
bool pginet_within(const struct pginet *a, const struct pginet *b, bool proper);

#endif
