/**
 * Programs around PostgreSQL that have TLS settings of their own: PgBouncer, Patroni.
 */
#ifndef PGSEAL_AUDIT_CHECK_PROGRAMS_H
#define PGSEAL_AUDIT_CHECK_PROGRAMS_H

#include "audit/finding.h"

void check_programs(struct audit *a);

#endif
