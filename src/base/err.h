/**
 * One diagnostic value, rendered many times: log, wire, JSON, SQL view.
 *
 * `enum code` is what fallible functions return (OK == 0). `struct err` says what a person
 * needs to know about one failure. `struct diags` collects all failures of a file in one pass.
 */
#ifndef PGSEAL_BASE_ERR_H
#define PGSEAL_BASE_ERR_H

#include "base/slice.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>

struct arena;

#define MUST_CHECK __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))

enum code {
    OK = 0,
#define X(name, sqlstate, exit_status, text) name,
#include "errors.def"
#undef X
};

/** Return early with any code that is not OK. */
#define TRY(call)                                                                                            \
    do {                                                                                                     \
        enum code try_code_ = (call);                                                                        \
        if (try_code_ != OK)                                                                                 \
            return try_code_;                                                                                \
    } while (0)

/** One failure. Written only on failure; texts are cut, never overrun. */
struct err {
    enum code code;
    unsigned line;     /* 0: no line */
    char file[256];    /* empty: no file */
    char message[640]; /* without a final full stop where PostgreSQL's has none */
    char detail[768];
    char hint[384];
    bool detail_is_for_log; /* the client does not get it */
    char sqlstate[6];       /* of an error that another server reported; empty: the code's */
};

/** "E_PROTOCOL". Never NULL. */
const char *code_name(enum code code);
/** Five characters, e.g. "08P01". "00000" for OK. */
const char *code_sqlstate(enum code code);
/** Exit status of a command that ends with this code: 0, 1, 2 or 3. */
int code_exit(enum code code);
/** The default text of a code. */
const char *code_text(enum code code);
/** The code for an errno of open(2) and the like: E_NO_FILE, E_ACCESS, E_DISK_FULL, E_NOMEM or E_IO. */
enum code code_from_errno(int errno_value);

/** Fill `e` (may be NULL) and return `code`, so that `return err_set(e, …)` is one statement. */
enum code err_set(struct err *e, enum code code, const char *fmt, ...) PRINTF_LIKE(3, 4);
#ifdef __clang_analyzer__ /* which cannot see that this function returns `code` */
#define err_set(e, code, ...) (err_set(e, code, __VA_ARGS__), (code))
#endif
/** Add to an error that err_set has filled. `e` may be NULL. */
void err_detail(struct err *e, const char *fmt, ...) PRINTF_LIKE(2, 3);
/** The same for what a client must not learn [src: PostgreSQL 18, errdetail_log]. */
void err_detail_log(struct err *e, const char *fmt, ...) PRINTF_LIKE(2, 3);
void err_hint(struct err *e, const char *fmt, ...) PRINTF_LIKE(2, 3);
void err_where(struct err *e, struct str file, unsigned line);
/** The error is another server's: SQLSTATEs have more to say than codes. What is no SQLSTATE is left out. */
void err_sqlstate_set(struct err *e, struct str sqlstate);
/** Another server's SQLSTATE, or the code's. */
const char *err_sqlstate(const struct err *e);
/** The text to show: the message, or the code's default text. */
const char *err_text(const struct err *e);

/* ---- many failures of one load ---- */

enum severity { SEV_DEBUG, SEV_INFO, SEV_NOTICE, SEV_WARNING, SEV_ERROR, SEV_LOG, SEV_FATAL, SEV_PANIC };

/** PostgreSQL's name, e.g. "WARNING". */
const char *severity_name(enum severity severity);

struct diag {
    enum severity severity; /* SEV_ERROR refuses the load; SEV_WARNING and SEV_LOG do not */
    enum code code;
    struct str file; /* empty: no file */
    unsigned line;   /* 0: no line */
    struct str message;
    struct str detail;
    struct str hint;
    STAILQ_ENTRY(diag) next;
};

/** A list in the order found; everything lives in `arena` (borrowed). */
struct diags {
    struct arena *arena;
    STAILQ_HEAD(, diag) list;
    size_t errors; /* rows with SEV_ERROR */
    bool nomem;    /* a row could not be stored; counts as an error */
};

void diags_init(struct diags *diags, struct arena *arena);
/** Append a row and return it for detail and hint, or NULL when memory ran out (then `nomem` is set). */
struct diag *diags_add(struct diags *diags, enum severity severity, enum code code, struct str file,
                       unsigned line, const char *fmt, ...) PRINTF_LIKE(6, 7);
/** Set hint or detail of a row; `row` may be NULL. */
void diags_hint(struct diags *diags, struct diag *row, const char *fmt, ...) PRINTF_LIKE(3, 4);
void diags_detail(struct diags *diags, struct diag *row, const char *fmt, ...) PRINTF_LIKE(3, 4);
/** Append what `e` says, as an error row. */
void diags_add_err(struct diags *diags, const struct err *e);
/** The first row that refuses the load; NULL: there is none. */
const struct diag *diags_first_error(const struct diags *diags);
/** What that row says, with its place, as a failure of code `code`; `otherwise` where there is none. Returns `code`. */
enum code diags_to_err(const struct diags *diags, enum code code, const char *otherwise, struct err *e);
/** True when nothing refuses the load. */
bool diags_ok(const struct diags *diags);

#endif
