/* Slices, arena, buf, reader and writer, errors, secrets, log lines. */
#include "../unit.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/closest.h"
#include "base/env.h"
#include "base/log.h"
#include "base/rd.h"
#include "base/secret.h"
#include "base/wr.h"

#include <errno.h>
#include <unistd.h>

static void slice_cuts(void **state)
{
    (void)state;
    struct str rest = STR("a,,b"), part;
    assert_true(str_split(&rest, ',', &part));
    assert_str(part, "a");
    assert_true(str_split(&rest, ',', &part));
    assert_str(part, "");
    assert_true(str_split(&rest, ',', &part));
    assert_str(part, "b");
    assert_false(str_split(&rest, ',', &part));
    assert_str(str_trim(STR(" \t x y\n")), "x y");
    assert_str(str_trim(STR(" \t ")), "");
    assert_true(str_equal_nocase(STR("SameHost"), STR("samehost")));
    assert_false(str_equal_nocase(STR("a"), STR("ab")));
    assert_true(str_starts_nocase(STR("PgSeal.x"), STR("pgseal.")));
    assert_false(str_starts_nocase(STR("pgseal"), STR("pgseal.")));
    assert_true(str_ends(STR("db.example.com"), STR(".example.com")));
    assert_true(str_compare(STR("a"), STR("ab")) < 0);
    assert_true(str_compare(STR("b"), STR("ab")) > 0);
}

static void slice_numbers(void **state)
{
    (void)state;
    uint32_t v = 7;
    assert_true(str_to_u32(STR("65535"), 0, 65535, &v));
    assert_int_equal(v, 65535);
    static const char *const bad[] = { "", "-1", "+1", " 1", "1 ", "0x1", "65536", "99999999999999999999" };
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        v = 7;
        assert_false(str_to_u32(str_c(bad[i]), 0, 65535, &v));
        assert_int_equal(v, 7);
    }
    int64_t w;
    assert_true(str_to_i64(STR("-9223372036854775808"), INT64_MIN, INT64_MAX, &w));
    assert_true(w == INT64_MIN);
    assert_false(str_to_i64(STR("9223372036854775808"), INT64_MIN, INT64_MAX, &w));
}

static void slice_booleans(void **state)
{
    (void)state;
    bool b;
    assert_true(str_to_bool(STR("ON"), &b) && b);
    assert_true(str_to_bool(STR("of"), &b) && !b);
    assert_true(str_to_bool(STR("t"), &b) && b);
    assert_true(str_to_bool(STR("n"), &b) && !b);
    assert_false(str_to_bool(STR("o"), &b));
    assert_false(str_to_bool(STR(""), &b));
    assert_false(str_to_bool(STR("truee"), &b));
}

static void c_string_refuses_nul(void **state)
{
    (void)state;
    char dst[8];
    assert_true(str_to_c(STR("alice"), dst, sizeof dst));
    assert_string_equal(dst, "alice");
    assert_false(str_to_c(str_of("al\0ce", 5), dst, sizeof dst));
    assert_false(str_to_c(STR("12345678"), dst, sizeof dst));
}

static void arena_keeps_its_cap(void **state)
{
    (void)state;
    AUTO(arena) struct arena a;
    arena_init(&a, 1000, 64);
    assert_non_null(arena_alloc(&a, 500));
    assert_null(arena_alloc(&a, 600));
    assert_null(arena_array(&a, SIZE_MAX / 2, 3));
    struct str s;
    assert_true(arena_printf(&a, &s, "%s-%d", "x", 5));
    assert_str(s, "x-5");
    arena_reset(&a);
    assert_non_null(arena_alloc(&a, 900));
    assert_null(arena_c(&a, str_of("a\0b", 3)));
}

static void arena_lists_grow(void **state)
{
    (void)state;
    AUTO(arena) struct arena a;
    size_t room = 0;
    int *items = NULL;

    arena_init(&a, 900, 64);
    for (size_t n = 0; n < 100; n++) {
        int *grown = arena_grow(&a, items, n, &room, sizeof *items);
        if (!grown)
            break;
        items = grown;
        items[n] = (int)n;
    }
    assert_int_equal(room, 64); /* 64, 128 and 256 bytes; the next would be above the cap */
    for (size_t n = 0; items && n < room; n++)
        assert_int_equal(items[n], n);
}

static void buf_fails_once_and_for_all(void **state)
{
    (void)state;
    AUTO(buf) struct buf b = BUF_INIT(10);
    assert_true(buf_append_c(&b, "12345"));
    assert_false(buf_append_c(&b, "678901"));
    assert_false(buf_append_c(&b, "6"));
    assert_false(buf_ok(&b));
    assert_int_equal(b.n, 5);
    buf_reset(&b);
    assert_true(buf_printf(&b, "%d", 1234567890));
    assert_string_equal(buf_c(&b), "1234567890");
    assert_false(buf_printf(&b, "%d", 1));
    assert_string_equal(buf_c(&b), "");
    buf_reset(&b);
    buf_append_c(&b, "abcdef");
    buf_consume(&b, 2);
    assert_string_equal(buf_c(&b), "cdef");
}

static void reader_and_writer_agree(void **state)
{
    (void)state;
    AUTO(buf) struct buf b = BUF_INIT(100);
    struct wr w = wr_begin(&b, 'K');
    wr_u32(&w, 4711);
    wr_u16(&w, 0xBEEF);
    wr_cstr(&w, STR("name"));
    wr_end(&w);
    assert_true(buf_ok(&b));
    for (size_t cut = 0; cut <= b.n; cut++) {
        struct rd r = rd_over(bytes_of(b.p, cut));
        uint8_t type = rd_u8(&r);
        uint32_t length = rd_u32(&r);
        uint32_t pid = rd_u32(&r);
        uint16_t word = rd_u16(&r);
        struct str name = rd_cstr(&r);
        if (cut < b.n) {
            assert_int_equal(rd_end(&r), E_PROTOCOL);
            continue;
        }
        assert_int_equal(rd_end(&r), OK);
        assert_int_equal(type, 'K');
        assert_int_equal(length, b.n - 1);
        assert_int_equal(pid, 4711);
        assert_int_equal(word, 0xBEEF);
        assert_str(name, "name");
    }
    struct rd r = rd_over(bytes_of("abc", 3));
    (void)rd_u8(&r);
    assert_int_equal(rd_end(&r), E_PROTOCOL); /* trailing bytes */
}

static void errors_are_cut_not_overrun(void **state)
{
    (void)state;
    struct err e;
    char big[2000];
    memset(big, 'x', sizeof big - 1);
    big[sizeof big - 1] = '\0';
    assert_int_equal(err_set(&e, E_CONFIG, "%s", big), E_CONFIG);
    assert_int_equal(strlen(e.message), sizeof e.message - 1);
    err_where(&e, str_c(big), 3);
    assert_int_equal(strlen(e.file), sizeof e.file - 1);
    assert_string_equal(code_sqlstate(E_CONFIG), "F0000");
    assert_string_equal(code_name(E_UNAVAILABLE), "E_UNAVAILABLE");
    assert_int_equal(code_from_errno(ENOENT), E_NO_FILE);
}

static void diags_count_what_refuses(void **state)
{
    (void)state;
    AUTO(arena) struct arena a;
    struct diags d;
    arena_init(&a, 10000, 256);
    diags_init(&d, &a);
    diags_add(&d, SEV_WARNING, E_CONFIG, STR("f"), 1, "soft");
    diags_add(&d, SEV_LOG, E_CONFIG, STR("f"), 2, "also soft");
    assert_true(diags_ok(&d));
    struct diag *row = diags_add(&d, SEV_ERROR, E_CONFIG, STR("f"), 3, "hard %d", 1);
    diags_hint(&d, row, "do %s", "it");
    assert_false(diags_ok(&d));
    assert_non_null(row);
    assert_str(row->message, "hard 1");
    assert_str(row->hint, "do it");
}

static void secrets_compare_and_vanish(void **state)
{
    (void)state;
    struct secret s = { 0 };
    assert_int_equal(secret_set(&s, bytes_of("pw", 2)), OK);
    assert_true(secret_equal(secret_bytes(&s), bytes_of("pw", 2)));
    assert_false(secret_equal(secret_bytes(&s), bytes_of("px", 2)));
    assert_false(secret_equal(secret_bytes(&s), bytes_of("p", 1)));
    secret_wipe(&s);
    assert_int_equal(s.p[0], 0);
    static const uint8_t big[PASSWORD_MAX + 1] = "pw";
    assert_int_equal(secret_set(&s, bytes_of(big, SECRET_MAX + 1)), E_LIMIT);

    AUTO(password) struct password p = { 0 };
    assert_int_equal(password_set(&p, bytes_of(big, PASSWORD_MAX)), OK);
    assert_int_equal(password_set(&p, bytes_of(big, sizeof big)), E_LIMIT);
    assert_int_equal(p.n, PASSWORD_MAX);
    assert_int_equal(password_set(&p, bytes_of(p.p, 2)), OK); /* a part of itself */
    assert_true(secret_equal(password_bytes(&p), bytes_of("pw", 2)));
    assert_int_equal(password_set(&p, bytes_of("", 0)), OK);
    assert_null(p.p);
}

static int64_t fixed_now(void *ctx)
{
    (void)ctx;
    return 1700000000123456;
}

static void log_escapes_hostile_bytes(void **state)
{
    (void)state;
    int fds[2];
    char text[8192];
    assert_int_equal(pipe(fds), 0);
    struct log log = { .fd = fds[1], .min_severity = SEV_LOG };
    struct env env = env_system();
    env.now_unix_us = fixed_now;
    env.log = &log;
    struct log_line line;
    log_begin(&line, &env, SEV_WARNING, "hidden"); /* below LOG in the server's order */
    log_end(&line);
    log_begin(&line, &env, SEV_FATAL, "refused");
    log_str(&line, "user", STR("a\"b\nFATAL: x\xff"));
    log_c(&line, "database", "app");
    log_c(&line, "empty", "");
    log_int(&line, "n", -3);
    log_end(&line);
    ssize_t n = read(fds[0], text, sizeof text - 1);
    assert_true(n > 0);
    text[n] = '\0';
    assert_non_null(strstr(text, "2023-11-14 22:13:20.123 UTC ["));
    assert_non_null(strstr(
        text, "] FATAL:  event=refused user=\"a\\\"b\\x0aFATAL: x\\xff\" database=app empty=\"\" n=-3\n"));
    assert_null(strstr(text, "hidden"));

    static char big[2 * LOG_LINE_MAX];
    memset(big, 'y', sizeof big - 1);
    log_begin(&line, &env, SEV_LOG, "long");
    log_c(&line, "v", big);
    log_end(&line);
    n = read(fds[0], text, sizeof text - 1);
    assert_true(n > 4000 && n <= LOG_LINE_MAX);
    assert_memory_equal(text + n - 4, "...\n", 4);
    close(fds[0]);
    close(fds[1]);
}

static void closest_names_are_found(void **state)
{
    (void)state;
    assert_int_equal(closest_distance(STR("port"), STR("port")), 0);
    assert_int_equal(closest_distance(STR("prot"), STR("PORT")), 1);
    assert_int_equal(closest_distance(STR(""), STR("ssl")), 3);
    assert_int_equal(closest_distance(STR("ssl_cret_fil"), STR("ssl_cert_file")), 2);
    assert_true(closest_enough(STR("sevre"), STR("serve"), 1));
    assert_false(closest_enough(STR("abc"), STR("xyz"), 3));
    char longer[CLOSEST_NAME_MAX + 1] = { 0 };
    assert_true(closest_distance(str_of(longer, sizeof longer), STR("port")) == SIZE_MAX);
}

static void numbers_as_printf_writes_them(void **state)
{
    static const int64_t numbers[] = { 0, 1, -1, 9, 10, -10, 99, 100, 1234567890, INT64_MAX, INT64_MIN };
    AUTO(buf) struct buf ours = BUF_INIT(4096), theirs = BUF_INIT(4096);

    (void)state;
    for (size_t i = 0; i < COUNT_OF(numbers); i++) {
        assert_true(buf_append_int(&ours, numbers[i]));
        assert_true(buf_printf(&theirs, "%lld", (long long)numbers[i]));
        assert_true(buf_append_digits(&ours, (uint64_t)i * 7, 2));
        assert_true(buf_printf(&theirs, "%02zu", i * 7));
    }
    assert_true(buf_append_digits(&ours, UINT64_MAX, 32));
    assert_true(buf_append_digits(&ours, 0, 0));
    assert_true(buf_printf(&theirs, "%032llu", (unsigned long long)UINT64_MAX));
    assert_string_equal(buf_c(&ours), buf_c(&theirs));
    struct buf full = BUF_INIT(2);
    assert_false(buf_append_int(&full, -10));
    assert_true(buf_append_buf(&ours, &theirs));
    assert_false(buf_append_buf(&ours, &full)); /* what is lost in one is lost in the other */
    assert_false(buf_ok(&ours));
    buf_fini(&full);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_as_printf_writes_them),
        cmocka_unit_test(slice_cuts),
        cmocka_unit_test(slice_numbers),
        cmocka_unit_test(slice_booleans),
        cmocka_unit_test(c_string_refuses_nul),
        cmocka_unit_test(arena_keeps_its_cap),
        cmocka_unit_test(arena_lists_grow),
        cmocka_unit_test(buf_fails_once_and_for_all),
        cmocka_unit_test(reader_and_writer_agree),
        cmocka_unit_test(errors_are_cut_not_overrun),
        cmocka_unit_test(diags_count_what_refuses),
        cmocka_unit_test(secrets_compare_and_vanish),
        cmocka_unit_test(log_escapes_hostile_bytes),
        cmocka_unit_test(closest_names_are_found),
    };

    return cmocka_run_group_tests_name("base", tests, NULL, NULL);
}
