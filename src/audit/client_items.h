/**
 * The list that readers of client files fill.
 */
#ifndef PGSEAL_AUDIT_CLIENT_ITEMS_H
#define PGSEAL_AUDIT_CLIENT_ITEMS_H

#include "audit/client_files.h"

/** NULL: memory ran out. Good until the next one. */
struct client_item *client_items_add(struct client_items *items, enum subject_purpose purpose,
                                     struct str name, unsigned line);
/** A setting of the program itself. `name` is copied after `prefix`. False when memory ran out. */
bool client_items_set(struct client_items *items, const char *prefix, struct str name, struct str value,
                      unsigned line);

#endif
