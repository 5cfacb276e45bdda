/**
 * Configurations of clients: where in their text connections stand, and what they are made with.
 *
 * Service files, pgbouncer.ini, pgbackrest.conf, files of environment variables, Patroni's YAML, and any other text in which
 * connection strings stand. Pure functions of the text; they look at nothing else.
 */
#ifndef PGSEAL_AUDIT_CLIENT_FILES_H
#define PGSEAL_AUDIT_CLIENT_FILES_H

#include "audit/subject.h"
#include "client/conninfo.h"
#include "client/pasted_words.h"

struct arena;

enum client_file {
    CLIENT_FILE_SERVICE,
    CLIENT_FILE_PGBOUNCER,
    CLIENT_FILE_ENVIRONMENT,
    CLIENT_FILE_PATRONI,
    CLIENT_FILE_PGBACKREST,
    CLIENT_FILE_PASSWORDS, /* ~/.pgpass: only who may read it counts */
    CLIENT_FILE_TEXT,      /* anything else: connection strings that are in it */
};

/** One connection, or why something that looks like one could not be read. */
struct client_item {
    enum subject_purpose purpose;
    struct str name;
    unsigned line, mode_line; /* mode_line: of its sslmode, if that has a line of its own; 0: it has none */
    struct str text;          /* a connection string; p is NULL: `options` */
    struct conn_options options; /* what is said beside the text, or instead of it */
    enum pasted_driver driver;
    bool no_verify;   /* said to verify nothing */
    struct str error; /* p is NULL: none */
    bool elsewhere;   /* of `error`: what is missing is not in the file, which is not at fault */
};

struct client_items {
    struct arena *arena;
    struct client_item *items;
    size_t n, room;
    struct subject_setting *settings; /* of the program itself, by "pgbouncer.NAME", "patroni.PATH" */
    size_t n_settings, settings_room;
    bool too_many; /* settings were left out, and that was said */
};

/** Which kind of file it is, by its name and what is in it. */
enum client_file client_file_kind(struct str name, struct str text);
/**
 * Read it.
 *
 * name    of the file, without its directory: who reads a text is told by it.
 * text    borrowed as long as the items.
 * driver  whose connection strings they are where nothing tells.
 *
 * E_NOMEM. A text that cannot be read becomes items with errors.
 */
MUST_CHECK enum code client_file_read(enum client_file kind, struct str name, struct str text,
                                      enum pasted_driver driver, struct client_items *items);
/** Is there anything of a client in it? */
bool client_file_found(const struct client_items *items);

#endif
