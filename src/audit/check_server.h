/**
 * How a PostgreSQL server is run: versions, modes of its files, limits; and the OpenSSL of server or gate.
 */
#ifndef PGSEAL_AUDIT_CHECK_SERVER_H
#define PGSEAL_AUDIT_CHECK_SERVER_H

#include "audit/finding.h"

void check_server(struct audit *a);

#endif
