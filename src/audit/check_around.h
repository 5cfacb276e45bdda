/**
 * Checks besides rules and TLS: the upstream servers, who may change the files, how the gate is run.
 */
#ifndef PGSEAL_AUDIT_CHECK_AROUND_H
#define PGSEAL_AUDIT_CHECK_AROUND_H

#include "audit/finding.h"

void check_upstreams(struct audit *a);
void check_files(struct audit *a);
void check_operation(struct audit *a);

#endif
