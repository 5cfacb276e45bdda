/* Types as text and as binary, both ways; whole, cut short, and bent. */
#include "../unit.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "pgtypes/pgarray.h"
#include "pgtypes/pgbinary.h"
#include "pgtypes/pginet.h"
#include "pgtypes/pgnumeric.h"
#include "pgtypes/pgreg.h"
#include "pgtypes/pgtime.h"
#include "pgtypes/pgtypes.h"

static const int64_t now_us = INT64_C(1795231830000000); /* 2026-11-21 03:30:30 UTC */
static const char *const names[] = { "other", "pg_stat_ssl" };
static const struct pg_relations relations = { names, COUNT_OF(names) };

struct pair {
    enum pg_type type;
    const char *in;
    const char *out; /* NULL: refused */
};

static const struct pair pairs[] = {
    { PG_BOOL, "on", "t" },
    { PG_BOOL, " FALSE ", "f" },
    { PG_BOOL, "o", NULL },
    { PG_INT2, "-32768", "-32768" },
    { PG_INT2, "32768", NULL },
    { PG_INT4, " +7 ", "7" },
    { PG_INT4, "+-7", NULL },
    { PG_INT4, "", NULL },
    { PG_INT4, "-", NULL },
    { PG_INT8, "-9223372036854775808", "-9223372036854775808" },
    { PG_INT8, "9223372036854775808", NULL },
    { PG_OID, "-1", "4294967295" },
    { PG_XID, "4294967296", NULL },
    { PG_FLOAT8, "0.1", "0.1" },
    { PG_FLOAT8, "1e400x", NULL },
    { PG_FLOAT8, "0x10", NULL },
    { PG_NUMERIC, "001.50", "1.50" },
    { PG_NUMERIC, "-0.00", "0.00" },
    { PG_NUMERIC, "1.5e3", "1500" },
    { PG_NUMERIC, "15e-1", "1.5" },
    { PG_NUMERIC, ".5", "0.5" },
    { PG_NUMERIC, "5.", "5" },
    { PG_NUMERIC, ".", NULL },
    { PG_NUMERIC, "1e", NULL },
    { PG_NUMERIC, "1e99999", NULL },
    { PG_NUMERIC, "nan", "NaN" },
    { PG_INET, "10.0.0.1/32", "10.0.0.1" },
    { PG_INET, "10.0.0.0/8", "10.0.0.0/8" },
    { PG_INET, "2001:DB8::/32", "2001:db8::/32" },
    { PG_INET, "10.0.0.1/33", NULL },
    { PG_INET, "10.0.0", NULL },
    { PG_TIMESTAMPTZ, "2026-11-21 03:04:05.060+01:30", "2026-11-21 01:34:05.06+00" },
    { PG_TIMESTAMPTZ, "2026-11-21T03:04Z", "2026-11-21 03:04:00+00" },
    { PG_TIMESTAMPTZ, "now", "2026-11-21 03:30:30+00" },
    { PG_TIMESTAMPTZ, "2000-02-29", "2000-02-29 00:00:00+00" },
    { PG_TIMESTAMPTZ, "1900-02-29", NULL },
    { PG_TIMESTAMPTZ, "2026-11-21 03:60", NULL },
    { PG_TIMESTAMPTZ, "-infinity", "-infinity" },
    { PG_TIMESTAMP, "1969-12-31 23:59:59.5", "1969-12-31 23:59:59.5" },
    { PG_DATE, "tomorrow", "2026-11-22" },
    { PG_DATE, "1969-12-31", "1969-12-31" },
    { PG_INTERVAL, "1 day 2 hours 3 min 4.5 s", "1 day 02:03:04.5" },
    { PG_INTERVAL, "-1:30", "-01:30:00" },
    { PG_INTERVAL, "3 days, 0:00:10", "3 days 00:00:10" },
    { PG_INTERVAL, "1 week ago", "-7 days" },
    { PG_INTERVAL, "1 month", NULL },
    { PG_INTERVAL, "1 lightyear", NULL },
    { PG_INTERVAL, "9999999999 weeks", NULL },
    { PG_TEXTS, "{}", "{}" },
    { PG_TEXTS, " { a , \"b c\", null, \"null\", \"\" } ", "{a,\"b c\",NULL,\"null\",\"\"}" },
    { PG_TEXTS, "{a\\,b,\"q\\\"\"}", "{\"a,b\",\"q\\\"\"}" },
    { PG_TEXTS, "{a", NULL },
    { PG_TEXTS, "{a,}", NULL },
    { PG_TEXTS, "{a}b", NULL },
    { PG_TEXTS, "{{a}}", NULL },
    { PG_TEXTS, "{\"a}", NULL },
    { PG_INT4S, "{1, 2,NULL}", "{1,2,NULL}" },
    { PG_INT4S, "{1,x}", NULL },
    { PG_REGCLASS, "pg_catalog.pg_stat_ssl", "pg_stat_ssl" },
    { PG_REGTYPE, "int4", "integer" },
    { PG_REGCLASS, "nope", NULL },
    { PG_CHAR, "xyz", "x" },
    { PG_NAME, "0123456789012345678901234567890123456789012345678901234567890123456789",
      "012345678901234567890123456789012345678901234567890123456789012" },
};

static void text_forms(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(pairs); i++) {
        struct arena arena;
        struct pg_input input = { &arena, now_us, &relations };
        AUTO(buf) struct buf out = BUF_INIT(4096);
        struct datum value;
        struct err e = { 0 };
        arena_init(&arena, 1 << 20, 256);
        enum code code = pg_text_read(&input, pairs[i].type, str_c(pairs[i].in), &value, &e);
        if (pairs[i].out == NULL) {
            if (code == OK)
                fail_msg("%s was taken", pairs[i].in);
            assert_true(e.message[0] != '\0');
        } else {
            if (code != OK)
                fail_msg("%s: %s", pairs[i].in, e.message);
            pg_text_write(&out, pairs[i].type, &value, &relations);
            assert_string_equal(buf_c(&out), pairs[i].out);
        }
        arena_fini(&arena);
    }
}

/*
 * What is written as binary reads back as the same; every shorter message is refused or means something else.
 */
static void binary_forms(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(pairs); i++) {
        struct arena arena;
        struct pg_input input = { &arena, now_us, &relations };
        AUTO(buf) struct buf binary = BUF_INIT(4096);
        AUTO(buf) struct buf text = BUF_INIT(4096);
        struct datum value, back;
        struct err e;
        if (pairs[i].out == NULL)
            continue;
        arena_init(&arena, 1 << 20, 256);
        assert_int_equal(pg_text_read(&input, pairs[i].type, str_c(pairs[i].in), &value, &e), OK);
        pg_binary_write(&binary, pairs[i].type, &value);
        assert_true(buf_ok(&binary));
        assert_int_equal(pg_binary_read(&input, pairs[i].type, buf_bytes(&binary), &back, &e), OK);
        pg_text_write(&text, pairs[i].type, &back, &relations);
        assert_string_equal(buf_c(&text), pairs[i].out);
        for (size_t n = 0; n < binary.n; n++)
            (void)!pg_binary_read(&input, pairs[i].type, bytes_of(binary.p, n), &back, &e);
        for (size_t bit = 0; bit < binary.n * 8; bit++) {
            binary.p[bit / 8] ^= (uint8_t)(1u << bit % 8);
            if (pg_binary_read(&input, pairs[i].type, buf_bytes(&binary), &back, &e) == OK)
                pg_text_write(&text, pairs[i].type, &back, &relations);
            buf_reset(&text);
            binary.p[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
        arena_fini(&arena);
    }
}

static void texts_cut_and_bent(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(pairs); i++) {
        size_t n = strlen(pairs[i].in);
        for (size_t k = 0; k < n * 9; k++) {
            struct arena arena;
            struct pg_input input = { &arena, now_us, &relations };
            AUTO(buf) struct buf out = BUF_INIT(1 << 16);
            char text[128];
            struct datum value;
            arena_init(&arena, 1 << 20, 256);
            memcpy(text, pairs[i].in, n);
            if (k >= n)
                text[(k - n) / 8] = (char)(text[(k - n) / 8] ^ (1 << (k - n) % 8));
            if (pg_text_read(&input, pairs[i].type, str_of(text, k < n ? k : n), &value, NULL) == OK)
                pg_text_write(&out, pairs[i].type, &value, &relations);
            arena_fini(&arena);
        }
    }
}

static void numbers_compare(void **state)
{
    (void)state;
    static const char *const ordered[] = { "-100",  "-1.5", "-1.49", "-0.001", "0",  "0.00099",
                                           "0.001", "1",    "9",     "9.99",   "10", "99999999999999999999",
                                           "NaN" };

    for (size_t i = 0; i < COUNT_OF(ordered); i++) {
        for (size_t k = 0; k < COUNT_OF(ordered); k++) {
            int order = pgnumeric_compare(str_c(ordered[i]), str_c(ordered[k]));
            assert_int_equal(order < 0 ? -1 : order > 0, i < k ? -1 : i > k);
        }
    }
    assert_int_equal(pgnumeric_compare(STR("1.50"), STR("1.5")), 0);
    assert_int_equal(pgnumeric_compare(STR("-0.0"), STR("0")), 0);
}

static void addresses_compare(void **state)
{
    (void)state;
    struct pginet net, host, other, six;

    assert_true(pginet_read(STR("10.0.0.0/8"), &net));
    assert_true(pginet_read(STR("10.1.2.3"), &host));
    assert_true(pginet_read(STR("11.0.0.0/9"), &other));
    assert_true(pginet_read(STR("::1"), &six));
    assert_true(pginet_within(&host, &net, true));
    assert_true(pginet_within(&net, &net, false));
    assert_false(pginet_within(&net, &net, true));
    assert_false(pginet_within(&other, &net, false));
    assert_false(pginet_within(&six, &net, false));
    assert_true(pginet_compare(&net, &host) < 0);
    assert_true(pginet_compare(&host, &other) < 0);
    assert_true(pginet_compare(&other, &six) < 0);
}

static void times_round_trip(void **state)
{
    (void)state;
    for (int64_t days = -800000; days < 2000000; days += 997) {
        struct pgtime_fields f = pgtime_split(days * USECS_PER_DAY + 1);
        assert_int_equal(pgtime_days(f.year, f.month, f.day), days);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_forms),         cmocka_unit_test(binary_forms),
        cmocka_unit_test(texts_cut_and_bent), cmocka_unit_test(numbers_compare),
        cmocka_unit_test(addresses_compare),  cmocka_unit_test(times_round_trip),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
