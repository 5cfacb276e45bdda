/*
 * generate_series() and unnest() as tables with arguments: one module, whose rows are numbers or the elements
 * of an array. Columns: value, and the hidden arguments (a, b, c). [src: SQLite, "Table-valued functions"]
 */
#include "sql/series.h"

#include "base/arena.h"
#include "base/check.h"
#include "pgtypes/pgarray.h"
#include "sql/db_impl.h"
#include "sql/db_value.h"
#include "sql/vtab.h"

#include <stdlib.h>

enum { ARGUMENTS = 3, ARRAY_ARENA_MAX = 32 << 20, ALL_ARGUMENTS = (1 << ARGUMENTS) - 1 };
enum { COLUMN_VALUE, COLUMN_FIRST_ARGUMENT };

enum { TABLE_SERIES, TABLE_UNNEST };

struct series_cursor {
    sqlite3_vtab_cursor base;
    int64_t value;
    int64_t stop;
    int64_t step; /* 0: no rows */
    bool over;
    struct arena arena;
    struct pgarray array;
    size_t i;
    bool numbers; /* elements are returned as integers */
};

static bool is_unnest(const struct series_cursor *c)
{
    return vtab_of(&c->base)->number == TABLE_UNNEST;
}

static int sqlite_connect(sqlite3 *sql, void *aux, int argc, const char *const *argv, sqlite3_vtab **out,
                          char **error)
{
    (void)argc, (void)argv, (void)error;
    return vtab_connect(sql, aux, "CREATE TABLE x(value, a HIDDEN, b HIDDEN, c HIDDEN)", out);
}

/* All arguments must be known before the first row. */
static int best_index(sqlite3_vtab *base, sqlite3_index_info *info)
{
    int have = 0;

    (void)base;
    for (int i = 0; i < info->nConstraint; i++) {
        const struct sqlite3_index_constraint *c = &info->aConstraint[i];
        if (c->iColumn < COLUMN_FIRST_ARGUMENT || c->op != SQLITE_INDEX_CONSTRAINT_EQ)
            continue;
        if (!c->usable)
            return SQLITE_CONSTRAINT;
        info->aConstraintUsage[i].argvIndex = c->iColumn;
        info->aConstraintUsage[i].omit = 1;
        have |= 1 << (c->iColumn - COLUMN_FIRST_ARGUMENT);
    }
    info->estimatedCost = 100;
    info->estimatedRows = 100;
    return have == ALL_ARGUMENTS ? SQLITE_OK : SQLITE_CONSTRAINT;
}

static int open_cursor(sqlite3_vtab *base, sqlite3_vtab_cursor **out)
{
    struct series_cursor *c = calloc(1, sizeof *c);

    (void)base;
    if (c == NULL)
        return SQLITE_NOMEM;
    arena_init(&c->arena, ARRAY_ARENA_MAX, 1024);
    *out = &c->base;
    return SQLITE_OK;
}

static int close_cursor(sqlite3_vtab_cursor *base)
{
    struct series_cursor *c = (struct series_cursor *)(void *)base;

    arena_fini(&c->arena);
    free(c);
    return SQLITE_OK;
}

static int eof(sqlite3_vtab_cursor *base)
{
    const struct series_cursor *c = (struct series_cursor *)(void *)base;

    if (is_unnest(c))
        return c->i >= c->array.count;
    return c->over || c->step == 0 || (c->step > 0 ? c->value > c->stop : c->value < c->stop);
}

static int next(sqlite3_vtab_cursor *base)
{
    struct series_cursor *c = (struct series_cursor *)(void *)base;

    c->i++;
    c->over = __builtin_add_overflow(c->value, c->step, &c->value);
    return SQLITE_OK;
}

static int filter_array(struct series_cursor *c, sqlite3_value **argv)
{
    struct err why = { 0 };

    arena_reset(&c->arena);
    c->array = (struct pgarray){ 0 };
    c->numbers = sqlite3_value_int(argv[1]) != 0;
    if (sqlite3_value_type(argv[0]) == SQLITE_NULL)
        return SQLITE_OK;
    if (pgarray_read(&c->arena, db_text_arg(argv[0]), &c->array, &why) == OK)
        return SQLITE_OK;
    vtab_of(&c->base)->db->failure = why;
    return SQLITE_ERROR;
}

static int filter(sqlite3_vtab_cursor *base, int number, const char *text, int argc, sqlite3_value **argv)
{
    struct series_cursor *c = (struct series_cursor *)(void *)base;

    (void)number, (void)text;
    CHECK(argc == ARGUMENTS);
    c->i = 0;
    c->over = false;
    if (is_unnest(c))
        return filter_array(c, argv);
    c->value = sqlite3_value_int64(argv[0]);
    c->stop = sqlite3_value_int64(argv[1]);
    c->step = sqlite3_value_int64(argv[2]);
    for (int i = 0; i < ARGUMENTS; i++)
        c->over = c->over || sqlite3_value_type(argv[i]) == SQLITE_NULL;
    if (c->step == 0 && !c->over) {
        (void)err_set(&vtab_of(&c->base)->db->failure, E_PARAM, "step size cannot equal zero");
        return SQLITE_ERROR;
    }
    return SQLITE_OK;
}

static int column(sqlite3_vtab_cursor *base, sqlite3_context *cx, int i)
{
    const struct series_cursor *c = (struct series_cursor *)(void *)base;
    int64_t v;

    if (i != COLUMN_VALUE) {
        sqlite3_result_null(cx);
        return SQLITE_OK;
    }
    if (!is_unnest(c))
        sqlite3_result_int64(cx, c->value);
    else if (c->array.nulls[c->i])
        sqlite3_result_null(cx);
    else if (c->numbers && str_to_i64(c->array.items[c->i], INT64_MIN, INT64_MAX, &v))
        sqlite3_result_int64(cx, v);
    else
        db_return_text(cx, c->array.items[c->i]);
    return SQLITE_OK;
}

static int rowid(sqlite3_vtab_cursor *base, sqlite3_int64 *out)
{
    *out = (sqlite3_int64)((struct series_cursor *)(void *)base)->i;
    return SQLITE_OK;
}

static const sqlite3_module module = {
    .xConnect = sqlite_connect,
    .xBestIndex = best_index,
    .xDisconnect = vtab_disconnect,
    .xOpen = open_cursor,
    .xClose = close_cursor,
    .xFilter = filter,
    .xNext = next,
    .xEof = eof,
    .xColumn = column,
    .xRowid = rowid,
};

bool series_register(struct db *db)
{
    return vtab_add(db, "pgseal_series", &module, TABLE_SERIES) &&
           vtab_add(db, "pgseal_unnest", &module, TABLE_UNNEST);
}
