/**
 * Connections that go out: whether they are encrypted, and whether the server is verified.
 */
#ifndef PGSEAL_AUDIT_CHECK_LINKS_H
#define PGSEAL_AUDIT_CHECK_LINKS_H

#include "audit/finding.h"

void check_links(struct audit *a);

#endif
