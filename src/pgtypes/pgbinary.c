/* The binary form of types. [src: PostgreSQL 18, the types' send and receive functions] */
#include "pgtypes/pgbinary.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/rd.h"
#include "pgtypes/pgarray.h"
#include "pgtypes/pginet.h"
#include "pgtypes/pgnumeric.h"
#include "pgtypes/pgtime.h"
#include "pgtypes/pgtypes.h"
#include "pgtypes/type.h"

enum { FAMILY_INET = 2, FAMILY_INET6 = 3, DATES_1970_TO_2000 = 10957 };

static void put_int(struct buf *out, uint64_t v, unsigned bytes)
{
    while (bytes-- > 0)
        buf_append_byte(out, (uint8_t)(v >> (8 * bytes)));
}

static int64_t shift_time(int64_t us, int64_t by_s)
{
    int64_t shifted;

    if (us == TIME_INFINITY || us == TIME_MINUS_INFINITY)
        return us;
    if (__builtin_add_overflow(us, by_s * USECS_PER_SEC, &shifted))
        return us < 0 ? TIME_MINUS_INFINITY : TIME_INFINITY;
    return shifted;
}

static void write_int(struct buf *out, enum pg_type type, int64_t v)
{
    if (type == PG_TIMESTAMPTZ || type == PG_TIMESTAMP) {
        put_int(out, (uint64_t)shift_time(v, -SECS_1970_TO_2000), 8);
    } else if (type == PG_DATE) {
        put_int(out, (uint64_t)(v - DATES_1970_TO_2000), 4);
    } else if (type == PG_INTERVAL) {
        put_int(out, (uint64_t)(v % USECS_PER_DAY), 8);
        put_int(out, (uint64_t)(v / USECS_PER_DAY), 4);
        put_int(out, 0, 4);
    } else {
        int16_t length = pg_type_def(type)->length;
        put_int(out, (uint64_t)v, length > 0 ? (unsigned)length : 8);
    }
}

static void write_inet(struct buf *out, struct str text)
{
    struct pginet inet;

    if (!pginet_read(text, &inet)) {
        out->failed = true;
        return;
    }
    buf_append_byte(out, inet.v6 ? FAMILY_INET6 : FAMILY_INET);
    buf_append_byte(out, inet.prefix);
    buf_append_byte(out, 0); /* not cidr */
    buf_append_byte(out, inet.v6 ? 16 : 4);
    buf_append(out, bytes_of(inet.addr, inet.v6 ? 16 : 4));
}

static void write_item(struct buf *out, enum pg_type element, struct str text)
{
    int64_t v = 0;

    if (element == PG_TEXT) {
        put_int(out, text.n, 4);
        buf_append_str(out, text);
        return;
    }
    if (!str_to_i64(text, INT64_MIN, INT64_MAX, &v))
        out->failed = true;
    put_int(out, (uint64_t)(unsigned)pg_type_def(element)->length, 4);
    write_int(out, element, v);
}

static void write_array(struct buf *out, enum pg_type type, struct str text)
{
    struct arena arena;
    struct pgarray array;
    enum pg_type element = pg_type_def(type)->element;
    bool nulls = false;

    arena_init(&arena, 64 * text.n + 4096, 1024);
    if (pgarray_read(&arena, text, &array, NULL) != OK) {
        out->failed = true;
        array.count = 0;
    }
    for (size_t i = 0; i < array.count; i++)
        nulls = nulls || array.nulls[i];
    put_int(out, array.count > 0, 4); /* dimensions */
    put_int(out, nulls, 4);
    put_int(out, pg_type_def(element)->oid, 4);
    if (array.count > 0) {
        put_int(out, array.count, 4);
        put_int(out, 1, 4); /* lower bound */
    }
    for (size_t i = 0; i < array.count; i++) {
        if (array.nulls[i])
            put_int(out, UINT32_MAX, 4);
        else
            write_item(out, element, array.items[i]);
    }
    arena_fini(&arena);
}

static void write_real(struct buf *out, double real)
{
    uint64_t bits;

    memcpy(&bits, &real, sizeof bits);
    put_int(out, bits, 8);
}

void pg_binary_write(struct buf *out, enum pg_type type, const struct datum *value)
{
    switch (value->kind) {
    case DATUM_NULL:
        return;
    case DATUM_REAL:
        write_real(out, value->real);
        return;
    case DATUM_INT:
        write_int(out, type, value->i);
        return;
    case DATUM_TEXT:
        break;
    }
    if (type == PG_NUMERIC)
        pgnumeric_write_binary(out, value->text);
    else if (type == PG_INET)
        write_inet(out, value->text);
    else if (pg_type_def(type)->category == 'A')
        write_array(out, type, value->text);
    else
        buf_append_str(out, value->text);
}

/* ---- in ---- */

static enum code bad_binary(struct err *e)
{
    return err_set(e, E_BINARY_REP, "incorrect binary data format in bind parameter");
}

static int64_t get_int(struct bytes in)
{
    uint64_t v = in.n > 0 && in.p[0] & 0x80 ? UINT64_MAX : 0;

    for (size_t i = 0; i < in.n; i++)
        v = v << 8 | in.p[i];
    return (int64_t)v;
}

static enum code read_int(enum pg_type type, struct bytes in, struct datum *out, struct err *e)
{
    int16_t length = pg_type_def(type)->length;
    int64_t v, days;

    if (length <= 0 || in.n != (size_t)length)
        return bad_binary(e);
    v = get_int(in);
    if (type == PG_TIMESTAMPTZ || type == PG_TIMESTAMP) {
        if (v > INT64_MAX - SECS_1970_TO_2000 * USECS_PER_SEC && v != TIME_INFINITY)
            return err_set(e, E_FIELD_RANGE, "timestamp out of range");
        v = shift_time(v, SECS_1970_TO_2000);
    } else if (type == PG_DATE) {
        v += DATES_1970_TO_2000;
    } else if (pg_is_oid(type) || type == PG_XID) {
        v = (int64_t)(uint32_t)v;
    } else if (type == PG_INTERVAL) {
        v = get_int(bytes_of(in.p, 8));
        days = get_int(bytes_of(in.p + 8, 4));
        if (get_int(bytes_of(in.p + 12, 4)) != 0)
            return err_set(e, E_UNSUPPORTED, "intervals of months and years are not supported");
        if (__builtin_mul_overflow(days, USECS_PER_DAY, &days) || __builtin_add_overflow(v, days, &v))
            return err_set(e, E_FIELD_RANGE, "interval out of range");
    }
    *out = datum_int(v);
    return OK;
}

static enum code read_inet(const struct pg_input *env, struct bytes in, struct datum *out, struct err *e)
{
    AUTO(buf) struct buf text = BUF_INIT(128);
    struct pginet inet = { 0 };
    struct rd r = rd_over(in);
    uint8_t family = rd_u8(&r), size;
    struct bytes addr;

    inet.v6 = family == FAMILY_INET6;
    inet.prefix = rd_u8(&r);
    (void)rd_u8(&r);
    size = rd_u8(&r);
    addr = rd_bytes(&r, size);
    if (rd_end(&r) != OK || (family != FAMILY_INET && family != FAMILY_INET6) || size != (inet.v6 ? 16 : 4) ||
        inet.prefix > size * 8)
        return bad_binary(e);
    memcpy(inet.addr, addr.p, size);
    pginet_write(&text, &inet);
    return pg_text_keep(env->arena, &text, out, e);
}

/* One element as text, the form in which arrays are kept. */
static enum code read_item(const struct pg_input *env, enum pg_type element, struct rd *r,
                           struct pgarray *array, struct err *e)
{
    AUTO(buf) struct buf text = BUF_INIT(1 << 20);
    int32_t length = rd_i32(r);
    struct datum value;
    size_t i = array->count++;

    array->nulls[i] = length == -1;
    if (length == -1)
        return OK;
    if (length < 0)
        return bad_binary(e);
    struct bytes in = rd_bytes(r, (size_t)length);
    if (r->bad)
        return bad_binary(e);
    TRY(pg_binary_read(env, element, in, &value, e));
    pg_text_write(&text, element, &value, NULL); /* there are no arrays of relations */
    if (!buf_ok(&text) || !arena_str(env->arena, buf_str(&text), &array->items[i]))
        return err_set(e, E_NOMEM, "out of memory");
    return OK;
}

static enum code read_array(const struct pg_input *env, enum pg_type type, struct bytes in, struct datum *out,
                            struct err *e)
{
    AUTO(buf) struct buf text = BUF_INIT(4 * in.n + 64);
    struct rd r = rd_over(in);
    struct pgarray array = { 0 };
    uint32_t dimensions = rd_u32(&r), count = 0;

    (void)rd_u32(&r); /* has NULLs */
    (void)rd_u32(&r); /* the element's OID: the array type says it already */
    if (dimensions > 1)
        return err_set(e, E_UNSUPPORTED, "arrays of more than one dimension are not supported");
    if (dimensions == 1) {
        count = rd_u32(&r);
        (void)rd_u32(&r); /* lower bound */
    }
    if (r.bad || count > PGARRAY_ITEMS_MAX || count > r.left.n / 4)
        return bad_binary(e);
    array.items = arena_array(env->arena, count, sizeof *array.items);
    array.nulls = arena_array(env->arena, count, sizeof *array.nulls);
    if (count > 0 && (array.items == NULL || array.nulls == NULL))
        return err_set(e, E_NOMEM, "out of memory");
    while (array.count < count)
        TRY(read_item(env, pg_type_def(type)->element, &r, &array, e));
    if (rd_end(&r) != OK)
        return bad_binary(e);
    pgarray_write(&text, array.items, array.nulls, array.count);
    return pg_text_keep(env->arena, &text, out, e);
}

static enum code read_numeric(const struct pg_input *env, struct bytes in, struct datum *out, struct err *e)
{
    AUTO(buf) struct buf text = BUF_INIT(8 * PGNUMERIC_DIGITS_MAX);

    if (pgnumeric_read_binary(in, &text) != OK)
        return bad_binary(e);
    return pg_text_keep(env->arena, &text, out, e);
}

enum code pg_binary_read(const struct pg_input *env, enum pg_type type, struct bytes in, struct datum *out,
                         struct err *e)
{
    uint64_t bits;

    switch (type) {
    case PG_BOOL:
        if (in.n != 1)
            return bad_binary(e);
        *out = datum_int(in.p[0] != 0);
        return OK;
    case PG_FLOAT8:
        if (in.n != 8)
            return bad_binary(e);
        bits = (uint64_t)get_int(in);
        out->kind = DATUM_REAL;
        memcpy(&out->real, &bits, sizeof bits);
        return OK;
    case PG_INT2:
    case PG_INT4:
    case PG_INT8:
    case PG_OID:
    case PG_REGPROC:
    case PG_REGCLASS:
    case PG_REGTYPE:
    case PG_REGNAMESPACE:
    case PG_XID:
    case PG_DATE:
    case PG_TIMESTAMP:
    case PG_TIMESTAMPTZ:
    case PG_INTERVAL:
        return read_int(type, in, out, e);
    case PG_NUMERIC:
        return read_numeric(env, in, out, e);
    case PG_INET:
        return read_inet(env, in, out, e);
    case PG_INT2S:
    case PG_INT4S:
    case PG_TEXTS:
    case PG_INT8S:
    case PG_OIDS:
        return read_array(env, type, in, out, e);
    case PG_CHAR:
    case PG_NAME:
    case PG_TEXT:
    case PG_VARCHAR:
    case PG_UNKNOWN:
    case PG_TYPE_COUNT:
        break;
    }
    return pg_text_read(env, type, str_from_bytes(in), out, e);
}
