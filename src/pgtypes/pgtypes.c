/* The table of types, and one reader and writer per type and format. */
#include "pgtypes/pgtypes.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "pgtypes/pgarray.h"
#include "pgtypes/pginet.h"
#include "pgtypes/pgnumeric.h"
#include "pgtypes/pgreg.h"
#include "pgtypes/pgtime.h"
#include "pgtypes/type.h"

#include <errno.h>
#include <math.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>

enum { NAME_BYTES = 63, NUMBER_TEXT_MAX = 4096 };

/* ---- text form, in ---- */

static enum code bad_text(enum pg_type type, struct str in, struct err *e)
{
    return err_set(e, pg_type_def(type)->category == 'D' || type == PG_INTERVAL ? E_DATETIME : E_TEXT_REP,
                   "invalid input syntax for type %s: \"%.*s\"", pg_type_def(type)->label, STR_ARG(in));
}

static enum code out_of_range(enum pg_type type, struct str in, struct err *e)
{
    return err_set(e, E_RANGE, "value \"%.*s\" is out of range for type %s", STR_ARG(in),
                   pg_type_def(type)->label);
}

/* Take the prefix of a base other than ten. */
static unsigned take_base(struct str *s)
{
    static const struct {
        char letter;
        unsigned base;
    } bases[] = { { 'x', 16 }, { 'o', 8 }, { 'b', 2 } };

    for (size_t i = 0; i < COUNT_OF(bases); i++)
        if (s->n >= 2 && s->p[0] == '0' && (s->p[1] | 0x20) == bases[i].letter) {
            *s = str_from(*s, 2);
            return bases[i].base;
        }
    return 10;
}

/* The next digit; -1: there is none. An underscore may stand before it, but not before a decimal's first. */
static int take_digit(struct str *s, unsigned base, bool first)
{
    size_t i = s->n > 1 && s->p[0] == '_' && !(first && base == 10) ? 1 : 0;
    int digit = i < s->n ? OPENSSL_hexchar2int((unsigned char)s->p[i]) : -1;

    if (digit < 0 || (unsigned)digit >= base)
        return -1;
    *s = str_from(*s, i + 1);
    return digit;
}

/* As PostgreSQL reads since 16. [src: PostgreSQL 18, numutils.c: pg_strtoint32_safe] */
static enum code read_integer(enum pg_type type, struct str in, struct datum *out, struct err *e)
{
    int64_t max = type == PG_INT2 ? INT16_MAX : type == PG_INT4 ? INT32_MAX : INT64_MAX;
    struct str s = str_trim(in);
    bool negative = s.n > 0 && s.p[0] == '-', first = true;
    uint64_t v = 0, most = (uint64_t)max + negative;

    if (negative || (s.n > 0 && s.p[0] == '+'))
        s = str_from(s, 1);
    unsigned base = take_base(&s);
    for (int digit; (digit = take_digit(&s, base, first)) >= 0; first = false) {
        if (v > ((uint64_t)max + 1) / base)
            return out_of_range(type, in, e);
        v = v * base + (unsigned)digit;
    }
    if (first || s.n > 0)
        return bad_text(type, in, e);
    if (v > most)
        return out_of_range(type, in, e);
    *out = datum_int(negative ? (int64_t)(0 - v) : (int64_t)v);
    return OK;
}

/* oid and xid: the C library's bases, and a negative number wraps. [src: PostgreSQL 18, uint32in_subr] */
static enum code read_unsigned(enum pg_type type, struct str in, struct datum *out, struct err *e)
{
    char text[NUMBER_TEXT_MAX], *end;

    if (!str_to_c(str_trim(in), text, sizeof text) || text[0] == '\0')
        return bad_text(type, in, e);
    errno = 0;
    unsigned long v = strtoul(text, &end, c_number_base(text));
    if (end == text)
        return bad_text(type, in, e);
    if (errno == ERANGE)
        return out_of_range(type, in, e);
    if (*end != '\0')
        return bad_text(type, in, e);
    if (v != (uint32_t)v && v != (unsigned long)(int32_t)(uint32_t)v)
        return out_of_range(type, in, e);
    *out = datum_int((int64_t)(uint32_t)v);
    return OK;
}

static enum code read_real(struct str in, struct datum *out, struct err *e)
{
    char text[64], *end;
    double v;

    if (!str_to_c(str_trim(in), text, sizeof text) || text[0] == '\0' || strchr(text, 'x') != NULL)
        return bad_text(PG_FLOAT8, in, e);
    v = strtod(text, &end);
    if (*end != '\0')
        return bad_text(PG_FLOAT8, in, e);
    *out = (struct datum){ .kind = DATUM_REAL, .real = v };
    return OK;
}

enum code pg_text_keep(struct arena *arena, const struct buf *text, struct datum *out, struct err *e)
{
    struct str copy;

    if (!buf_ok(text) || !arena_str(arena, buf_str(text), &copy))
        return err_set(e, E_NOMEM, "out of memory");
    *out = datum_text(copy);
    return OK;
}

static enum code pgtypes_read_time(const struct pg_input *env, enum pg_type type, struct str in,
                                   struct datum *out, struct err *e)
{
    int64_t us;
    bool range;

    if (!pgtime_read(in, env->now_us, &us, &range))
        return range ? err_set(e, E_FIELD_RANGE, "date/time field value out of range: \"%.*s\"", STR_ARG(in))
                     : bad_text(type, in, e);
    if (type == PG_DATE && us != TIME_INFINITY && us != TIME_MINUS_INFINITY)
        us = us / USECS_PER_DAY - (us % USECS_PER_DAY < 0 ? 1 : 0);
    *out = datum_int(us);
    return OK;
}

static enum code read_interval(struct str in, struct datum *out, struct err *e)
{
    int64_t us;
    bool unsupported;

    if (!pgtime_read_interval(in, &us, &unsupported))
        return unsupported ? err_set(e, E_UNSUPPORTED, "intervals of months and years are not supported")
                           : bad_text(PG_INTERVAL, in, e);
    *out = datum_int(us);
    return OK;
}

static enum code read_array(const struct pg_input *env, enum pg_type type, struct str in, struct datum *out,
                            struct err *e)
{
    AUTO(buf) struct buf text = BUF_INIT(2 * in.n + 64);
    struct pgarray array;

    TRY(pgarray_read(env->arena, in, &array, e));
    for (size_t i = 0; i < array.count; i++) {
        struct datum item;
        if (!array.nulls[i])
            TRY(pg_text_read(env, pg_type_def(type)->element, array.items[i], &item, e));
    }
    pgarray_write(&text, array.items, array.nulls, array.count);
    return pg_text_keep(env->arena, &text, out, e);
}

static enum code read_rewritten(const struct pg_input *env, enum pg_type type, struct str in,
                                struct datum *out, struct err *e)
{
    AUTO(buf) struct buf text = BUF_INIT(NUMBER_TEXT_MAX);
    struct pginet inet;

    if (type == PG_NUMERIC) {
        if (!pgnumeric_read(in, &text))
            return bad_text(type, in, e);
    } else {
        if (!pginet_read(str_trim(in), &inet))
            return bad_text(type, in, e);
        pginet_write(&text, &inet);
    }
    return pg_text_keep(env->arena, &text, out, e);
}

enum code pg_text_read(const struct pg_input *env, enum pg_type type, struct str in, struct datum *out,
                       struct err *e)
{
    bool truth;
    uint32_t oid;

    switch (type) {
    case PG_BOOL:
        if (!str_to_bool(str_trim(in), &truth))
            return bad_text(type, in, e);
        *out = datum_int(truth);
        return OK;
    case PG_INT2:
    case PG_INT4:
    case PG_INT8:
        return read_integer(type, in, out, e);
    case PG_OID:
    case PG_XID:
        return read_unsigned(type, in, out, e);
    case PG_REGPROC:
    case PG_REGCLASS:
    case PG_REGTYPE:
    case PG_REGNAMESPACE:
        TRY(pgreg_read(env->relations, type, in, &oid, e));
        *out = datum_int(oid);
        return OK;
    case PG_FLOAT8:
        return read_real(in, out, e);
    case PG_DATE:
    case PG_TIMESTAMP:
    case PG_TIMESTAMPTZ:
        return pgtypes_read_time(env, type, in, out, e);
    case PG_INTERVAL:
        return read_interval(in, out, e);
    case PG_NUMERIC:
    case PG_INET:
        return read_rewritten(env, type, in, out, e);
    case PG_INT2S:
    case PG_INT4S:
    case PG_TEXTS:
    case PG_INT8S:
    case PG_OIDS:
        return read_array(env, type, in, out, e);
    case PG_NAME:
        *out = datum_text(str_first(in, NAME_BYTES));
        return OK;
    case PG_CHAR:
        *out = datum_text(str_first(in, 1));
        return OK;
    case PG_TEXT:
    case PG_VARCHAR:
    case PG_UNKNOWN:
    case PG_TYPE_COUNT:
        break;
    }
    *out = datum_text(in);
    return OK;
}

/* ---- text form, out ---- */

static void write_real(struct buf *out, double v)
{
    char text[40];

    if (isnan(v) || isinf(v)) {
        buf_append_c(out, isnan(v) ? "NaN" : v > 0 ? "Infinity" : "-Infinity");
        return;
    }
    for (int digits = 15; digits <= 17; digits++) { /* the shortest that reads back as the same */
        (void)snprintf(text, sizeof text, "%.*g", digits, v);
        if (!(strtod(text, NULL) < v) && !(strtod(text, NULL) > v))
            break;
    }
    buf_append_c(out, text);
}

void pg_text_write(struct buf *out, enum pg_type type, const struct datum *value,
                   const struct pg_relations *relations)
{
    switch (value->kind) {
    case DATUM_NULL:
        return;
    case DATUM_TEXT:
        buf_append_str(out, value->text);
        return;
    case DATUM_REAL:
        write_real(out, value->real);
        return;
    case DATUM_INT:
        break;
    }
    if (type == PG_BOOL)
        buf_append_byte(out, value->i ? 't' : 'f');
    else if (type == PG_TIMESTAMPTZ || type == PG_TIMESTAMP)
        pgtime_write(out, value->i, type == PG_TIMESTAMPTZ);
    else if (type == PG_DATE)
        pgtime_write_date(out, value->i);
    else if (type == PG_INTERVAL)
        pgtime_write_interval(out, value->i);
    else if (type == PG_REGPROC || type == PG_REGCLASS || type == PG_REGTYPE || type == PG_REGNAMESPACE)
        pgreg_write(out, relations, type, (uint32_t)value->i);
    else
        buf_append_int(out, value->i);
}
