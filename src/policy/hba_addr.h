/**
 * The address field: keywords, networks in both notations, host names.
 */
#ifndef PGSEAL_POLICY_HBA_ADDR_H
#define PGSEAL_POLICY_HBA_ADDR_H

#include "policy/policy_impl.h"

/** The address field and, where it has one, the mask field: *at is the next field to read. */
MUST_CHECK enum code hba_parse_address(struct line_parser *p, size_t *at, struct hba_addr *out);
/** As getnameinfo prints it, without scope. */
MUST_CHECK enum code hba_addr_text(struct arena *arena, sa_family_t family, const uint8_t *addr,
                                   struct str *out);

#endif
