/* ~ and the like, and regexp_replace(), by the same engine that matches pg_hba.conf. [src: PostgreSQL 18, "POSIX
 * Regular Expressions"; regexp.c; varlena.c replace_text_regexp] */
#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "regex/regex.h"
#include "regex/regex_chars.h"
#include "sql/db_impl.h"
#include "sql/db_value.h"

#include <stdlib.h>

#define ARGS sqlite3_context *cx, int n, sqlite3_value **args

enum { PATTERN_ARENA_MAX = 4 << 20, PATTERN_MAX = 64 * 1024, OPTIONS_MAX = 32 };

/* A pattern as checked; SQLite keeps it as long as the pattern is a constant of the statement. */
struct pattern {
    struct arena arena;
    struct regex_set *set;
    unsigned number;
    char options[OPTIONS_MAX]; /* it was made with these */
};

static void pattern_free(void *p)
{
    struct pattern *pattern = p;

    arena_fini(&pattern->arena);
    free(pattern);
}

/*
 * Options are in front of the pattern, where the engine reads them. Those of the pattern's own come later,
 * and so override them; ***= makes of the rest a literal, which is option q.
 */
static void put_source(struct buf *out, struct str options, struct str text)
{
    bool literal = str_starts(text, STR("***="));

    if (str_starts(text, STR("***:")) || literal)
        text = str_from(text, 4);
    if (options.n > 0 || literal) {
        buf_printf(out, "(?%.*s%s", STR_ARG(options), literal ? "q" : "");
        size_t end = 2;
        while (end < text.n && ((text.p[end] | 0x20) >= 'a' && (text.p[end] | 0x20) <= 'z'))
            end++;
        bool own = !literal && str_starts(text, STR("(?")) && end > 2 && end < text.n && text.p[end] == ')';
        buf_append_str(out, own ? str_of(text.p + 2, end - 2) : STR(""));
        buf_append_c(out, ")");
        text = str_from(text, own ? end + 1 : 0);
    }
    buf_append_str(out, text);
}

static struct pattern *pattern_new(sqlite3_context *cx, struct str text, struct str options, bool captures)
{
    struct pattern *pattern = calloc(1, sizeof *pattern);
    AUTO(buf) struct buf source = BUF_INIT(PATTERN_MAX);
    struct err why = { .code = E_NOMEM };

    if (pattern == NULL) {
        sqlite3_result_error_nomem(cx);
        return NULL;
    }
    arena_init(&pattern->arena, PATTERN_ARENA_MAX, 1024);
    CHECK(str_to_c(options, pattern->options, sizeof pattern->options));
    put_source(&source, options, text);
    pattern->set = regex_set_new_in(&pattern->arena, REGEX_UTF8);
    if (buf_ok(&source) && pattern->set != NULL &&
        regex_set_add(pattern->set, buf_str(&source), captures, &pattern->number, &why) == OK)
        return pattern;
    if (why.code == E_REGEX)
        db_refuse(cx, E_REGEX, "invalid regular expression: %s", err_text(&why));
    else
        db_refuse(cx, buf_ok(&source) ? E_NOMEM : E_LIMIT, "invalid regular expression: pattern is too long");
    pattern_free(pattern);
    return NULL;
}

/* The pattern of the second argument; NULL: the statement has its error. */
static struct pattern *pattern_of(sqlite3_context *cx, sqlite3_value *arg, struct str options, bool captures)
{
    struct pattern *pattern = sqlite3_get_auxdata(cx, 1);

    if (pattern != NULL && str_is(options, pattern->options))
        return pattern;
    pattern = pattern_new(cx, db_text_arg(arg), options, captures);
    if (pattern == NULL)
        return NULL;
    sqlite3_set_auxdata(cx, 1, pattern, pattern_free);
    pattern = sqlite3_get_auxdata(cx, 1);
    if (pattern == NULL) /* SQLite had no memory to keep it, and freed it */
        sqlite3_result_error_nomem(cx);
    return pattern;
}

static void refuse_failed(sqlite3_context *cx, const struct err *why)
{
    db_refuse(cx, E_REGEX, "regular expression failed: %s", err_text(why));
}

/* pgseal_regex(text, pattern, any_case, negated) */
static void f_regex(ARGS)
{
    struct regex_found found;
    struct err why = { 0 };

    if (db_any_null(n, args))
        return;
    struct pattern *pattern = pattern_of(cx, args[1], sqlite3_value_int(args[2]) ? STR("i") : STR(""), false);
    if (pattern == NULL)
        return;
    struct regex_subject *subject = regex_subject_new(db_text_arg(args[0]));
    if (subject == NULL)
        sqlite3_result_error_nomem(cx);
    else if (regex_find(pattern->set, pattern->number, subject, 0, &found, &why) != OK)
        refuse_failed(cx, &why);
    else
        sqlite3_result_int(cx, found.matched != (sqlite3_value_int(args[3]) != 0));
    regex_subject_free(subject);
}

/* ---- regexp_replace ---- */

/* What one call asks for. */
struct replacing {
    sqlite3_context *cx;
    struct str text;
    struct str with;
    struct pattern *pattern;
    struct regex_subject *subject;
    size_t start; /* in characters, from 0 */
    int64_t nth;  /* 0: every match */
};

/* The letters for the engine, without g. [src: PostgreSQL 18, regexp.c parse_re_flags] */
static bool dbregex_read_options(sqlite3_context *cx, struct str flags, bool may_be_start,
                                 char out[OPTIONS_MAX], bool *out_all)
{
    size_t n = 0;

    *out_all = false;
    out[0] = '\0';
    if (may_be_start && flags.n > 0 && flags.p[0] >= '0' && flags.p[0] <= '9') {
        db_refuse(cx, E_PARAM, "invalid regular expression option: \"%.*s\"", 1, flags.p);
        err_hint(&db_of(cx)->failure, "If you meant to use regexp_replace() with a start parameter, cast the "
                                      "fourth argument to integer explicitly.");
        return false;
    }
    for (struct str left = flags; left.n > 0;) {
        struct str before = left;
        uint32_t code;
        (void)regex_take(&left, REGEX_UTF8, &code);
        if (code == 'g') {
            *out_all = true;
        } else if (code < 0x80 && strchr("bceimnpqstwx", (int)code)) {
            /* Of many the last ones count, and what a letter does another one may undo: order is kept. */
            char *old = memchr(out, (int)code, n);
            if (old)
                memmove(old, old + 1, (size_t)(out + n-- - old));
            out[n++] = (char)code;
            out[n] = '\0';
        } else {
            db_refuse(cx, E_PARAM, "invalid regular expression option: \"%.*s\"", (int)(before.n - left.n),
                      before.p);
            return false;
        }
    }
    return true;
}

static struct str piece(const struct replacing *r, size_t from, size_t to)
{
    size_t first = regex_subject_byte(r->subject, from);

    return str_of(r->text.p + first, regex_subject_byte(r->subject, to) - first);
}

/* \1 to \9, \& and \\; any other backslash is itself. */
static void put_replacement(const struct replacing *r, const struct regex_found *found, struct buf *out)
{
    for (struct str left = r->with; left.n > 0;) {
        char next = left.p[0] == '\\' && left.n > 1 ? left.p[1] : '\0';
        size_t group = next >= '1' && next <= '9' ? (size_t)(next - '0') : 0;
        if (group > 0 || next == '&') {
            if (found->groups[group].set)
                buf_append_str(out, piece(r, found->groups[group].start, found->groups[group].end));
            left = str_from(left, 2);
            continue;
        }
        buf_append_str(out, str_first(left, 1));
        left = str_from(left, next == '\\' ? 2 : 1);
    }
}

static enum code replace(const struct replacing *r, struct buf *out, struct err *e)
{
    size_t copied = 0, from = r->start, length = regex_subject_length(r->subject);
    struct regex_found found = { .matched = true };
    int64_t matches = 0;

    while (from <= length && buf_ok(out)) {
        TRY(regex_find(r->pattern->set, r->pattern->number, r->subject, from, &found, e));
        if (!found.matched)
            break;
        size_t start = found.groups[0].start, end = found.groups[0].end;
        from = start == end ? end + 1 : end;
        if (r->nth > 0 && ++matches != r->nth)
            continue;
        buf_append_str(out, piece(r, copied, start));
        put_replacement(r, &found, out);
        copied = end;
        if (r->nth > 0)
            break;
    }
    buf_append_str(out, piece(r, copied, length));
    return OK;
}

static void replace_all(struct replacing *r)
{
    AUTO(buf) struct buf out = BUF_INIT(DB_VALUE_MAX);
    struct err why = { 0 };

    r->subject = regex_subject_new(r->text);
    if (r->subject == NULL)
        sqlite3_result_error_nomem(r->cx);
    else if (replace(r, &out, &why) != OK)
        refuse_failed(r->cx, &why);
    else
        db_return_buf(r->cx, &out);
    regex_subject_free(r->subject);
}

/* pgseal_regexp_replace(text, pattern, replacement [, flags]) or (…, start [, N [, flags]]) */
static void f_regexp_replace(ARGS)
{
    struct replacing r = { .cx = cx, .nth = 1 };
    struct str flags = STR("");
    char options[OPTIONS_MAX];
    bool all;

    if (db_any_null(n, args))
        return;
    bool has_start = n > 3 && sqlite3_value_type(args[3]) == SQLITE_INTEGER;
    int64_t start = has_start ? sqlite3_value_int64(args[3]) : 1;
    int64_t nth = has_start && n > 4 ? sqlite3_value_int64(args[4]) : 0;
    if (start <= 0 || nth < 0) {
        db_refuse(cx, E_PARAM, "invalid value for parameter \"%s\": %lld", start <= 0 ? "start" : "n",
                  (long long)(start <= 0 ? start : nth));
        return;
    }
    if (n > 3 && !has_start)
        flags = db_text_arg(args[3]);
    else if (n > 5)
        flags = db_text_arg(args[5]);
    if (!dbregex_read_options(cx, flags, n == 4 && !has_start, options, &all))
        return;
    r.text = db_text_arg(args[0]);
    r.with = db_text_arg(args[2]);
    r.start = (size_t)start - 1;
    r.nth = n > 4 ? nth : all ? 0 : 1;
    r.pattern = pattern_of(cx, args[1], str_c(options), true);
    if (r.pattern != NULL)
        replace_all(&r);
}

const struct db_function db_regex_functions[] = {
    { "pgseal_regex", 4, f_regex, NULL, NULL },
    { "pgseal_regexp_replace", -1, f_regexp_replace, NULL, NULL },
    { NULL, 0, NULL, NULL, NULL },
};
