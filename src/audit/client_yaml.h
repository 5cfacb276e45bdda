/**
 * Patroni's YAML.
 */
#ifndef PGSEAL_AUDIT_CLIENT_YAML_H
#define PGSEAL_AUDIT_CLIENT_YAML_H

#include "audit/client_files.h"

/** Its own connections, and "patroni.PATH" for every value. [src: Patroni 4.1, "YAML Configuration Settings"]
 * E_NOMEM. */
MUST_CHECK enum code client_yaml_patroni(struct str text, struct client_items *items);
/**
 * Every value of the file as a setting "PREFIX.PATH"; with `numbered` as "PREFIXn.PATH" of document n, where a path
 * through the maps of a list has their number: "a.b[0].c". NULL: all of it was read; else why the rest was not.
 */
const char *client_yaml_values(struct str text, const char *prefix, bool numbered,
                               struct client_items *items);

#endif
