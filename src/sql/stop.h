/**
 * What stops a statement before its end.
 */
#ifndef PGSEAL_SQL_STOP_H
#define PGSEAL_SQL_STOP_H

#include "base/err.h"

enum statement_stop {
    STOP_USER,
    STOP_TIMEOUT, /* statement_timeout */
    STOP_LIMIT    /* the status database's own */
};

/** E_CANCELED, in PostgreSQL's words where it has some. */
enum code statement_stopped(enum statement_stop why, struct err *e);

#endif
