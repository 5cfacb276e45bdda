/* Names of relations, types, functions and schemas as OIDs, and back. */
#include "pgtypes/pgreg.h"

#include "base/buf.h"
#include "base/check.h"
#include "pgtypes/type.h"

static struct str without_schema(struct str name)
{
    if (str_starts(name, STR("pg_catalog.")))
        return str_from(name, 11);
    return str_starts(name, STR("public.")) ? str_from(name, 7) : name;
}

static enum code read_class(const struct pg_relations *relations, struct str name, uint32_t *out,
                            struct err *e)
{
    struct str bare = without_schema(name);

    for (size_t i = 0; relations && i < relations->n; i++) {
        if (str_is(bare, relations->names[i])) {
            *out = PGREG_RELATION_BASE + (uint32_t)i;
            return OK;
        }
    }
    return err_set(e, E_UNDEF_TABLE, "relation \"%.*s\" does not exist", STR_ARG(name));
}

static enum code read_type(struct str name, uint32_t *out, struct err *e)
{
    enum pg_type type;

    if (!pg_type_of_name(without_schema(name), &type))
        return err_set(e, E_UNDEFINED, "type \"%.*s\" does not exist", STR_ARG(name));
    *out = pg_type_def(type)->oid;
    return OK;
}

enum code pgreg_read(const struct pg_relations *relations, enum pg_type type, struct str in,
                     uint32_t *out_oid, struct err *e)
{
    struct str name = str_trim(in);

    if (str_to_u32(name, 0, UINT32_MAX, out_oid))
        return OK;
    if (type == PG_REGCLASS)
        return read_class(relations, name, out_oid, e);
    if (type == PG_REGTYPE)
        return read_type(name, out_oid, e);
    if (type == PG_REGPROC && str_is(without_schema(name), "array_in")) {
        *out_oid = PGREG_ARRAY_IN;
        return OK;
    }
    if (type == PG_REGPROC)
        return err_set(e, E_UNDEF_FUNCTION, "function \"%.*s\" does not exist", STR_ARG(name));
    if (!str_is(name, "pg_catalog") && !str_is(name, "public"))
        return err_set(e, E_NO_SCHEMA, "schema \"%.*s\" does not exist", STR_ARG(name));
    *out_oid = str_is(name, "public") ? PGREG_PUBLIC : PGREG_PG_CATALOG;
    return OK;
}

static const char *class_name(const struct pg_relations *relations, uint32_t oid)
{
    if (!relations || oid < PGREG_RELATION_BASE || oid - PGREG_RELATION_BASE >= relations->n)
        return NULL;
    return relations->names[oid - PGREG_RELATION_BASE];
}

void pgreg_write(struct buf *out, const struct pg_relations *relations, enum pg_type type, uint32_t oid)
{
    const char *name = NULL;
    enum pg_type known;

    if (oid == 0)
        name = "-";
    else if (type == PG_REGCLASS)
        name = class_name(relations, oid);
    else if (type == PG_REGTYPE && pg_type_of_oid(oid, &known))
        name = pg_type_def(known)->label;
    else if (type == PG_REGPROC && oid == PGREG_ARRAY_IN)
        name = "array_in";
    else if (type == PG_REGNAMESPACE && (oid == PGREG_PUBLIC || oid == PGREG_PG_CATALOG))
        name = oid == PGREG_PUBLIC ? "public" : "pg_catalog";
    if (name != NULL)
        buf_append_c(out, name);
    else
        buf_printf(out, "%u", (unsigned)oid);
}
