/*
 * Statements other than SELECT: settings, transactions, cursors, COPY. [src: PostgreSQL 18, "SQL Commands"]
 */
#include "sql/sql_stmt.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "sql/sql_cursor.h"
#include "sql/sql_node.h"
#include "sql/sql_select.h"

/* ---- settings ---- */

/* name or class.name */
static struct str setting_name(struct parser *p)
{
    struct str first = sql_want_label(p), second, out = first;

    if (sql_take_punct(p, ".")) {
        second = sql_want_label(p);
        if (!arena_printf(p->arena, &out, "%.*s.%.*s", STR_ARG(first), STR_ARG(second)))
            sql_syntax(p);
    }
    return out;
}

static bool at_value(const struct parser *p)
{
    enum token_kind kind = sql_peek(p, 0)->kind;

    return kind == TOKEN_STRING || kind == TOKEN_WORD || kind == TOKEN_QUOTED || kind == TOKEN_INTEGER ||
           kind == TOKEN_DECIMAL;
}

/* One or several values, put together with commas as PostgreSQL does for lists. */
static struct str setting_value(struct parser *p)
{
    AUTO(buf) struct buf text = BUF_INIT(SQL_TEXT_MAX);
    struct str out = { 0 };

    do {
        bool minus = sql_take_operator(p, "-");
        if (!minus)
            (void)sql_take_operator(p, "+");
        if (!at_value(p)) {
            sql_syntax(p);
            return str_of("", 0);
        }
        if (text.n > 0)
            buf_append_c(&text, ", ");
        if (minus)
            buf_append_byte(&text, '-');
        buf_append_str(&text, sql_peek(p, 0)->text);
        sql_next(p);
    } while (sql_take_punct(p, ","));
    if (!buf_ok(&text) || !arena_str(p->arena, buf_str(&text), &out))
        sql_syntax(p);
    return out;
}

/* ISOLATION LEVEL …, READ ONLY, READ WRITE, [NOT] DEFERRABLE: all are accepted, nothing here writes. */
static void transaction_modes(struct parser *p)
{
    static const char *const words[] = { "isolation",    "level",     "read",        "only",
                                         "write",        "committed", "uncommitted", "repeatable",
                                         "serializable", "not",       "deferrable" };
    bool more = true;

    while (more) {
        more = sql_take_punct(p, ",");
        for (size_t i = 0; i < COUNT_OF(words); i++)
            more = sql_take_word(p, words[i]) || more;
    }
}

static void set_special(struct parser *p, struct stmt *out)
{
    out->kind = STMT_NOTHING;
    out->name = STR("SET");
    transaction_modes(p);
}

static void set(struct parser *p, struct stmt *out)
{
    out->kind = STMT_SET;
    if (sql_is_word(p, 0, "session") && sql_is_word(p, 1, "characteristics")) {
        p->i += 2;
        sql_want_word(p, "as");
        sql_want_word(p, "transaction");
        set_special(p, out);
        return;
    }
    if ((sql_is_word(p, 0, "session") && sql_is_word(p, 1, "authorization")) || sql_is_word(p, 0, "role"))
        sql_unsupported(p, sql_peek(p, 0)->at, "changing the user is");
    out->local = sql_take_word(p, "local");
    if (!out->local && sql_is_word(p, 0, "session") && !sql_is_operator(p, 1, "="))
        sql_next(p);
    if (sql_is_word(p, 0, "transaction") && !sql_is_operator(p, 1, "=")) {
        sql_next(p);
        set_special(p, out);
        return;
    }
    if (sql_is_word(p, 0, "time") && sql_is_word(p, 1, "zone")) {
        p->i += 2;
        out->name = STR("timezone");
    } else if (sql_take_word(p, "names")) {
        out->name = STR("client_encoding");
    } else {
        out->name = setting_name(p);
        if (!sql_take_operator(p, "="))
            sql_want_word(p, "to");
    }
    if (sql_take_word(p, "default") || (str_is(out->name, "timezone") && sql_take_word(p, "local")))
        out->to_default = true;
    else
        out->value = setting_value(p);
}

/* SHOW and RESET: a name, or the phrases that stand for one; empty for ALL. */
static struct str shown_name(struct parser *p)
{
    if (sql_take_word(p, "all"))
        return str_of("", 0);
    if (sql_is_word(p, 0, "time") && sql_is_word(p, 1, "zone")) {
        p->i += 2;
        return STR("timezone");
    }
    if (sql_is_word(p, 0, "transaction") && sql_is_word(p, 1, "isolation")) {
        p->i += 2;
        sql_want_word(p, "level");
        return STR("transaction_isolation");
    }
    if (sql_is_word(p, 0, "session") && sql_is_word(p, 1, "authorization")) {
        p->i += 2;
        return STR("session_authorization");
    }
    return setting_name(p);
}

static void sql_stmt_show(struct parser *p, struct stmt *out)
{
    out->kind = STMT_SHOW;
    out->name = shown_name(p);
}

static void reset(struct parser *p, struct stmt *out)
{
    out->kind = STMT_RESET;
    out->name = shown_name(p);
}

static void discard(struct parser *p, struct stmt *out)
{
    out->kind = STMT_DISCARD;
    if (sql_take_word(p, "all"))
        out->name = STR("DISCARD ALL");
    else if (sql_take_word(p, "plans"))
        out->name = STR("DISCARD PLANS");
    else if (sql_take_word(p, "sequences"))
        out->name = STR("DISCARD SEQUENCES");
    else if (sql_take_word(p, "temp") || sql_take_word(p, "temporary"))
        out->name = STR("DISCARD TEMP");
    else
        sql_syntax(p);
}

/* ---- transactions ---- */

static void sql_stmt_begin(struct parser *p, struct stmt *out)
{
    out->kind = STMT_BEGIN;
    out->name = STR("BEGIN");
    if (!sql_take_word(p, "work"))
        (void)sql_take_word(p, "transaction");
    transaction_modes(p);
}

static void sql_stmt_start(struct parser *p, struct stmt *out)
{
    out->kind = STMT_BEGIN;
    out->name = STR("START TRANSACTION");
    sql_want_word(p, "transaction");
    transaction_modes(p);
}

static void end_words(struct parser *p, struct stmt *out)
{
    if (!sql_take_word(p, "work"))
        (void)sql_take_word(p, "transaction");
    if (sql_take_word(p, "and")) {
        out->chain = !sql_take_word(p, "no");
        sql_want_word(p, "chain");
    }
}

static void commit(struct parser *p, struct stmt *out)
{
    out->kind = STMT_COMMIT;
    if (sql_is_word(p, 0, "prepared"))
        sql_unsupported(p, sql_peek(p, 0)->at, "two-phase commit is");
    end_words(p, out);
}

static void rollback(struct parser *p, struct stmt *out)
{
    out->kind = STMT_ROLLBACK;
    end_words(p, out);
    if (sql_take_word(p, "to")) {
        (void)sql_take_word(p, "savepoint");
        out->kind = STMT_ROLLBACK_TO;
        out->name = sql_want_name(p);
    }
}

static void savepoint(struct parser *p, struct stmt *out)
{
    out->kind = STMT_SAVEPOINT;
    out->name = sql_want_name(p);
}

static void release(struct parser *p, struct stmt *out)
{
    out->kind = STMT_RELEASE;
    (void)sql_take_word(p, "savepoint");
    out->name = sql_want_name(p);
}

/* ---- cursors ---- */

static void declare(struct parser *p, struct stmt *out)
{
    out->kind = STMT_DECLARE;
    out->name = sql_want_name(p);
    if (sql_is_word(p, 0, "binary"))
        sql_unsupported(p, sql_peek(p, 0)->at, "a binary cursor is");
    if (!sql_take_word(p, "insensitive"))
        (void)sql_take_word(p, "asensitive");
    (void)sql_take_word(p, "no");
    (void)sql_take_word(p, "scroll");
    sql_want_word(p, "cursor");
    if (sql_take_word(p, "with") || sql_is_word(p, 0, "without")) {
        out->hold = !sql_take_word(p, "without");
        sql_want_word(p, "hold");
    }
    sql_want_word(p, "for");
    if (!sql_at_select(p, 0))
        sql_syntax(p);
    out->select = sql_select(p);
}

static void fetch_count(struct parser *p, struct stmt *out)
{
    const struct token *t = sql_peek(p, 0);

    if (t->kind == TOKEN_INTEGER && str_to_i64(t->text, 0, INT64_MAX, &out->count))
        sql_next(p);
    else if (sql_take_word(p, "all"))
        out->count = INT64_MAX;
}

static void fetch(struct parser *p, struct stmt *out)
{
    static const char *const backward[] = { "prior", "first", "last", "absolute", "relative", "backward" };

    out->kind = STMT_FETCH;
    out->count = 1;
    for (size_t i = 0; i < COUNT_OF(backward); i++)
        if (sql_is_word(p, 0, backward[i]) && sql_peek(p, 1)->kind != TOKEN_END && !sql_is_punct(p, 1, ";"))
            sql_unsupported(p, sql_peek(p, 0)->at, "a cursor only moves forward: this direction is");
    if (sql_is_operator(p, 0, "-"))
        sql_unsupported(p, sql_peek(p, 0)->at, "a cursor only moves forward: this direction is");
    if (!sql_take_word(p, "next")) {
        (void)sql_take_word(p, "forward");
        fetch_count(p, out);
    }
    if (!sql_take_word(p, "from"))
        (void)sql_take_word(p, "in");
    out->name = sql_want_name(p);
}

static void move(struct parser *p, struct stmt *out)
{
    fetch(p, out);
    out->move = true;
}

static void close_cursor(struct parser *p, struct stmt *out)
{
    out->kind = STMT_CLOSE;
    if (!sql_take_word(p, "all"))
        out->name = sql_want_name(p);
}

static void deallocate(struct parser *p, struct stmt *out)
{
    out->kind = STMT_DEALLOCATE;
    (void)sql_take_word(p, "prepare");
    if (!sql_take_word(p, "all"))
        out->name = sql_want_name(p);
}

/* ---- COPY ---- */

static bool option_bool(struct parser *p)
{
    bool on = true;

    if (at_value(p)) {
        if (!str_to_bool(sql_peek(p, 0)->text, &on))
            sql_syntax(p);
        sql_next(p);
    }
    return on;
}

static struct str option_text(struct parser *p)
{
    struct str text = sql_peek(p, 0)->text;

    if (!at_value(p))
        sql_syntax(p);
    sql_next(p);
    return text;
}

static void copy_format(struct parser *p, struct stmt *out, uint32_t at)
{
    struct str format = option_text(p);

    if (str_is(format, "csv"))
        out->copy.format = COPY_CSV;
    else if (!str_is(format, "text"))
        sql_unsupported(p, at, "this COPY format is");
}

static void copy_delimiter(struct parser *p, struct stmt *out, uint32_t at)
{
    struct str text = option_text(p);

    if (!p->failed &&
        (text.n != 1 || text.p[0] == '\n' || text.p[0] == '\r' || text.p[0] == '"' || text.p[0] == '\\')) {
        (void)sql_fail(p->e, E_UNSUPPORTED, at, "COPY delimiter must be a single one-byte character");
        p->failed = true;
        return;
    }
    out->copy.delimiter = text.n > 0 ? text.p[0] : '\0';
}

static void copy_option(struct parser *p, struct stmt *out)
{
    uint32_t at = sql_peek(p, 0)->at;

    if (sql_take_word(p, "format")) {
        copy_format(p, out, at);
    } else if (sql_take_word(p, "csv")) {
        out->copy.format = COPY_CSV;
    } else if (sql_take_word(p, "header")) {
        out->copy.header = option_bool(p);
    } else if (sql_take_word(p, "delimiter") || sql_take_word(p, "delimiters")) {
        (void)sql_take_word(p, "as");
        copy_delimiter(p, out, at);
    } else if (sql_take_word(p, "null")) {
        (void)sql_take_word(p, "as");
        out->copy.null_set = true;
        out->copy.null_text = option_text(p);
    } else if (sql_take_word(p, "encoding")) {
        (void)option_text(p);
    } else {
        sql_unsupported(p, at, "this COPY option is");
    }
}

/* "csv header" without a value is followed by another keyword, so the old form reads HEADER bare. */
static void copy_options(struct parser *p, struct stmt *out)
{
    (void)sql_take_word(p, "with");
    if (sql_take_punct(p, "(")) {
        do {
            copy_option(p, out);
        } while (sql_take_punct(p, ","));
        sql_want_punct(p, ")");
        return;
    }
    while (!p->failed && sql_peek(p, 0)->kind == TOKEN_WORD) {
        if (sql_take_word(p, "header"))
            out->copy.header = true;
        else
            copy_option(p, out);
    }
}

/* COPY table [(columns)]: a SELECT of them. */
static struct select *copied_table(struct parser *p)
{
    struct select *s = SQL_NEW(p, struct select);
    struct target **tail = &s->targets;

    s->at = sql_peek(p, 0)->at;
    s->from = SQL_NEW(p, struct from);
    s->from->at = s->at;
    s->from->name = sql_want_name(p);
    if (sql_take_punct(p, ".")) {
        s->from->schema = s->from->name;
        s->from->name = sql_want_label(p);
    }
    if (!sql_take_punct(p, "(")) {
        s->targets = SQL_NEW(p, struct target);
        s->targets->expr = sql_node(p, EXPR_STAR, s->at);
        return s;
    }
    do {
        struct target *t = SQL_NEW(p, struct target);
        t->expr = sql_node(p, EXPR_COLUMN, sql_peek(p, 0)->at);
        t->expr->name = t->name = sql_want_name(p);
        if (p->failed)
            return s;
        *tail = t;
        tail = &t->next;
    } while (sql_take_punct(p, ","));
    sql_want_punct(p, ")");
    return s;
}

static void skip_statement(struct parser *p)
{
    while (sql_peek(p, 0)->kind != TOKEN_END && !sql_is_punct(p, 0, ";"))
        sql_next(p);
}

static void sql_stmt_copy(struct parser *p, struct stmt *out)
{
    out->kind = STMT_COPY;
    if (sql_is_punct(p, 0, "(")) {
        sql_next(p);
        if (!sql_at_select(p, 0))
            sql_syntax(p);
        out->select = sql_select(p);
        sql_want_punct(p, ")");
    } else {
        out->select = copied_table(p);
    }
    if (sql_take_word(p, "from")) {
        out->kind = STMT_READ_ONLY;
        out->name = STR("COPY FROM");
        skip_statement(p);
        return;
    }
    sql_want_word(p, "to");
    if (!sql_take_word(p, "stdout"))
        sql_unsupported(p, sql_peek(p, 0)->at, "COPY to anything but STDOUT is");
    copy_options(p, out);
}

/* ---- the rest ---- */

/* Statements that write: their tag, so that the refusal can name it. */
static bool writes(struct parser *p, struct stmt *out)
{
    static const char *const words[] = { "insert",  "update",  "delete",  "merge",   "truncate", "create",
                                         "alter",   "drop",    "grant",   "revoke",  "comment",  "vacuum",
                                         "analyze", "reindex", "cluster", "refresh", "lock",     "security" };
    const struct token *t = sql_peek(p, 0);
    bool found = false, object;
    AUTO(buf) struct buf tag = BUF_INIT(256);

    for (size_t i = 0; i < COUNT_OF(words); i++)
        found = found || sql_is_word(p, 0, words[i]);
    if (!found)
        return false;
    buf_append_str(&tag, t->text);
    object = str_is(t->text, "create") || str_is(t->text, "alter") || str_is(t->text, "drop") ||
             str_is(t->text, "truncate") || str_is(t->text, "lock");
    if (object && sql_peek(p, 1)->kind == TOKEN_WORD)
        buf_printf(&tag, " %.*s", STR_ARG(sql_peek(p, 1)->text));
    for (size_t i = 0; i < tag.n; i++)
        if (tag.p[i] >= 'a' && tag.p[i] <= 'z')
            tag.p[i] = (uint8_t)(tag.p[i] - 'a' + 'A');
    out->kind = STMT_READ_ONLY;
    if (!arena_str(p->arena, buf_str(&tag), &out->name))
        sql_syntax(p);
    skip_statement(p);
    return true;
}

static bool known_but_absent(struct parser *p)
{
    static const struct {
        const char *word;
        const char *what;
    } words[] = {
        { "explain", "EXPLAIN is" }, { "prepare", "PREPARE is" },       { "execute", "EXECUTE is" },
        { "listen", "LISTEN is" },   { "notify", "NOTIFY is" },         { "do", "DO is" },
        { "call", "CALL is" },       { "checkpoint", "CHECKPOINT is" }, { "load", "LOAD is" },
        { "import", "IMPORT is" },   { "reassign", "REASSIGN is" },
    };

    for (size_t i = 0; i < COUNT_OF(words); i++) {
        if (sql_is_word(p, 0, words[i].word)) {
            sql_unsupported(p, sql_peek(p, 0)->at, words[i].what);
            return true;
        }
    }
    return false;
}

static void unlisten(struct parser *p, struct stmt *out)
{
    out->kind = STMT_NOTHING;
    out->name = STR("UNLISTEN");
    if (!sql_take_operator(p, "*"))
        (void)sql_want_name(p);
}

void sql_statement(struct parser *p, struct stmt *out)
{
    static const struct {
        const char *word;
        void (*parse)(struct parser *p, struct stmt *out);
    } words[] = {
        { "set", set },
        { "show", sql_stmt_show },
        { "reset", reset },
        { "discard", discard },
        { "begin", sql_stmt_begin },
        { "start", sql_stmt_start },
        { "commit", commit },
        { "end", commit },
        { "rollback", rollback },
        { "abort", rollback },
        { "savepoint", savepoint },
        { "release", release },
        { "declare", declare },
        { "fetch", fetch },
        { "move", move },
        { "close", close_cursor },
        { "copy", sql_stmt_copy },
        { "unlisten", unlisten },
        { "deallocate", deallocate },
    };

    if (sql_at_select(p, 0)) {
        out->kind = STMT_SELECT;
        out->select = sql_select(p);
        return;
    }
    for (size_t i = 0; i < COUNT_OF(words); i++) {
        if (sql_take_word(p, words[i].word)) {
            words[i].parse(p, out);
            return;
        }
    }
    if (!writes(p, out) && !known_but_absent(p))
        sql_syntax(p);
}
