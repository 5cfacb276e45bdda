/*
 * pg_class and the like, as far as drivers and postgres_fdw's IMPORT FOREIGN SCHEMA read them.
 *
 * PostgreSQL's own views are listed in pg_catalog, where everyone looks for them, and again in public beside
 * ours, so that IMPORT FOREIGN SCHEMA public brings everything the gate tells. [choice: one import, whole
 * set]
 */
#include "status/catalog.h"

#include "base/check.h"
#include "pgtypes/pgreg.h"
#include "pgtypes/type.h"
#include "sql/sql_cursor.h"
#include "status/views.h"

enum { OID_C_COLLATION = 950, OID_DEFAULT_COLLATION = 100, PUBLIC_OID_OFFSET = 500 };

/* One row of pg_class: a view, in one of the schemas it is listed in. */
struct listing {
    const struct view_def *view;
    uint32_t oid;
    uint32_t schema;
};

static bool listed_twice(const struct view_def *view)
{
    return view->schema == SCHEMA_CATALOG && view->access != ACCESS_BUILTIN;
}

static struct listing listing_at(size_t index)
{
    struct listing l = { NULL, 0, 0 };

    if (index < VIEW_COUNT) {
        l.view = view_def((enum view)index);
        l.oid = view_oid(l.view->id);
        l.schema = l.view->schema == SCHEMA_CATALOG ? PGREG_PG_CATALOG : PGREG_PUBLIC;
        return l;
    }
    index -= VIEW_COUNT;
    for (size_t i = 0; i < VIEW_COUNT; i++) {
        const struct view_def *view = view_def((enum view)i);
        if (!listed_twice(view) || index-- > 0)
            continue;
        l = (struct listing){ view, view_oid(view->id) + PUBLIC_OID_OFFSET, PGREG_PUBLIC };
        break;
    }
    return l;
}

static size_t listing_count(void)
{
    size_t n = VIEW_COUNT;

    for (size_t i = 0; i < VIEW_COUNT; i++)
        n += listed_twice(view_def((enum view)i));
    return n;
}

/* Row `index` of pg_attribute. */
static struct listing attribute_at(size_t index, size_t *out_column)
{
    for (size_t i = 0; i < listing_count(); i++) {
        struct listing l = listing_at(i);
        if (index < l.view->column_count) {
            *out_column = index;
            return l;
        }
        index -= l.view->column_count;
    }
    UNREACHABLE();
}

static size_t attribute_count(void)
{
    size_t n = 0;

    for (size_t i = 0; i < listing_count(); i++)
        n += listing_at(i).view->column_count;
    return n;
}

static size_t keyword_count(void)
{
    size_t n = 0;

    while (sql_reserved_word(n))
        n++;
    return n;
}

size_t catalog_count(enum view view)
{
    if (view == VIEW_PG_GET_KEYWORDS)
        return keyword_count();
    if (view == VIEW_PG_NAMESPACE || view == VIEW_PG_COLLATION)
        return 2;
    if (view == VIEW_PG_CLASS)
        return listing_count();
    if (view == VIEW_PG_ATTRIBUTE)
        return attribute_count();
    if (view == VIEW_PG_TYPE)
        return PG_TYPE_COUNT;
    if (view == VIEW_PG_DATABASE)
        return 1;
    if (view == VIEW_PG_DESCRIPTION)
        return listing_count() + attribute_count();
    return 0; /* nothing here has a default, is stored, indexed or an extension */
}

static void fill_namespace(size_t index, struct row_pg_namespace *out)
{
    out->oid = cell_int(index == 0 ? PGREG_PG_CATALOG : PGREG_PUBLIC);
    out->nspname = cell_c(index == 0 ? "pg_catalog" : "public");
    out->nspowner = cell_int(CATALOG_OID_OWNER);
}

static void fill_class(size_t index, struct row_pg_class *out)
{
    struct listing l = listing_at(index);

    out->oid = cell_int(l.oid);
    out->relname = cell_c(l.view->name);
    out->relnamespace = cell_int(l.schema);
    out->reltype = cell_int(0);
    out->relowner = cell_int(CATALOG_OID_OWNER);
    out->relam = out->relfilenode = out->reltablespace = out->reltoastrelid = out->reloftype = cell_int(0);
    out->relpages = out->relchecks = cell_int(0);
    out->reltuples = cell_int(-1);
    out->relhasindex = out->relhasrules = out->relhastriggers = cell_bool(false);
    out->relrowsecurity = out->relforcerowsecurity = out->relispartition = cell_bool(false);
    out->relreplident = cell_c("n");
    out->relpersistence = cell_c("p");
    out->relkind = cell_c("v");
    out->relnatts = cell_int((int64_t)l.view->column_count);
}

static int64_t collation_of(const struct pg_type_def *type)
{
    if (type->id == PG_NAME)
        return OID_C_COLLATION;
    return type->category == 'S' || type->id == PG_TEXTS ? OID_DEFAULT_COLLATION : 0;
}

static void fill_attribute(size_t index, struct row_pg_attribute *out)
{
    size_t column;
    struct listing l = attribute_at(index, &column);
    const struct pg_type_def *type = pg_type_def(l.view->columns[column].type);

    out->attrelid = cell_int(l.oid);
    out->attname = cell_c(l.view->columns[column].name);
    out->atttypid = cell_int(type->oid);
    out->attlen = cell_int(type->length);
    out->attnum = cell_int((int64_t)column + 1);
    out->atttypmod = cell_int(-1);
    out->attnotnull = out->atthasdef = out->attisdropped = cell_bool(false);
    out->attidentity = out->attgenerated = out->attcompression = cell_c("");
    out->attstorage = cell_c(type->length < 0 ? "x" : "p");
    out->attcollation = cell_int(collation_of(type));
}

static void fill_collation(size_t index, struct row_pg_collation *out)
{
    out->oid = cell_int(index == 0 ? OID_DEFAULT_COLLATION : OID_C_COLLATION);
    out->collname = cell_c(index == 0 ? "default" : "C");
    out->collnamespace = cell_int(PGREG_PG_CATALOG);
}

static void fill_type(size_t index, struct row_pg_type *out)
{
    const struct pg_type_def *type = pg_type_def((enum pg_type)index);
    static const char categories[] = "ABDINSTUXZ";
    const char *category = strchr(categories, type->category);
    enum pg_type array;

    out->oid = cell_int(type->oid);
    out->typname = cell_c(type->name);
    out->typnamespace = cell_int(PGREG_PG_CATALOG);
    out->typlen = cell_int(type->length);
    out->typtype = cell_c(type->id == PG_UNKNOWN ? "p" : "b");
    out->typcategory = cell_text(str_of(category, 1));
    out->typinput = cell_int(type->category == 'A' ? PGREG_ARRAY_IN : 0);
    out->typdelim = cell_c(",");
    out->typrelid = out->typbasetype = cell_int(0);
    out->typelem = cell_int(type->category == 'A' ? pg_type_def(type->element)->oid : 0);
    out->typarray = cell_int(0);
    if (type->id != PG_NAME && type->id != PG_VARCHAR && pg_type_array_of(type->id, &array))
        out->typarray = cell_int(pg_type_def(array)->oid);
    out->typtypmod = cell_int(-1);
    out->typnotnull = cell_bool(false);
    out->typcollation = cell_int(collation_of(type));
}

static void fill_database(struct str database, struct row_pg_database *out)
{
    out->oid = cell_int(CATALOG_OID_DATABASE);
    out->datname = cell_text(database);
    out->datdba = cell_int(CATALOG_OID_OWNER);
    out->encoding = cell_int(6);
    out->datlocprovider = cell_c("c");
    out->dattablespace = cell_int(0);
    out->datcollate = out->datctype = cell_c("C");
    out->datistemplate = cell_bool(false);
    out->datallowconn = cell_bool(true);
    out->datconnlimit = cell_int(-1);
}

static void fill_description(size_t index, struct row_pg_description *out)
{
    size_t column = 0;
    bool relation = index < listing_count();
    struct listing l = relation ? listing_at(index) : attribute_at(index - listing_count(), &column);

    out->objoid = cell_int(l.oid);
    out->classoid = cell_int(view_oid(VIEW_PG_CLASS));
    out->objsubid = cell_int(relation ? 0 : (int64_t)column + 1);
    out->description = cell_c(relation ? l.view->help : l.view->columns[column].help);
}

static void fill_keyword(size_t index, struct row_pg_get_keywords *out)
{
    out->word = cell_c(sql_reserved_word(index));
    out->catcode = cell_c("R");
    out->barelabel = cell_bool(false);
    out->catdesc = cell_c("reserved");
    out->baredesc = cell_c("requires AS");
}

void catalog_fill(enum view view, size_t index, struct str database, union view_row *out)
{
    if (view == VIEW_PG_NAMESPACE)
        fill_namespace(index, &out->pg_namespace);
    else if (view == VIEW_PG_CLASS)
        fill_class(index, &out->pg_class);
    else if (view == VIEW_PG_ATTRIBUTE)
        fill_attribute(index, &out->pg_attribute);
    else if (view == VIEW_PG_COLLATION)
        fill_collation(index, &out->pg_collation);
    else if (view == VIEW_PG_TYPE)
        fill_type(index, &out->pg_type);
    else if (view == VIEW_PG_DATABASE)
        fill_database(database, &out->pg_database);
    else if (view == VIEW_PG_DESCRIPTION)
        fill_description(index, &out->pg_description);
    else if (view == VIEW_PG_GET_KEYWORDS)
        fill_keyword(index, &out->pg_get_keywords);
}

bool catalog_is_visible(uint32_t oid)
{
    return oid < view_oid((enum view)0) + PUBLIC_OID_OFFSET;
}

const char *catalog_help(uint32_t oid, int64_t column)
{
    for (size_t i = 0; i < listing_count(); i++) {
        struct listing l = listing_at(i);
        if (l.oid != oid)
            continue;
        if (column == 0)
            return l.view->help;
        return column > 0 && (uint64_t)column <= l.view->column_count ? l.view->columns[column - 1].help
                                                                      : NULL;
    }
    return NULL;
}
