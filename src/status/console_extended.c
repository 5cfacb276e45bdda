/* Parse, Bind, Describe, Execute, Close. [src: PostgreSQL 18, "Extended Query"] */
#include "status/console_extended.h"

#include "base/check.h"
#include "base/rd.h"
#include "base/wr.h"
#include "pgtypes/pgbinary.h"
#include "pgtypes/type.h"
#include "sql/sql_utf8.h"
#include "status/console_impl.h"
#include "status/console_portal.h"
#include "status/console_query.h"
#include "status/console_reply.h"
#include "status/views.h"

static void bare_message(struct buf *out, char type)
{
    struct wr w = wr_begin(out, type);

    wr_end(&w);
}

static void protocol_error(struct console *c, struct buf *out, const char *text)
{
    struct err e = { 0 };

    (void)err_set(&e, E_PROTOCOL, "%s", text);
    console_error_plain(c, &e, out);
}

/* ---- Parse ---- */

static enum code declared_types(struct rd *r, struct console_job *job, struct err *e)
{
    uint16_t count = rd_u16(r);

    if (count > CLERK_PARAMS_MAX)
        return err_set(e, E_LIMIT, "too many parameters");
    for (size_t i = 0; i < count; i++) {
        uint32_t oid = rd_u32(r);
        job->params[i] = PG_UNKNOWN;
        if (oid != 0 && !pg_type_of_oid(oid, &job->params[i]))
            return err_set(e, E_UNSUPPORTED,
                           "parameter $%zu has type OID %u, which the status database does not know", i + 1,
                           (unsigned)oid);
    }
    job->param_count = count;
    return rd_end(r) == OK ? OK : err_set(e, E_PROTOCOL, "invalid Parse message");
}

static enum code parse_message(struct console *c, struct bytes body, struct err *e)
{
    struct rd r = rd_over(body);
    struct str name = rd_cstr(&r), text = rd_cstr(&r);

    if (name.n > 0 && prepared_find(c, name) != NULL)
        return err_set(e, E_DUP_STATEMENT, "prepared statement \"%.*s\" already exists", STR_ARG(name));
    TRY(declared_types(&r, &c->job, e));
    console_show_query(c, text);
    console_mark_time(c);
    struct batch *batch = batch_new(name, text);
    if (batch == NULL)
        return err_set(e, E_NOMEM, "out of memory");
    console_plan(c, JOB_PARSE, batch);
    return OK;
}

void console_parse(struct console *c, struct bytes body, struct buf *out)
{
    struct err e = { 0 };

    if (parse_message(c, body, &e) != OK)
        console_error_plain(c, &e, out);
}

/* Mistakes in PostgreSQL's order: of grammar, more than one statement, not now, of meaning. */
static enum code parsed(const struct console *c, const struct batch *batch, struct sql_error *e)
{
    enum stmt_kind kind = batch->count > 0 ? batch->items[0].kind : STMT_READ_ONLY;

    if (batch->written == 0) {
        *e = batch->error;
        return e->err.code;
    }
    if (batch->written > 1)
        return err_set(&e->err, E_SYNTAX, "cannot insert multiple commands into a prepared statement");
    if (c->transaction == TRANSACTION_FAILED && !console_ends_failure(kind))
        return err_set(&e->err, E_IN_FAILED, "%s", code_text(E_IN_FAILED));
    *e = batch->error;
    return e->err.code;
}

void console_parsed(struct console *c, struct buf *out)
{
    struct batch *batch = TAKE(c->job.batch);
    struct sql_error e = { .err = c->job.err };
    enum code code = e.err.code != OK ? e.err.code : parsed(c, batch, &e);

    if (code == OK && batch->name.n == 0)
        prepared_free(c, prepared_find(c, batch->name));
    if (code == OK)
        code = prepared_add(c, batch_ref(batch), &e.err);
    if (code == OK)
        bare_message(out, '1');
    else
        console_error(c, &e, batch->text, out);
    batch_unref(batch);
}

/* ---- Bind ---- */

/* Format codes: none for all text, one for all, or one each. */
struct formats {
    uint16_t count;
    struct bytes codes;
};

static struct formats read_formats(struct rd *r)
{
    struct formats f = { .count = rd_u16(r) };

    f.codes = rd_bytes(r, (size_t)f.count * 2);
    return f;
}

static bool format_at(const struct formats *f, size_t i, enum pg_format *out)
{
    size_t at = f->count == 1 ? 0 : i;
    unsigned code;

    *out = PG_FORMAT_TEXT;
    if (f->count == 0)
        return true;
    code = (unsigned)f->codes.p[at * 2] << 8 | f->codes.p[at * 2 + 1];
    *out = code == 1 ? PG_FORMAT_BINARY : PG_FORMAT_TEXT;
    return code <= 1;
}

static enum code bind_value(struct console *c, struct portal *portal, struct rd *r, enum pg_format format,
                            struct err *e)
{
    struct pg_input input = { &portal->arena, c->times.transaction_us, &view_names };
    enum pg_type type = portal->statement->params[portal->param_count];
    struct datum *out = &portal->params[portal->param_count++];
    int32_t length = rd_i32(r);
    struct bytes raw, kept;

    if (length == -1)
        return OK;
    raw = rd_bytes(r, length < 0 ? SIZE_MAX : (size_t)length);
    if (r->bad)
        return err_set(e, E_PROTOCOL, "invalid Bind message");
    if (!arena_bytes(&portal->arena, raw, &kept))
        return err_set(e, E_NOMEM, "out of memory");
    if (format == PG_FORMAT_BINARY)
        TRY(pg_binary_read(&input, type, kept, out, e));
    else
        TRY(pg_text_read(&input, type, str_from_bytes(kept), out, e));
    return out->kind == DATUM_TEXT ? sql_utf8_check(out->text, e) : OK;
}

static enum code bind_values(struct console *c, struct portal *portal, struct rd *r, struct err *e)
{
    const struct statement *statement = portal->statement;
    struct formats formats = read_formats(r);
    uint16_t count = rd_u16(r);
    enum pg_format format;

    if (formats.count > 1 && formats.count != count)
        return err_set(e, E_PROTOCOL, "bind message has %u parameter formats but %u parameters",
                       formats.count, count);
    if (count != statement->param_count)
        return err_set(e, E_PROTOCOL,
                       "bind message supplies %u parameters, but prepared statement \"%.*s\" requires %zu",
                       count, STR_ARG(statement->batch->name), statement->param_count);
    portal->params = arena_array(&portal->arena, count, sizeof *portal->params);
    if (portal->params == NULL)
        return err_set(e, E_NOMEM, "out of memory");
    for (size_t i = 0; i < count; i++) {
        if (r->bad || !format_at(&formats, i, &format))
            return err_set(e, r->bad ? E_PROTOCOL : E_PARAM,
                           r->bad ? "invalid Bind message" : "unsupported format code");
        TRY(bind_value(c, portal, r, format, e));
    }
    return OK;
}

static enum code bind_formats(struct console *c, struct portal *portal, struct rd *r, struct err *e)
{
    const struct statement *result = console_result_of(c, portal->statement);
    struct formats formats = read_formats(r);
    size_t columns = result != NULL ? result->column_count : 0;

    if (rd_end(r) != OK)
        return err_set(e, E_PROTOCOL, "invalid Bind message");
    if (formats.count > 1 && formats.count != columns)
        return err_set(e, E_PROTOCOL, "bind message has %u result formats but query has %zu columns",
                       formats.count, columns);
    portal->formats = arena_array(&portal->arena, columns, sizeof *portal->formats);
    if (portal->formats == NULL)
        return err_set(e, E_NOMEM, "out of memory");
    for (size_t i = 0; i < columns; i++)
        if (!format_at(&formats, i, &portal->formats[i]))
            return err_set(e, E_PARAM, "unsupported format code");
    return OK;
}

static enum code bind_message(struct console *c, struct bytes body, struct err *e)
{
    struct rd r = rd_over(body);
    struct str portal_name = rd_cstr(&r), name = rd_cstr(&r);
    const struct prepared *p = prepared_find(c, name);
    struct portal *portal;
    enum code code;

    if (r.bad)
        return err_set(e, E_PROTOCOL, "invalid Bind message");
    if (p == NULL && name.n == 0)
        return err_set(e, E_STATEMENT_NAME, "unnamed prepared statement does not exist");
    if (p == NULL)
        return err_set(e, E_STATEMENT_NAME, "prepared statement \"%.*s\" does not exist", STR_ARG(name));
    if (portal_name.n == 0)
        portal_free(c, portal_find(c, portal_name));
    else if (portal_find(c, portal_name) != NULL)
        return err_set(e, E_DUP_CURSOR, "cursor \"%.*s\" already exists", STR_ARG(portal_name));
    const struct statement *statement = &p->batch->items[0];
    console_show_query(c, statement->text);
    console_mark_time(c);
    TRY(portal_new(c, portal_name, statement, &portal, e));
    code = bind_values(c, portal, &r, e);
    if (code == OK)
        code = bind_formats(c, portal, &r, e);
    if (code != OK)
        portal_free(c, portal);
    return code;
}

void console_bind(struct console *c, struct bytes body, struct buf *out)
{
    struct err e = { 0 };

    if (bind_message(c, body, &e) == OK)
        bare_message(out, '2');
    else
        console_error_plain(c, &e, out);
}

/* ---- Describe, Execute, Close ---- */

static void no_such(struct console *c, char kind, struct str name, struct buf *out)
{
    struct err e = { 0 };

    if (kind == 'P')
        (void)err_set(&e, E_CURSOR_NAME, "portal \"%.*s\" does not exist", STR_ARG(name));
    else if (name.n == 0)
        (void)err_set(&e, E_STATEMENT_NAME, "unnamed prepared statement does not exist");
    else
        (void)err_set(&e, E_STATEMENT_NAME, "prepared statement \"%.*s\" does not exist", STR_ARG(name));
    console_error_plain(c, &e, out);
}

static void describe_statement(struct console *c, const struct statement *statement, struct buf *out)
{
    struct wr w = wr_begin(out, 't');

    wr_u16(&w, (uint16_t)statement->param_count);
    for (size_t i = 0; i < statement->param_count; i++) {
        enum pg_type type = statement->params[i] == PG_UNKNOWN ? PG_TEXT : statement->params[i];
        wr_u32(&w, pg_type_def(type)->oid);
    }
    wr_end(&w);
    portal_describe(out, console_result_of(c, statement), NULL);
}

/* 'S' or 'P' and a name, the body of Describe and Close. */
static bool read_target(struct bytes body, char *kind, struct str *name)
{
    struct rd r = rd_over(body);

    *kind = (char)rd_u8(&r);
    *name = rd_cstr(&r);
    return rd_end(&r) == OK && (*kind == 'S' || *kind == 'P');
}

void console_describe(struct console *c, struct bytes body, struct buf *out)
{
    char kind;
    struct str name;

    if (!read_target(body, &kind, &name)) {
        protocol_error(c, out, "invalid DESCRIBE message");
        return;
    }
    const struct prepared *p = kind == 'S' ? prepared_find(c, name) : NULL;
    const struct portal *portal = kind == 'P' ? portal_find(c, name) : NULL;
    if (p != NULL)
        describe_statement(c, &p->batch->items[0], out);
    else if (portal != NULL)
        portal_describe(out, portal->cursor ? portal->statement : console_result_of(c, portal->statement),
                        portal->formats);
    else
        no_such(c, kind, name, out);
}

void console_run_portal(struct console *c, struct bytes body, struct buf *out)
{
    struct rd r = rd_over(body);
    struct str name = rd_cstr(&r);
    int32_t limit = rd_i32(&r);
    struct portal *portal;

    if (rd_end(&r) != OK) {
        protocol_error(c, out, "invalid Execute message");
        return;
    }
    portal = portal_find(c, name);
    if (portal == NULL) {
        no_such(c, 'P', name, out);
        return;
    }
    console_show_query(c, portal->statement->text);
    console_execute(c, portal, limit <= 0 ? INT64_MAX : limit, false, out);
}

void console_close_named(struct console *c, struct bytes body, struct buf *out)
{
    char kind;
    struct str name;

    if (!read_target(body, &kind, &name)) {
        protocol_error(c, out, "invalid CLOSE message");
        return;
    }
    if (kind == 'S')
        prepared_free(c, prepared_find(c, name));
    else
        portal_free(c, portal_find(c, name));
    bare_message(out, '3');
}
