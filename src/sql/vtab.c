/*
 * One virtual-table module for all relations.
 *
 * A cursor walks a relation's rows by number; what the reader may not see is left out by whoever gives them. For joins on an
 * integer column (pid) it can look rows up instead: the first such question builds a sorted index, which
 * lives as long as the cursor, so joining two views of 10,000 sessions costs one sort. [src: SQLite, "The
 * Virtual Table Mechanism Of SQLite"]
 */
#include "sql/vtab.h"

#include "base/buf.h"
#include "base/check.h"
#include "pgtypes/pgarray.h"
#include "pgtypes/type.h"
#include "sql/db_impl.h"
#include "sql/db_value.h"
#include "sql/relation.h"
#include "sql/sql_utf8.h"

#include <stdlib.h>

enum { ROWS_GUESS = 10000, ROWS_GUESS_SMALL = 200, DECLARATION_MAX = 8192, ARRAY_TEXT_MAX = 1 << 20 };

struct index_entry {
    int64_t key;
    size_t row;
};

struct cursor {
    sqlite3_vtab_cursor base;
    size_t count; /* rows of the relation */
    size_t row;   /* row or, with an index in use, entry */
    struct cell cells[RELATION_COLUMNS_MAX];
    struct index_entry *index;
    size_t index_count;
    int index_column; /* -1: no index yet */
    bool by_index;
    int64_t key;
};

const struct vtab_table *vtab_of(const sqlite3_vtab_cursor *cursor)
{
    return (const struct vtab_table *)(const void *)cursor->pVtab;
}

/* ---- connecting ---- */

static const char *declared_type(enum pg_type type)
{
    if (type == PG_NUMERIC)
        return "TEXT COLLATE pgseal_numeric";
    if (type == PG_INET)
        return "TEXT COLLATE pgseal_inet";
    return pg_type_def(type)->category == 'N' || type == PG_BOOL || type == PG_XID || type == PG_TIMESTAMPTZ
               ? "INTEGER"
               : "TEXT";
}

bool vtab_add(struct db *db, const char *name, const sqlite3_module *module, unsigned number)
{
    struct vtab_kind *kind = malloc(sizeof *kind);

    if (kind == NULL)
        return false;
    *kind = (struct vtab_kind){ db, number };
    return sqlite3_create_module_v2(db->sql, name, module, kind, free) == SQLITE_OK;
}

int vtab_connect(sqlite3 *sql, const struct vtab_kind *kind, const char *declaration, sqlite3_vtab **out)
{
    kind->db->declaring = true; /* the fence would take the declaration for a CREATE TABLE */
    int rc = sqlite3_declare_vtab(sql, declaration);
    kind->db->declaring = false;
    if (rc != SQLITE_OK)
        return rc;
    struct vtab_table *table = calloc(1, sizeof *table);
    if (table == NULL)
        return SQLITE_NOMEM;
    table->db = kind->db;
    table->number = kind->number;
    *out = &table->base;
    return SQLITE_OK;
}

int vtab_disconnect(sqlite3_vtab *base)
{
    free(base);
    return SQLITE_OK;
}

static int sqlite_connect(sqlite3 *sql, void *aux, int argc, const char *const *argv, sqlite3_vtab **out,
                          char **error)
{
    const struct vtab_kind *kind = aux;
    const struct relation_def *def = &kind->db->schema->relations[kind->number];
    AUTO(buf) struct buf text = BUF_INIT(DECLARATION_MAX);

    (void)argc, (void)argv, (void)error;
    buf_append_c(&text, "CREATE TABLE x(");
    for (size_t i = 0; i < def->column_count; i++)
        buf_printf(&text, "%s\"%s\" %s", i > 0 ? "," : "", def->columns[i].name,
                   declared_type(def->columns[i].type));
    buf_append_c(&text, ")");
    if (!buf_ok(&text))
        return SQLITE_NOMEM;
    return vtab_connect(sql, kind, buf_c(&text), out);
}

static bool can_index(const struct relation_def *def, int column)
{
    return column >= 0 && strcmp(declared_type(def->columns[column].type), "INTEGER") == 0;
}

static int best_index(sqlite3_vtab *base, sqlite3_index_info *info)
{
    const struct vtab_table *table = (struct vtab_table *)(void *)base;
    const struct relation_def *def = &table->db->schema->relations[table->number];
    int rows = def->small ? ROWS_GUESS_SMALL : ROWS_GUESS;

    info->estimatedCost = rows;
    info->estimatedRows = rows;
    for (int i = 0; i < info->nConstraint; i++) {
        const struct sqlite3_index_constraint *c = &info->aConstraint[i];
        if (!c->usable || c->op != SQLITE_INDEX_CONSTRAINT_EQ || !can_index(def, c->iColumn))
            continue;
        info->aConstraintUsage[i].argvIndex = 1; /* SQLite compares again: omit stays 0 */
        info->idxNum = c->iColumn + 1;
        info->estimatedCost = 10;
        info->estimatedRows = 1;
        break;
    }
    return SQLITE_OK;
}

/* ---- rows ---- */

/* Fill the cursor with a row; false when the reader may not see it. */
static bool vtab_load(struct cursor *c, size_t row)
{
    const struct vtab_table *table = vtab_of(&c->base);

    memset(c->cells, 0, sizeof c->cells);
    return table->db->schema->load(table->db->cx, table->number, row, c->cells);
}

/* ---- the index ---- */

static int compare_entries(const void *a, const void *b)
{
    const struct index_entry *x = a, *y = b;

    if (x->key != y->key)
        return x->key < y->key ? -1 : 1;
    return x->row < y->row ? -1 : x->row > y->row;
}

static bool build_index(struct cursor *c, int column)
{
    free(c->index);
    c->index_column = -1;
    c->index_count = 0;
    c->index = calloc(c->count + 1, sizeof *c->index);
    if (c->index == NULL)
        return false;
    for (size_t row = 0; row < c->count; row++)
        if (vtab_load(c, row) && c->cells[column].kind == CELL_INT)
            c->index[c->index_count++] = (struct index_entry){ c->cells[column].i, row };
    qsort(c->index, c->index_count, sizeof *c->index, compare_entries);
    c->index_column = column;
    return true;
}

static size_t first_entry(const struct cursor *c, int64_t key)
{
    size_t low = 0, high = c->index_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (c->index[middle].key < key)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* ---- walking ---- */

static int open_cursor(sqlite3_vtab *base, sqlite3_vtab_cursor **out)
{
    struct cursor *c = calloc(1, sizeof *c);

    (void)base;
    if (c == NULL)
        return SQLITE_NOMEM;
    c->index_column = -1;
    *out = &c->base;
    return SQLITE_OK;
}

static int close_cursor(sqlite3_vtab_cursor *base)
{
    struct cursor *c = (struct cursor *)(void *)base;

    free(c->index);
    free(c);
    return SQLITE_OK;
}

static int eof(sqlite3_vtab_cursor *base)
{
    const struct cursor *c = (struct cursor *)(void *)base;

    if (c->by_index)
        return c->row >= c->index_count || c->index[c->row].key != c->key;
    return c->row >= c->count;
}

/* Stand on a row that may be seen, or after the last. */
static int vtab_settle(struct cursor *c)
{
    while (!eof(&c->base) && !vtab_load(c, c->by_index ? c->index[c->row].row : c->row))
        c->row++;
    return SQLITE_OK;
}

static int next(sqlite3_vtab_cursor *base)
{
    struct cursor *c = (struct cursor *)(void *)base;

    c->row++;
    return vtab_settle(c);
}

static int filter(sqlite3_vtab_cursor *base, int column_plus_1, const char *text, int argc,
                  sqlite3_value **argv)
{
    struct cursor *c = (struct cursor *)(void *)base;
    const struct vtab_table *table = vtab_of(&c->base);
    struct db *db = table->db;
    struct err why = { 0 };

    (void)text;
    c->count = 0;
    if (db->schema->count(db->cx, table->number, &c->count, &why) != OK) {
        db->failure = why;
        return SQLITE_ERROR;
    }
    c->by_index = column_plus_1 > 0 && argc > 0 && sqlite3_value_type(argv[0]) == SQLITE_INTEGER;
    c->row = 0;
    if (c->by_index) {
        if (c->index_column != column_plus_1 - 1 && !build_index(c, column_plus_1 - 1))
            return SQLITE_NOMEM;
        c->key = sqlite3_value_int64(argv[0]);
        c->row = first_entry(c, c->key);
    }
    return vtab_settle(c);
}

/* The source keeps its texts until the statement ends; only what is not UTF-8 needs a copy. */
static void return_text(sqlite3_context *cx, struct str text)
{
    AUTO(buf) struct buf clean = BUF_INIT(ARRAY_TEXT_MAX);

    if (sql_utf8_check(text, NULL) == OK) {
        sqlite3_result_text(cx, text.n ? text.p : "", (int)text.n, SQLITE_STATIC);
        return;
    }
    sql_utf8_clean(&clean, text);
    db_return_buf(cx, &clean);
}

static int column(sqlite3_vtab_cursor *base, sqlite3_context *cx, int i)
{
    const struct cursor *c = (struct cursor *)(void *)base;
    const struct cell *cell = &c->cells[i];

    switch (cell->kind) {
    case CELL_NULL:
        sqlite3_result_null(cx);
        return SQLITE_OK;
    case CELL_INT:
        sqlite3_result_int64(cx, cell->i);
        return SQLITE_OK;
    case CELL_TEXT:
        return_text(cx, cell->text);
        return SQLITE_OK;
    case CELL_TEXTS:
        break;
    }
    AUTO(buf) struct buf array = BUF_INIT(ARRAY_TEXT_MAX);
    AUTO(buf) struct buf text = BUF_INIT(ARRAY_TEXT_MAX);
    pgarray_write(&array, cell->texts.items, NULL, cell->texts.count);
    sql_utf8_clean(&text, buf_str(&array));
    text.failed = text.failed || array.failed;
    db_return_buf(cx, &text);
    return SQLITE_OK;
}

static int rowid(sqlite3_vtab_cursor *base, sqlite3_int64 *out)
{
    const struct cursor *c = (struct cursor *)(void *)base;

    *out = (sqlite3_int64)(c->by_index ? c->index[c->row].row : c->row);
    return SQLITE_OK;
}

/* xCreate stays NULL: the tables are there without being created, and cannot be. */
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

bool vtab_register(struct db *db)
{
    for (unsigned i = 0; i < db->schema->relation_count; i++)
        if (!vtab_add(db, db->schema->relations[i].name, &module, i))
            return false;
    return true;
}
