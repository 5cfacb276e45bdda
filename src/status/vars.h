/**
 * The settings of one session of the status database: what SET, SHOW and RESET are about, beside the gate's
 * own settings in pg_settings.
 *
 * Names are found in any case and shown in PostgreSQL's spelling.
 */
#ifndef PGSEAL_STATUS_VARS_H
#define PGSEAL_STATUS_VARS_H

#include "base/err.h"

struct buf;

/** What PostgreSQL 18 a client believes to talk to. */
#define CONSOLE_SERVER_VERSION "18.6 (pgseal " PGSEAL_VERSION ")"
#define CONSOLE_SERVER_VERSION_NUM "180006"

struct vars;

/** NULL when memory ran out. Values start as their defaults. */
struct vars *vars_new(void);
void vars_free(struct vars *vars);
void vars_auto(struct vars **vars);

size_t vars_count(const struct vars *vars);
/**
 * The spelling that SHOW uses as a column's name; borrowed, or `name` itself where nothing better is known.
 */
struct str vars_proper_name(struct str name);
/** The variables by position, for SHOW ALL; false after the last. */
bool vars_at(const struct vars *vars, size_t i, struct str *out_name, struct str *out_value,
             struct str *out_help);
/** False when the session has no such setting. */
bool vars_get(const struct vars *vars, struct str name, struct str *out_name, struct str *out_value);
/**
 * Set what a client may set. `changed`: true when a ParameterStatus is due.
 * E_UNDEFINED, E_CANT_CHANGE, E_PARAM with PostgreSQL's message.
 */
MUST_CHECK enum code vars_set(struct vars *vars, struct str name, struct str value, bool *out_changed,
                              struct err *e);
/** Back to the value of the session's start. Empty name: all; then out_changed tells about any of them. */
MUST_CHECK enum code vars_reset(struct vars *vars, struct str name, bool *out_changed, struct err *e);
/** A value that only the server decides on, such as session_authorization. */
void vars_preset(struct vars *vars, const char *name, struct str value);
/** From now on RESET goes back to the present values. */
void vars_mark(struct vars *vars);
/** A transaction begins: ROLLBACK will go back to the present values. */
void vars_begin(struct vars *vars);
/** What was set last shall stay after COMMIT too (SET, not SET LOCAL). Empty name: all. */
void vars_keep(struct vars *vars, struct str name);
void vars_commit(struct vars *vars);
void vars_rollback(struct vars *vars);
/** ParameterStatus for every reported setting, or only for those not reported with this value before. */
void vars_report(struct vars *vars, bool only_changed, struct buf *out);
/** A time in ms such as statement_timeout; 0 when off. */
int64_t vars_ms(const struct vars *vars, const char *name);

#endif
