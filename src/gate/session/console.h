/**
 * The status database as a room: what others may ask of a session that is in it.
 */
#ifndef PGSEAL_GATE_SESSION_CONSOLE_H
#define PGSEAL_GATE_SESSION_CONSOLE_H

#include "status/console.h"

struct session;
struct worker;

enum { CONSOLE_PID_FIRST = 1 << 30 /* above every pid of an operating system */ };

/** Transaction state as in ReadyForQuery; *busy: a statement is being worked on. Worker's thread. */
char console_room_state(const struct session *s, bool *out_busy);
/** The statement being run or run last; borrowed until the session goes on. */
struct str console_room_query(const struct session *s);
/** When it, its transaction and the present state began. Worker's thread. */
struct console_times console_room_times(const struct session *s);
/** The running statement ends with 57014. Worker's thread. */
void console_room_cancel(struct session *s);

/** What statements may set in motion (console_actions.c). */
struct console_actions console_actions_of(struct worker *worker);

#endif
