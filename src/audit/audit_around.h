/**
 * What stands around rules and TLS: the servers behind, who may touch the files, how the gate is run.
 */
#ifndef PGSEAL_AUDIT_AUDIT_AROUND_H
#define PGSEAL_AUDIT_AUDIT_AROUND_H

#include "audit/finding.h"

void audit_upstreams(struct audit *a);
void audit_files(struct audit *a);
void audit_operation(struct audit *a);

#endif
