/**
 * What the gate and the clerk say to each other.
 *
 * The clerk (src/clerk) is a process of its own that reads, types and runs the statements of the status
 * database. The gate keeps the sessions: their protocol, prepared texts, cursors' names, settings,
 * transactions. What crosses is a statement's text, its parameters, the facts of the session that asks, and
 * the rows of the views it names, of which the gate sends only those that this session may see.
 *
 * Frames are PostgreSQL's: a type byte, a length word that counts itself, a body. Each request but 'C' and 'K'
 * has one answer; between them the clerk may ask for actions.
 *
 *   gate → clerk                                   clerk → gate
 *   P  plan the statements of a text               p  what they are, or where the first mistake is
 *   R  run one: text, parameters, session, rows    r  messages for the client, how many rows, is it the end
 *   N  go on with it                               r
 *   T  make the status report of these rows        t  JSON
 *   C  forget a statement that has not ended       (no answer)
 *   K  stop what is running                        (no answer of its own)
 *   A  what became of the action                   a  reload, recheck, or signal a session
 *                                                  e  an error, with its place in the text
 *
 * The gate does not trust the clerk, which has read clients' statements: everything that comes from there has
 * a limit, and only well-formed rows and notices are passed on to a client. The clerk trusts the gate's
 * content, but reads it within bounds anyway.
 */
#ifndef PGSEAL_STATUS_CLERK_WIRE_H
#define PGSEAL_STATUS_CLERK_WIRE_H

#include "base/arena.h"
#include "base/rd.h"
#include "base/wr.h"
#include "pgtypes/pgtypes.h"
#include "status/session.h"

#include <stdatomic.h>

enum clerk_type {
    CLERK_PLAN = 'P',
    CLERK_RUN = 'R',
    CLERK_NEXT = 'N',
    CLERK_REPORT = 'T',
    CLERK_FORGET = 'C',
    CLERK_CANCEL = 'K',
    CLERK_ACTED = 'A',
    CLERK_PLANNED = 'p',
    CLERK_ROWS = 'r',
    CLERK_REPORTED = 't',
    CLERK_ACT = 'a',
    CLERK_ERROR = 'e'
};

enum {
    CLERK_HEADER = 5,
    CLERK_REQUEST_MAX = 256 << 20,             /* rows of all views together */
    CLERK_CHUNK = 256 * 1024,                  /* an answer ends when it has about so many bytes of rows */
    CLERK_MESSAGES_MAX = 64 << 20,             /* and its last row may make it as long as this */
    CLERK_REPLY_MAX = CLERK_MESSAGES_MAX + 64, /* length word of any answer */
    CLERK_PLAN_MAX = 8 << 20,                  /* of the description of a text's statements */
    CLERK_REPORT_MAX = 8 << 20,                /* bytes of the report's JSON */
    CLERK_TEXT_MAX = 1 << 20,                  /* any one text of a request */
    CLERK_PARAMS_MAX = 1024,
    CLERK_COLUMNS_MAX = 1664
};

/* ---- how the gate reaches the clerk ---- */

/** A question and what bounds its answer. */
struct clerk_call {
    struct bytes request;        /* a whole frame; borrowed */
    int64_t budget_us;           /* the clerk stops by itself when it is used up; soon after it is killed */
    int64_t timeout_ms;          /* statement_timeout, where that is the budget; 0: the budget is ours */
    const atomic_bool *canceled; /* borrowed; may be NULL */
    const struct console_params *self; /* in whose name it acts; NULL: it may not act */
    uint64_t generation;               /* in: the clerk that must answer, 0: any. out: which one did */
};

/** A statement that the clerk may still have open. */
struct clerk_open {
    uint64_t id;
    uint64_t generation; /* of the clerk that has it; 0: none has */
    struct clerk_open *next;
};

/** The line to the clerk. ask() belongs to the SQL thread; the others may be called on any. */
struct clerk_line {
    void *ctx;
    /**
     * Ask and wait. `out_body` is borrowed until the next question.
     * E_CANCELED, E_CURSOR_NAME (another clerk is at work now), E_BAD_STATE (the clerk is lost, or said what it
     * may not), E_SHUTDOWN, E_NOMEM.
     */
    enum code (*ask)(void *ctx, struct clerk_call *call, char *out_type, struct bytes *out_body,
                     struct err *e);
    /** `open` is taken; it will be freed. */
    void (*forget)(void *ctx, struct clerk_open *open);
    /** A call's `canceled` has been set. */
    void (*wake)(void *ctx);
    /** On the SQL thread: the last answer was malformed; that clerk is not asked again. */
    void (*distrust)(void *ctx);
};

/* ---- pieces ---- */

void clerk_put_i64(struct wr *w, int64_t v);
int64_t clerk_take_i64(struct rd *r);
void clerk_put_str(struct wr *w, struct str s);
/** Of at most `max` bytes; borrowed. */
struct str clerk_take_str(struct rd *r, size_t max);
/** The same without NUL bytes. */
struct str clerk_take_text(struct rd *r, size_t max);
bool clerk_take_bool(struct rd *r);
/** Below `count`. */
unsigned clerk_take_enum(struct rd *r, unsigned count);
/** Fill in what was left open at `at`. */
void clerk_patch_u32(struct buf *b, size_t at, uint32_t v);

void clerk_put_error(struct wr *w, const struct err *e, uint32_t at);
/** `out->code` may be OK: for notes. */
void clerk_take_error(struct rd *r, struct err *out, uint32_t *out_at);
/** A whole 'e' frame. */
void clerk_error_frame(struct buf *out, const struct err *e, uint32_t at);

void clerk_put_datum(struct wr *w, const struct datum *value);
struct datum clerk_take_datum(struct rd *r);

/* ---- bodies ---- */

/** Begins every request that takes time. */
struct clerk_budget {
    int64_t budget_us;
    int64_t timeout_ms;
};

void clerk_put_budget(struct wr *w, const struct clerk_budget *budget);
struct clerk_budget clerk_take_budget(struct rd *r);

/** A text to plan, and for whom. */
struct clerk_text {
    bool is_admin;
    bool can_see_all;
    int64_t now_us; /* what 'now' in a literal means */
    struct str text;
    const enum pg_type *params; /* as declared, or as found before */
    size_t param_count;
};

void clerk_put_text(struct wr *w, const struct clerk_text *text);
/** params live in `arena`. */
void clerk_take_text_request(struct rd *r, struct arena *arena, struct clerk_text *out);

/** What a client wants to see of a row. */
enum row_form { ROW_DATA, ROW_COPY, ROW_NONE };

/** How far to go on with a statement. */
struct clerk_fetch {
    uint64_t id;
    enum row_form form;
    int64_t limit;                 /* rows */
    const enum pg_format *formats; /* one per column; NULL: all text */
    size_t format_count;
};

void clerk_put_fetch(struct wr *w, const struct clerk_fetch *fetch);
/** formats live in `arena`. */
void clerk_take_fetch(struct rd *r, struct arena *arena, struct clerk_fetch *out);

/** An answer with rows. */
struct clerk_chunk {
    bool end; /* the statement has no more */
    int64_t rows;
    struct bytes messages;
};

/**
 * In the gate: read an answer and see that its messages are what the client expects: DataRow of `columns`
 * columns, CopyData, or none, as many as are counted, and notices; whole and well-formed.
 */
MUST_CHECK bool clerk_read_chunk(struct bytes body, const struct clerk_fetch *asked, size_t columns,
                                 struct clerk_chunk *out);

/* ---- actions ---- */

enum clerk_action_kind {
    CLERK_ACT_RELOAD,
    CLERK_ACT_RECHECK,
    CLERK_ACT_TERMINATE,
    CLERK_ACT_CANCEL,
    CLERK_ACT_COUNT
};

struct clerk_action {
    enum clerk_action_kind kind;
    int32_t pid;
};

struct clerk_acted {
    bool done; /* of a reload or recheck */
    enum signal_result signal;
    struct err note;
};

/** In the gate: do it, if `self` may. */
void clerk_act(const struct console_params *self, const struct clerk_action *action, struct clerk_acted *out);
void clerk_action_frame(struct buf *out, const struct clerk_action *action);
MUST_CHECK bool clerk_read_action(struct bytes body, struct clerk_action *out);
void clerk_acted_frame(struct buf *out, const struct clerk_acted *acted);
MUST_CHECK bool clerk_read_acted(struct bytes body, struct clerk_acted *out);

#endif
