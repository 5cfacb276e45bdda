/* From a statement to what the engine runs. */
#include "sql/plan.h"

#include "base/buf.h"
#include "base/check.h"
#include "sql/db.h"
#include "sql/sql_emit.h"
#include "sql/sql_parse.h"

#include <stdlib.h>

struct plan *plan_new(void)
{
    struct plan *plan = calloc(1, sizeof *plan);

    if (plan == NULL)
        return NULL;
    arena_init(&plan->arena, PLAN_ARENA_MAX, 2048);
    for (size_t i = 0; i < PARAMS_MAX; i++)
        plan->params[i] = PG_UNKNOWN;
    return plan;
}

void plan_free(struct plan *plan)
{
    if (plan == NULL)
        return;
    arena_fini(&plan->arena);
    free(plan);
}

/* The columns outlive the tree, which may be a script's. */
static bool keep_columns(struct plan *plan, const struct select *s)
{
    plan->columns = arena_array(&plan->arena, s->column_count, sizeof *plan->columns);
    if (plan->columns == NULL)
        return false;
    for (size_t i = 0; i < s->column_count; i++) {
        plan->columns[i].type = s->columns[i].type;
        if (!arena_str(&plan->arena, s->columns[i].name, &plan->columns[i].name))
            return false;
    }
    plan->column_count = s->column_count;
    return true;
}

static enum code plan_select(struct plan *plan, struct select *s, const struct plan_context *context,
                             struct sql_error *e)
{
    AUTO(buf) struct buf sql = BUF_INIT(DB_SQL_MAX);
    struct typing typing = {
        .arena = &plan->arena,
        .schema = context->schema,
        .now_us = context->now_us,
        .can_see_all = context->can_see_all,
        .is_admin = context->is_admin,
        .params = plan->params,
        .param_count = plan->param_count,
    };

    TRY(sql_type(&typing, s, e));
    if (s->column_count > PLAN_COLUMNS_MAX)
        return sql_fail(e, E_COLUMNS, s->at, "target lists can have at most %d entries", PLAN_COLUMNS_MAX);
    plan->param_count = typing.param_count;
    plan->relations = typing.relations;
    sql_emit(&sql, s);
    if (!buf_ok(&sql))
        return sql_fail(e, E_COMPLEX, s->at, "statement is too complex");
    if (!arena_str(&plan->arena, buf_str(&sql), &plan->sql) || !keep_columns(plan, s))
        return sql_fail(e, E_NOMEM, s->at, "out of memory");
    return OK;
}

/* SHOW is a query on current_setting(), whose column goes by the setting's own name. */
static enum code plan_show(struct plan *plan, const struct stmt *stmt, const struct plan_context *context,
                           struct sql_error *e)
{
    struct stmt *query;
    struct str name = context->schema->setting_name(stmt->name);

    if (name.n == 0) {
        TRY(sql_parse(&plan->arena,
                      STR("SELECT name, current_setting(name) AS setting, short_desc AS description "
                          "FROM pg_settings ORDER BY 1"),
                      &query, e));
        return plan_select(plan, query->select, context, e);
    }
    TRY(sql_parse(&plan->arena, STR("SELECT current_setting('')"), &query, e));
    if (!arena_str(&plan->arena, name, &name))
        return sql_fail(e, E_NOMEM, stmt->at, "out of memory");
    query->select->targets->expr->args->value = datum_text(name);
    query->select->targets->name = name;
    return plan_select(plan, query->select, context, e);
}

static enum code refuse_write(const struct stmt *stmt, struct sql_error *e)
{
    e->at = 0;
    (void)err_set(&e->err, E_READ_ONLY, "cannot execute %.*s in a read-only transaction",
                  STR_ARG(stmt->name));
    err_hint(&e->err, "The status database is read-only: change pgseal.conf and pg_hba.conf instead.");
    return E_READ_ONLY;
}

enum code plan_make(struct plan *plan, struct stmt *stmt, const struct plan_context *context,
                    struct sql_error *e)
{
    plan->stmt = stmt;
    if (!arena_str(&plan->arena, stmt->text, &plan->text))
        return sql_fail(e, E_NOMEM, stmt->at, "out of memory");
    if (stmt->kind == STMT_READ_ONLY)
        return refuse_write(stmt, e);
    if (stmt->kind == STMT_SHOW)
        return plan_show(plan, stmt, context, e);
    if (stmt->kind == STMT_SELECT || stmt->kind == STMT_DECLARE || stmt->kind == STMT_COPY)
        return plan_select(plan, stmt->select, context, e);
    return OK;
}
