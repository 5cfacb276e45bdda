/**
 * A conversation with a console in memory; what it answers, as lines of text.
 *
 *   T pid:23 ssl:16   RowDescription: name:OID[b]
 *   D 4711|t|~        DataRow, ~ for NULL, binary as hex
 *   C SELECT 1        E 42703 8 column …   N NOTICE …   Z I   s, I, n, 1, 2, 3, c
 */
#ifndef PGSEAL_TESTS_STATUS_TALK_H
#define PGSEAL_TESTS_STATUS_TALK_H

#include "base/buf.h"
#include "base/env.h"
#include "clerk_here.h"
#include "fixture.h"

struct talk {
    struct fixture fixture;
    struct env env;
    int64_t now_us;  /* both clocks */
    int64_t tick_us; /* by which the monotonic clock goes on each time it is asked */
    struct clerk_here clerk;
    struct console *console;
    struct buf sent; /* messages not yet fed */
    struct buf out;
    struct buf lines;
    enum console_step step;
    unsigned jobs;
};

void talk_begin(struct talk *t, const char *user, bool is_admin);
void talk_end(struct talk *t);
/** Messages to be sent by the next talk_go(). */
void talk_query(struct talk *t, const char *sql);
void talk_parse(struct talk *t, const char *name, const char *sql, const uint32_t *types, size_t count);
/** Text parameters; NULL for NULL. format: of all results. */
void talk_bind(struct talk *t, const char *portal, const char *name, const char *const *values, size_t count);
void talk_bind_binary(struct talk *t, const char *portal, const char *name);
void talk_message(struct talk *t, char type, struct bytes body);
void talk_describe(struct talk *t, char kind, const char *name);
void talk_execute(struct talk *t, const char *portal, uint32_t limit);
void talk_sync(struct talk *t);
/** Feed what was sent, `step` bytes at a time (0: at once), run the jobs, return the answer's lines. */
const char *talk_go(struct talk *t, size_t step);
/** One simple Query. */
const char *talk_ask(struct talk *t, const char *sql);

#endif
