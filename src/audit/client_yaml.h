/**
 * Patroni's YAML.
 */
#ifndef PGSEAL_AUDIT_CLIENT_YAML_H
#define PGSEAL_AUDIT_CLIENT_YAML_H

#include "audit/client_files.h"

/** Its own connections, and "patroni.PATH" for every value. [src: Patroni 4.1, "YAML Configuration Settings"]
 * E_NOMEM. */
MUST_CHECK enum code client_yaml_patroni(struct str text, struct client_items *items);

#endif
