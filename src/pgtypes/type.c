#include "pgtypes/type.h"

#include "base/check.h"

#include <stdio.h>

static const struct pg_type_def types[PG_TYPE_COUNT] = {
#define X(id, oid, len, name, label, category, element) { id, oid, len, name, label, category, element },
#include "types.def"
#undef X
};

const struct pg_type_def *pg_type_def(enum pg_type type)
{
    CHECK((unsigned)type < PG_TYPE_COUNT);
    return &types[type];
}

bool pg_type_of_oid(uint32_t oid, enum pg_type *out)
{
    for (size_t i = 0; i < PG_TYPE_COUNT; i++) {
        if (types[i].oid == oid) {
            *out = types[i].id;
            return true;
        }
    }
    return false;
}

bool pg_type_of_name(struct str name, enum pg_type *out)
{
    static const struct {
        const char *name;
        enum pg_type type;
    } words[] = {
        { "int", PG_INT4 },       { "decimal", PG_NUMERIC },   { "dec", PG_NUMERIC },
        { "float", PG_FLOAT8 },   { "real", PG_FLOAT8 },       { "float4", PG_FLOAT8 },
        { "bpchar", PG_VARCHAR }, { "character", PG_VARCHAR },
    };

    for (size_t i = 0; i < PG_TYPE_COUNT; i++) {
        if (str_is(name, types[i].name) || str_is(name, types[i].label)) {
            *out = types[i].id;
            return true;
        }
    }
    for (size_t i = 0; i < COUNT_OF(words); i++) {
        if (str_is(name, words[i].name)) {
            *out = words[i].type;
            return true;
        }
    }
    return false;
}

bool pg_type_array_of(enum pg_type element, enum pg_type *out)
{
    if (element == PG_VARCHAR || element == PG_NAME)
        element = PG_TEXT;
    for (size_t i = 0; i < PG_TYPE_COUNT; i++) {
        if (types[i].category == 'A' && types[i].element == element) {
            *out = types[i].id;
            return true;
        }
    }
    return false;
}
