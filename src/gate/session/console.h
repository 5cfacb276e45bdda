/**
 * The status database as a room: what others may ask of a session that is in it.
 */
#ifndef PGSEAL_GATE_SESSION_CONSOLE_H
#define PGSEAL_GATE_SESSION_CONSOLE_H

#include "gate/session/session.h"
#include "status/console.h"

struct session;
struct worker;

struct gather;

/**
 * The views, which are above the sessions that they show; the steward hands them in (gate_shared.views).
 * All on the worker's thread.
 */
struct view_services {
    /** Begin to copy what these views need of the workers; *out NULL: nothing. False: memory ran out. */
    bool (*gather)(struct worker *worker, uint64_t views, void (*done)(void *arg), void *arg,
                   struct gather **out);
    /** `done` will not be called. NULL is fine. */
    void (*forget)(struct gather *gather);
    void (*free)(struct gather *gather);
    /** The rows of a statement; `gather` is taken on success. */
    bool (*rows)(struct worker *worker, struct gather *gather, struct row_source *out);
};

enum { CONSOLE_PID_FIRST = 1 << 30 /* above every pid of an operating system */ };

/** Transaction state as in ReadyForQuery; *busy: a statement is being worked on. Worker's thread. */
char console_room_state(const struct session *s, bool *out_busy);
/** It waits for the next statement, outside a transaction. Worker's thread. */
bool console_room_idle(const struct session *s);
/** The statement being run or run last; borrowed until the session goes on. */
struct str console_room_query(const struct session *s);
/** When it, its transaction and the present state began. Worker's thread. */
struct console_times console_room_times(const struct session *s);
/** The running statement ends with 57014. Worker's thread. */
void console_room_cancel(struct session *s);

/** The status database. */
enum step console_enter(struct session *s, struct err *e);
enum step console_step(struct session *s, struct err *e);
void console_drain(struct session *s, bool now);
void console_leave(struct session *s);

#endif
