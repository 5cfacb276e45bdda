/* ~ and its kin, by the same engine that matches pg_hba.conf. [src: PostgreSQL 18, "POSIX Regular
 * Expressions"] */
#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "policy/regex.h"
#include "sql/db_impl.h"
#include "sql/db_value.h"

#include <stdlib.h>

#define ARGS sqlite3_context *cx, int n, sqlite3_value **args

enum { PATTERN_ARENA_MAX = 4 << 20, PATTERN_MAX = 64 * 1024 };

/* A pattern as checked; SQLite keeps it as long as the pattern is a constant of the statement. */
struct pattern {
    struct arena arena;
    struct regex_set *set;
    unsigned number;
};

static void pattern_free(void *p)
{
    struct pattern *pattern = p;

    arena_fini(&pattern->arena);
    free(pattern);
}

static struct pattern *pattern_new(sqlite3_context *cx, struct str text, bool any_case)
{
    struct pattern *pattern = calloc(1, sizeof *pattern);
    AUTO(buf) struct buf source = BUF_INIT(PATTERN_MAX);
    struct err why = { .code = E_NOMEM };

    if (pattern == NULL) {
        sqlite3_result_error_nomem(cx);
        return NULL;
    }
    arena_init(&pattern->arena, PATTERN_ARENA_MAX, 1024);
    buf_append_c(&source, any_case ? "(?i)" : "");
    buf_append_str(&source, text);
    pattern->set = regex_set_new(&pattern->arena);
    if (buf_ok(&source) && pattern->set != NULL &&
        regex_set_add(pattern->set, buf_str(&source), false, &pattern->number, &why) == OK)
        return pattern;
    if (why.code == E_REGEX)
        db_refuse(cx, E_REGEX, "invalid regular expression: %s", err_text(&why));
    else
        db_refuse(cx, buf_ok(&source) ? E_NOMEM : E_LIMIT, "invalid regular expression: pattern is too long");
    pattern_free(pattern);
    return NULL;
}

/* pgseal_regex(text, pattern, any_case, negated) */
static void f_regex(ARGS)
{
    struct pattern *pattern;
    struct regex_match match;
    struct err why = { 0 };

    if (db_any_null(cx, n, args))
        return;
    pattern = sqlite3_get_auxdata(cx, 1);
    if (pattern == NULL) {
        pattern = pattern_new(cx, db_text_arg(args[1]), sqlite3_value_int(args[2]) != 0);
        if (pattern == NULL)
            return;
        sqlite3_set_auxdata(cx, 1, pattern, pattern_free);
        pattern = sqlite3_get_auxdata(cx, 1);
        if (pattern == NULL) { /* SQLite had no memory to keep it, and freed it */
            sqlite3_result_error_nomem(cx);
            return;
        }
    }
    if (regex_search(pattern->set, pattern->number, db_text_arg(args[0]), &match, &why) != OK)
        db_refuse(cx, E_REGEX, "regular expression failed: %s", err_text(&why));
    else
        sqlite3_result_int(cx, match.matched != (sqlite3_value_int(args[3]) != 0));
}

const struct db_function db_regex_functions[] = {
    { "pgseal_regex", 4, f_regex, NULL, NULL },
    { NULL, 0, NULL, NULL, NULL },
};
