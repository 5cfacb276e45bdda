/**
 * Rows of clients.h in a file: SQLite, one table, opened for each use and closed again.
 *
 * Whatever happens to the process, the file holds what the last finished client_store_save() left. What is
 * not a file of ours, belongs to others or is open to others is never written to.
 */
#ifndef PGSEAL_STATUS_CLIENTS_STORE_H
#define PGSEAL_STATUS_CLIENTS_STORE_H

#include "status/clients.h"

/** Called with each row; `row` is borrowed for the call. */
typedef void client_row_fn(void *arg, const struct client_row *row);

/**
 * Read all rows, those seen longest ago first. OK without any where there is no file.
 *
 * path  absolute, without symbolic links.
 * E_DAMAGED: it is no database, a broken one, somebody else's, or one of a later version; rows may have been
 * given. E_CONFIG: owner or permissions. E_ACCESS, E_IO, E_NOMEM.
 */
MUST_CHECK enum code client_store_load(const char *path, client_row_fn *each, void *arg, struct err *e);

/** What is to be written: `next` gives the rows one after the other, NULL at the end. */
struct client_changes {
    const struct client_row *(*next)(void *arg);
    void *arg;
    size_t limit; /* of rows in the file: others are forgotten, first those that never had a session */
};

/** Write rows in one transaction; the file is made (0600) where there is none. E_DISK_FULL, or as above. */
MUST_CHECK enum code client_store_save(const char *path, const struct client_changes *changes, struct err *e);

/** Put the file away, as `path`.damaged; one that is there already is replaced. */
MUST_CHECK enum code client_store_set_aside(const char *path, struct err *e);

#endif
