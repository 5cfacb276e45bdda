/**
 * A conversation with a running gate: its status database, over a Unix-domain socket. There its own account and root are
 * let in. It waits: this is for commands.
 */
#ifndef PGSEAL_CLIENT_GATE_TALK_H
#define PGSEAL_CLIENT_GATE_TALK_H

#include "base/buf.h"
#include "client/login.h"

struct arena;
struct settings;

/** All NULL and -1: no conversation. */
struct gate_talk {
    int fd;
    struct buf in;
    size_t used;              /* of `in` */
    struct arena *arena;      /* of its texts; borrowed */
    struct server_error told; /* the last notice or error */
    bool failed;              /* it was an error */
};

#define GATE_TALK_INIT ((struct gate_talk){ .fd = -1 })

/**
 * Connect and log in.
 *
 * settings     of the gate's directory: where it listens.
 * application  what pgseal_sessions shows.
 * arena        borrowed until gate_talk_close(), receives texts.
 * out          OK also where the gate has refused the session: then out->failed, and out->told says why.
 *
 * E_CONNECT, E_ACCESS, E_PROTOCOL. Blocks for up to a minute.
 */
MUST_CHECK enum code gate_talk_open(const struct settings *settings, const char *application,
                                    struct arena *arena, struct gate_talk *out, struct err *e);
void gate_talk_close(struct gate_talk *talk);
void gate_talk_auto(struct gate_talk *talk);

enum { GATE_COLUMNS_MAX = 64, GATE_ROWS_MAX = 65536 };

/** Rows as texts in the arena; a NULL `p` is SQL's NULL. Row r, column c: cells[r * columns + c]. */
struct gate_rows {
    struct str *cells;
    size_t columns, n;
};

/**
 * One statement.
 *
 * rows  NULL: what it returns is passed over.
 * OK also where it failed: see talk->failed.
 */
MUST_CHECK enum code gate_talk_query(struct gate_talk *talk, struct str sql, struct gate_rows *rows,
                                     struct err *e);
/** The body of a DataRow, `columns` of them into `out`; views of `body`. E_PROTOCOL: it is none, or of another width. */
MUST_CHECK enum code gate_row_parse(struct bytes body, size_t columns, struct str *out);

#endif
