/* The journal's lines and the manifest of a change, read and written. */
#include "../unit.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "harden/record.h"

static struct arena arena;

static struct change_rows rows_of(const char *text)
{
    struct change_rows rows;

    arena_reset(&arena);
    assert_int_equal(change_rows_read(str_c(text), &arena, &rows, NULL), OK);
    return rows;
}

#define T "2026-11-29T23:30:00Z "

static void rows(void **state)
{
    (void)state;
    struct change_rows r = rows_of(T "begin 1 apply\n" T "check 1\n" T "done 1 apply\n" T "begin 2 apply\n" T
                                     "reload 2\n" T "failed 2 reload: no\n");
    assert_int_equal(r.n, 2);
    assert_true(change_row_ended(&r.rows[0]));
    assert_false(change_row_ended(&r.rows[1]));
    assert_int_equal(r.rows[1].farthest, CHANGE_STEP_RELOAD);
    assert_int_equal(change_rows_applied(&r)->number, 1);
    r = rows_of(T "done 1 apply\n" T "done 2 apply\n" T "done 3 undo 2\n" T "done 4 undo 1");
    assert_int_equal(change_rows_applied(&r)->number, 1);
    assert_true(r.rows[1].undone);
    r = rows_of(T "done 1 apply\n" T "begin 2 undo 1\n" T "back 2\n");
    assert_int_equal(change_rows_applied(&r)->number, 1);
    r = rows_of(T "done 1 apply\n" T "done 2 undo 1\n");
    assert_null(change_rows_applied(&r));
}

static void lines_that_cannot_be_read(void **state)
{
    static const char *const bad[] = { "\n",          " \n",        T "\n",          T "done\n",
                                       T "done x\n",  T "done 0\n", T "done -1\n",   T "vanish 1\n",
                                       T "done 1",    "done 1\n",   "2026 done 1\n", T "done 99999999999\n",
                                       T " done 1\n", "\xff\n" };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_int_equal(rows_of(bad[i]).n, 0);
    /* Numbers only ascend, and what has ended stays so. */
    struct change_rows r = rows_of(T "done 5 apply\n" T "begin 4 apply\n" T "replace 5\n");
    assert_int_equal(r.n, 1);
    assert_true(change_row_ended(&r.rows[0]));
}

static void manifests_come_back(void **state)
{
    (void)state;
    struct change_entry entries[] = {
        { .path = "/etc/a b/%/\n\x7f\xc3\xa4.conf",
          .place = "/etc/postgresql.conf",
          .before = { true, { 0640, 101, 104 } },
          .after = { true, { 0600, 0, 4294967294U } } },
        { .path = "/x", .place = "/y", .after = { true, { 0644, 1, 2 } }, .by_also = true },
    };
    struct change_manifest manifest = { 7, entries, COUNT_OF(entries) }, back;
    AUTO(buf) struct buf text = BUF_INIT(1 << 16);
    struct err e;

    arena_reset(&arena);
    change_manifest_write(&manifest, &text);
    assert_int_equal(change_manifest_read(buf_str(&text), "m", &arena, &back, &e), OK);
    assert_int_equal(back.undoes, 7);
    assert_int_equal(back.n, 2);
    assert_string_equal(back.entries[0].path, entries[0].path);
    assert_string_equal(back.entries[0].place, entries[0].place);
    assert_int_equal(back.entries[0].before.owned.mode, 0640);
    assert_int_equal(back.entries[0].after.owned.gid, 4294967294U);
    assert_true(back.entries[1].by_also && !back.entries[1].before.exists && back.entries[1].after.exists);
    /* Not one byte less. */
    for (size_t n = 0; n < text.n; n++) {
        assert_int_equal(change_manifest_read(str_first(buf_str(&text), n), "m", &arena, &back, &e),
                         E_DAMAGED);
        assert_string_equal(e.file, "m");
        assert_true(e.line > 0);
    }
}

static void manifests_that_cannot_be_read(void **state)
{
    static const struct {
        unsigned line;
        const char *text;
    } bad[] = {
        { 1, "pgseal change 2\napply\nend\n" },
        { 2, "pgseal change 1\nundo 0\nend\n" },
        { 2, "pgseal change 1\nend\napply\n" },
        { 3, "pgseal change 1\napply\nfile 640:1:1 - relative /a\nend\n" },
        { 3, "pgseal change 1\napply\nfile 648:1:1 - /a /a\nend\n" },
        { 3, "pgseal change 1\napply\nfile 77777:1:1 - /a /a\nend\n" },
        { 3, "pgseal change 1\napply\nfile 640:1:4294967295 - /a /a\nend\n" },
        { 3, "pgseal change 1\napply\nfile 640:1 - /a /a\nend\n" },
        { 3, "pgseal change 1\napply\nfile - - /a%00 /a\nend\n" },
        { 3, "pgseal change 1\napply\nfile - - /a%2 /a\nend\n" },
        { 3, "pgseal change 1\napply\nlink - - /a /a\nend\n" },
        { 3, "pgseal change 1\napply\nfile - - /a\nend\n" },
        { 4, "pgseal change 1\napply\nend\nend\n" },
        { 4, "pgseal change 1\napply\nend\nmore" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct change_manifest manifest;
        struct err e;
        assert_int_equal(change_manifest_read(str_c(bad[i].text), "m", &arena, &manifest, &e), E_DAMAGED);
        assert_int_equal(e.line, bad[i].line);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows),
        cmocka_unit_test(lines_that_cannot_be_read),
        cmocka_unit_test(manifests_come_back),
        cmocka_unit_test(manifests_that_cannot_be_read),
    };

    arena_init(&arena, 1 << 20, 4096);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    arena_fini(&arena);
    return failed;
}
