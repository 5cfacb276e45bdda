/*
 * Decimals: a big integer and a number of decimals. [src: PostgreSQL 18, numeric.c: scale of results]
 */
#include "pgtypes/pgnumeric.h"

#include "base/buf.h"
#include "base/check.h"
#include "base/rd.h"

#include <openssl/bn.h>

struct number {
    bool negative;
    struct str whole;    /* no leading zeros; may be empty */
    struct str fraction; /* as written */
};

static size_t count_digits(struct str s)
{
    size_t n = 0;

    while (n < s.n && s.p[n] >= '0' && s.p[n] <= '9')
        n++;
    return n;
}

static struct number split(struct str s)
{
    struct number v = { 0 };

    if (s.n > 0 && (s.p[0] == '-' || s.p[0] == '+')) {
        v.negative = s.p[0] == '-';
        s = str_from(s, 1);
    }
    v.whole = str_first(s, count_digits(s));
    s = str_from(s, v.whole.n);
    if (s.n > 0 && s.p[0] == '.')
        v.fraction = str_first(str_from(s, 1), count_digits(str_from(s, 1)));
    while (v.whole.n > 0 && v.whole.p[0] == '0')
        v.whole = str_from(v.whole, 1);
    return v;
}

static bool all_zero(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] != '0')
            return false;
    return true;
}

static void append_zeros(struct buf *out, size_t n)
{
    for (size_t i = 0; i < n; i++)
        buf_append_byte(out, '0');
}

/* Sign, digits and exponent put together with the point where it belongs. */
static void write_shifted(struct buf *out, const struct number *v, int64_t exponent)
{
    AUTO(buf) struct buf digits = BUF_INIT(3 * PGNUMERIC_DIGITS_MAX);
    int64_t point = (int64_t)v->whole.n + exponent;

    if (point <= 0)
        append_zeros(&digits, (size_t)(1 - point));
    buf_append_str(&digits, v->whole);
    buf_append_str(&digits, v->fraction);
    if (point <= 0)
        point = 1;
    if (digits.n < (size_t)point)
        append_zeros(&digits, (size_t)point - digits.n);
    if (!buf_ok(&digits)) {
        out->failed = true;
        return;
    }
    struct str text = buf_str(&digits);
    struct str whole = str_first(text, (size_t)point), fraction = str_from(text, (size_t)point);
    while (whole.n > 1 && whole.p[0] == '0')
        whole = str_from(whole, 1);
    if (v->negative && !(all_zero(whole) && all_zero(fraction)))
        buf_append_byte(out, '-');
    buf_append_str(out, whole);
    if (fraction.n > 0) {
        buf_append_byte(out, '.');
        buf_append_str(out, fraction);
    }
}

bool pgnumeric_read(struct str in, struct buf *out)
{
    struct str s = str_trim(in), rest;
    struct number v = split(s);
    int64_t exponent = 0;
    size_t digits;

    if (str_equal_nocase(s, STR("nan")))
        return buf_append_c(out, "NaN");
    rest = s.n > 0 && (s.p[0] == '-' || s.p[0] == '+') ? str_from(s, 1) : s;
    digits = count_digits(rest);
    rest = str_from(rest, digits);
    if (rest.n > 0 && rest.p[0] == '.') {
        digits += v.fraction.n;
        rest = str_from(rest, 1 + v.fraction.n);
    }
    if (digits == 0 || digits > PGNUMERIC_DIGITS_MAX)
        return false;
    if (rest.n > 0) {
        if (rest.p[0] != 'e' && rest.p[0] != 'E')
            return false;
        rest = str_from(rest, 1);
        if (rest.n > 1 && rest.p[0] == '+')
            rest = str_from(rest, 1);
        if (!str_to_i64(rest, -PGNUMERIC_DIGITS_MAX, PGNUMERIC_DIGITS_MAX, &exponent))
            return false;
    }
    write_shifted(out, &v, exponent);
    return buf_ok(out);
}

static int compare_size(const struct number *a, const struct number *b)
{
    int order;
    size_t n = a->fraction.n > b->fraction.n ? a->fraction.n : b->fraction.n;

    if (a->whole.n != b->whole.n)
        return a->whole.n < b->whole.n ? -1 : 1;
    order = str_compare(a->whole, b->whole);
    if (order != 0)
        return order;
    for (size_t i = 0; i < n; i++) {
        char x = i < a->fraction.n ? a->fraction.p[i] : '0', y = i < b->fraction.n ? b->fraction.p[i] : '0';
        if (x != y)
            return x < y ? -1 : 1;
    }
    return 0;
}

int pgnumeric_compare(struct str a, struct str b)
{
    bool a_nan = str_is(a, "NaN"), b_nan = str_is(b, "NaN");
    struct number x, y;
    int order;

    if (a_nan || b_nan)
        return (int)a_nan - (int)b_nan;
    x = split(a);
    y = split(b);
    if (x.whole.n == 0 && all_zero(x.fraction))
        x.negative = false;
    if (y.whole.n == 0 && all_zero(y.fraction))
        y.negative = false;
    if (x.negative != y.negative)
        return x.negative ? -1 : 1;
    order = compare_size(&x, &y);
    return x.negative ? -order : order;
}

/* ---- arithmetic ---- */

struct decimal {
    BIGNUM *n;
    size_t scale;
};

static void decimal_auto(struct decimal *d)
{
    BN_free(d->n);
}

static void ctx_auto(BN_CTX **ctx)
{
    BN_CTX_free(*ctx);
}

static bool decimal_from(struct str text, struct decimal *out)
{
    AUTO(buf) struct buf digits = BUF_INIT(4 * PGNUMERIC_DIGITS_MAX);
    struct number v = split(text);

    buf_append_c(&digits, v.negative ? "-0" : "0");
    buf_append_str(&digits, v.whole);
    buf_append_str(&digits, v.fraction);
    out->scale = v.fraction.n;
    return buf_ok(&digits) && BN_dec2bn(&out->n, buf_c(&digits)) != 0;
}

/* Multiply by a power of ten. */
static bool decimal_shift(BIGNUM *n, size_t places)
{
    for (; places >= 9; places -= 9)
        if (!BN_mul_word(n, 1000000000))
            return false;
    for (; places > 0; places--)
        if (!BN_mul_word(n, 10))
            return false;
    return true;
}

static enum code decimal_write(const struct decimal *d, struct buf *out)
{
    char *text = BN_bn2dec(d->n);
    struct str s = str_c(text);
    struct number v = { .negative = str_starts(s, STR("-")) };

    if (text == NULL)
        return E_NOMEM;
    if (v.negative)
        s = str_from(s, 1);
    if (s.n > d->scale) {
        v.whole = str_first(s, s.n - d->scale);
        v.fraction = str_from(s, s.n - d->scale);
        write_shifted(out, &v, 0);
    } else {
        v.fraction = s;
        write_shifted(out, &v, -(int64_t)(d->scale - s.n));
    }
    OPENSSL_free(text);
    return buf_ok(out) ? OK : E_RANGE;
}

/*
 * PostgreSQL counts in groups of four digits: the position of the first one that is not zero, and its value.
 */
static void leading_group(const struct number *v, int64_t *out_weight, int64_t *out_value)
{
    struct str digits = v->whole.n > 0 ? v->whole : v->fraction;
    size_t take = v->whole.n > 0 && v->whole.n % 4 != 0 ? v->whole.n % 4 : 4, i = 0;
    int64_t weight = v->whole.n > 0 ? ((int64_t)v->whole.n - 1) / 4 : -1, value = 0;

    for (; i + 4 <= digits.n && v->whole.n == 0 && all_zero(str_of(digits.p + i, 4)); i += 4)
        weight--;
    for (size_t k = 0; k < take; k++)
        value = value * 10 + (i + k < digits.n ? digits.p[i + k] - '0' : 0);
    *out_weight = value == 0 ? 0 : weight;
    *out_value = value;
}

/* Sixteen significant digits, and never fewer decimals than an operand has [src: select_div_scale]. */
static size_t division_scale(struct str a, struct str b)
{
    struct number x = split(a), y = split(b);
    int64_t weight_x, weight_y, first_x, first_y, scale;

    leading_group(&x, &weight_x, &first_x);
    leading_group(&y, &weight_y, &first_y);
    scale = 16 - (weight_x - weight_y - (first_x <= first_y ? 1 : 0)) * 4;
    if (scale < (int64_t)x.fraction.n)
        scale = (int64_t)x.fraction.n;
    if (scale < (int64_t)y.fraction.n)
        scale = (int64_t)y.fraction.n;
    return scale < 0 ? 0 : scale > PGNUMERIC_DIGITS_MAX ? PGNUMERIC_DIGITS_MAX : (size_t)scale;
}

/* Divide and round half away from zero. */
static bool divide_rounded(BIGNUM *n, const BIGNUM *by, BN_CTX *ctx)
{
    BIGNUM *rest = BN_new();
    bool negative = BN_is_negative(n) != BN_is_negative(by);
    bool ok = rest != NULL && BN_div(n, rest, n, by, ctx) && BN_lshift1(rest, rest);

    if (ok && BN_ucmp(rest, by) >= 0)
        ok = negative ? BN_sub_word(n, 1) : BN_add_word(n, 1);
    BN_free(rest);
    return ok;
}

static bool compute_div(struct decimal *x, const struct decimal *y, size_t scale, BN_CTX *ctx)
{
    size_t shift = scale + y->scale; /* y->scale ≤ scale + y->scale: x keeps at least its own */

    if (shift < x->scale)
        return false;
    bool ok = decimal_shift(x->n, shift - x->scale) && divide_rounded(x->n, y->n, ctx);
    x->scale = scale;
    return ok;
}

static bool compute(enum numeric_op op, struct decimal *x, struct decimal *y, BN_CTX *ctx)
{
    if (op != NUMERIC_MUL) {
        size_t scale = x->scale > y->scale ? x->scale : y->scale;
        if (!decimal_shift(x->n, scale - x->scale) || !decimal_shift(y->n, scale - y->scale))
            return false;
        x->scale = y->scale = scale;
    }
    switch (op) {
    case NUMERIC_ADD:
        return BN_add(x->n, x->n, y->n);
    case NUMERIC_SUB:
        return BN_sub(x->n, x->n, y->n);
    case NUMERIC_MUL:
        x->scale += y->scale;
        return BN_mul(x->n, x->n, y->n, ctx);
    case NUMERIC_MOD:
        return BN_mod(x->n, x->n, y->n, ctx);
    case NUMERIC_DIV:
        break;
    }
    UNREACHABLE();
}

enum code pgnumeric_compute(enum numeric_op op, struct str a, struct str b, struct buf *out)
{
    AUTO(decimal) struct decimal x = { 0 };
    AUTO(decimal) struct decimal y = { 0 };
    AUTO(ctx) BN_CTX *ctx = BN_CTX_new();
    bool ok;

    if (str_is(a, "NaN") || str_is(b, "NaN"))
        return buf_append_c(out, "NaN") ? OK : E_NOMEM;
    if (ctx == NULL || !decimal_from(a, &x) || !decimal_from(b, &y))
        return E_NOMEM;
    if ((op == NUMERIC_DIV || op == NUMERIC_MOD) && BN_is_zero(y.n))
        return E_DIVISION;
    if (op == NUMERIC_DIV)
        ok = compute_div(&x, &y, division_scale(a, b), ctx);
    else
        ok = compute(op, &x, &y, ctx);
    return ok ? decimal_write(&x, out) : E_NOMEM;
}

enum code pgnumeric_round(struct str a, enum numeric_rounding rounding, unsigned places, struct buf *out)
{
    AUTO(decimal) struct decimal x = { 0 };
    AUTO(decimal) struct decimal unit = { 0 };
    AUTO(ctx) BN_CTX *ctx = BN_CTX_new();
    AUTO(decimal) struct decimal rest = { BN_new(), 0 };
    bool ok, negative;

    if (str_is(a, "NaN"))
        return buf_append_c(out, "NaN") ? OK : E_NOMEM;
    if (places > PGNUMERIC_DIGITS_MAX)
        return E_RANGE;
    if (ctx == NULL || rest.n == NULL || !decimal_from(a, &x) || !decimal_from(STR("1"), &unit))
        return E_NOMEM;
    if (x.scale <= places) {
        ok = decimal_shift(x.n, places - x.scale);
    } else {
        ok = decimal_shift(unit.n, x.scale - places);
        negative = BN_is_negative(x.n);
        if (ok && rounding == NUMERIC_ROUND)
            ok = divide_rounded(x.n, unit.n, ctx);
        else if (ok)
            ok = BN_div(x.n, rest.n, x.n, unit.n, ctx);
        if (ok && rounding == NUMERIC_FLOOR && negative && !BN_is_zero(rest.n))
            ok = BN_sub_word(x.n, 1);
        if (ok && rounding == NUMERIC_CEIL && !negative && !BN_is_zero(rest.n))
            ok = BN_add_word(x.n, 1);
    }
    x.scale = places;
    return ok ? decimal_write(&x, out) : E_NOMEM;
}

/* ---- binary ---- */

enum { NUMERIC_POSITIVE = 0x0000, NUMERIC_NEGATIVE = 0x4000, NUMERIC_NAN = 0xC000 };

static void put_u16(struct buf *out, size_t v)
{
    buf_append_byte(out, (uint8_t)(v >> 8));
    buf_append_byte(out, (uint8_t)v);
}

void pgnumeric_write_binary(struct buf *out, struct str a)
{
    AUTO(buf) struct buf digits = BUF_INIT(4 * PGNUMERIC_DIGITS_MAX);
    struct number v = split(a);
    size_t first = 0, groups, whole_groups = (v.whole.n + 3) / 4;

    if (str_is(a, "NaN")) {
        put_u16(out, 0);
        put_u16(out, 0);
        put_u16(out, NUMERIC_NAN);
        put_u16(out, 0);
        return;
    }
    append_zeros(&digits, whole_groups * 4 - v.whole.n);
    buf_append_str(&digits, v.whole);
    buf_append_str(&digits, v.fraction);
    append_zeros(&digits, (4 - v.fraction.n % 4) % 4);
    groups = digits.n / 4;
    struct str text = buf_str(&digits);
    while (groups > 0 && all_zero(str_of(text.p + (groups - 1) * 4, 4)))
        groups--;
    while (first < groups && all_zero(str_of(text.p + first * 4, 4)))
        first++;
    put_u16(out, groups - first);
    put_u16(out, groups == first ? 0 : (size_t)(uint16_t)(int16_t)((int)whole_groups - 1 - (int)first));
    put_u16(out, v.negative ? NUMERIC_NEGATIVE : NUMERIC_POSITIVE);
    put_u16(out, v.fraction.n);
    for (size_t i = first; i < groups; i++) {
        uint32_t group = 0;
        for (size_t k = 0; k < 4; k++)
            group = group * 10 + (uint32_t)(text.p[i * 4 + k] - '0');
        put_u16(out, group);
    }
}

enum code pgnumeric_read_binary(struct bytes in, struct buf *out)
{
    AUTO(buf) struct buf digits = BUF_INIT(4 * PGNUMERIC_DIGITS_MAX);
    struct rd r = rd_over(in);
    uint16_t groups = rd_u16(&r);
    int16_t weight = (int16_t)rd_u16(&r);
    uint16_t sign = rd_u16(&r), scale = rd_u16(&r);

    if (sign == NUMERIC_NAN && !r.bad)
        return buf_append_c(out, "NaN") ? OK : E_NOMEM;
    if (r.bad || groups > 256 || scale > PGNUMERIC_DIGITS_MAX || weight > 255 || weight < -256 ||
        (sign != NUMERIC_POSITIVE && sign != NUMERIC_NEGATIVE))
        return E_BINARY_REP;
    for (int i = 0; i > weight + 1; i--)
        append_zeros(&digits, 4);
    for (unsigned i = 0; i < groups; i++)
        buf_printf(&digits, "%04u", rd_u16(&r) % 10000u);
    TRY(rd_end(&r));
    size_t whole = weight >= 0 ? ((size_t)weight + 1) * 4 : 0;
    size_t want = whole + scale;
    if (digits.n < want)
        append_zeros(&digits, want - digits.n);
    if (!buf_ok(&digits))
        return E_RANGE;
    struct number v = { .negative = sign == NUMERIC_NEGATIVE };
    v.whole = str_first(buf_str(&digits), whole);
    v.fraction = str_first(str_from(buf_str(&digits), whole), scale);
    write_shifted(out, &v, 0);
    return buf_ok(out) ? OK : E_RANGE;
}
