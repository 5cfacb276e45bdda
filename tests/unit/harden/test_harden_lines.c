/* Lines of settings and rules, and the diff of a text that is edited. */
#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "harden/rule_line.h"
#include "harden/setting_line.h"
#include "harden/text.h"
#include "unit.h"

static struct arena arena;

static int set_up(void **state)
{
    (void)state;
    arena_init(&arena, 1 << 24, 4096);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    arena_fini(&arena);
    return 0;
}

/* ---- settings ---- */

static void expect_set(const char *line, const char *value, const char *expected)
{
    struct setting_line parts;
    struct str out;

    assert_true(setting_line_parse(str_c(line), &parts));
    assert_true(setting_line_set(str_c(line), &parts, str_c(value), &arena, &out));
    assert_str(out, expected);
}

static void test_a_value_is_replaced_and_nothing_else(void **state)
{
    struct setting_line parts;

    (void)state;
    expect_set("ssl = off", "on", "ssl = on");
    expect_set("  ssl=off\t# of old", "on", "  ssl=on\t# of old");
    expect_set("ssl off#x", "on", "ssl on#x");
    expect_set("ssl_ciphers = 'a''b\\'c # no comment'  # yes", "'x'", "ssl_ciphers = 'x'  # yes");
    expect_set("Ssl_Ciphers 'HIGH'", "'x'", "Ssl_Ciphers 'x'");
    assert_false(setting_line_parse(str_c("# ssl = off"), &parts));
    assert_false(setting_line_parse(str_c("ssl ="), &parts));
    assert_false(setting_line_parse(str_c(""), &parts));
    assert_true(setting_line_commented(str_c("#ssl = off"), &parts));
    assert_str(parts.name, "ssl");
}

static void test_a_quoted_value_reads_as_itself(void **state)
{
    struct str out;

    (void)state;
    assert_true(setting_value_quoted(str_c("it's \\ here"), &arena, &out));
    assert_str(out, "'it''s \\\\ here'");
}

/* ---- rules ---- */

static void expect_fields(const char *line, enum hba_type type, const char *address, const char *method)
{
    const struct hba_rule rule = { .type = type, .raw = str_c(line) };
    struct rule_line parts;

    assert_true(rule_line_parse(str_c(line), &rule, &parts));
    assert_str(parts.address, address);
    assert_str(parts.method, method);
}

static void test_fields_of_a_rule(void **state)
{
    struct hba_rule rule = { .type = HBA_HOST };
    struct rule_line parts;
    struct str out;

    (void)state;
    expect_fields("host all all 0.0.0.0/0 md5", HBA_HOST, "0.0.0.0/0", "md5");
    expect_fields("  host\tall  all 10.0.0.0 255.0.0.0  md5 # md5", HBA_HOST, "10.0.0.0 255.0.0.0", "md5");
    expect_fields("host a, b \"with space\",c db.example scram-sha-256 map=x", HBA_HOST, "db.example",
                  "scram-sha-256");
    expect_fields("local all all peer", HBA_LOCAL, "", "peer");
    expect_fields("host all all ::1/128 trust", HBA_HOST, "::1/128", "trust");
    rule.raw = str_c("host all all 10.0.0.0 255.0.0.0 md5   # why");
    assert_true(rule_line_parse(rule.raw, &rule, &parts));
    assert_true(rule_line_with(&parts, parts.method, STR("scram-sha-256"), &arena, &out));
    assert_str(out, "host all all 10.0.0.0 255.0.0.0 scram-sha-256   # why");
    assert_true(rule_line_with(&parts, parts.address, STR("127.0.0.1/32"), &arena, &out));
    assert_str(out, "host all all 127.0.0.1/32 md5   # why");
}

static void test_a_record_of_several_lines_is_left_alone(void **state)
{
    struct hba_rule rule = { .type = HBA_HOST, .raw = STR("host all all 10.0.0.0/8 md5") };
    struct rule_line parts;

    (void)state;
    assert_false(rule_line_parse(STR("host all all \\"), &rule, &parts));
    assert_false(rule_line_parse(STR("host all all 10.0.0.0/8"), &rule, &parts));
}

/* ---- texts ---- */

static void expect_diff(const struct harden_text *text, const char *expected)
{
    AUTO(buf) struct buf out = BUF_INIT(1 << 16);

    harden_text_diff(text, &out);
    assert_string_equal(buf_c(&out), expected);
}

static struct harden_text text_of(const char *content)
{
    struct harden_text text;

    assert_int_equal(harden_text_init(&text, STR("/f"), str_c(content), &arena), OK);
    return text;
}

static void test_a_diff_has_context_and_reasons(void **state)
{
    struct harden_text text = text_of("1\n2\n3\n4\n5\n6\n7\n8\n9\n");

    (void)state;
    expect_diff(&text, "");
    harden_text_replace(&text, 5, STR("five"), STR("a: why"));
    harden_text_insert(&text, 6, STR("five and a half"), STR("b: too"));
    assert_str(harden_text_line(&text, 6), "five and a half");
    assert_str(harden_text_line(&text, 7), "6");
    expect_diff(&text,
                "--- /f\n+++ /f\n@@ -2,7 +2,8 @@ a: why; b: too\n 2\n 3\n 4\n-5\n+five\n+five and a half\n"
                " 6\n 7\n 8\n");
}

static void test_changes_far_apart_are_hunks_of_their_own(void **state)
{
    struct harden_text text = text_of("1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n");

    (void)state;
    harden_text_remove(&text, 1, STR("a"));
    harden_text_replace(&text, 9, STR("ten"), STR("b"));
    expect_diff(&text,
                "--- /f\n+++ /f\n@@ -1,4 +1,3 @@ a\n-1\n 2\n 3\n 4\n@@ -7,4 +6,4 @@ b\n 7\n 8\n 9\n-10\n"
                "+ten\n");
}

static void test_line_ends_stay(void **state)
{
    struct harden_text text = text_of("ssl = off\r\nport = 1\r\n");
    AUTO(buf) struct buf out = BUF_INIT(1 << 16);

    (void)state;
    harden_text_replace(&text, 1, STR("ssl = on"), STR("a"));
    harden_text_insert(&text, 3, STR("x = 1"), STR("b"));
    harden_text_after(&text, &out);
    assert_string_equal(buf_c(&out), "ssl = on\r\nport = 1\r\nx = 1\r\n");
    buf_reset(&out);
    harden_text_before(&text, &out);
    assert_string_equal(buf_c(&out), "ssl = off\r\nport = 1\r\n");
}

static void test_a_last_line_without_an_end(void **state)
{
    struct harden_text text = text_of("a\nb");

    (void)state;
    harden_text_insert(&text, 3, STR("c"), STR("w"));
    expect_diff(&text, "--- /f\n+++ /f\n@@ -1,2 +1,3 @@ w\n a\n-b\n\\ No newline at end of file\n+b\n+c\n");
}

static void test_a_new_file(void **state)
{
    struct harden_text text = text_of("");

    (void)state;
    text.is_new = true;
    harden_text_insert(&text, 1, STR("a"), STR("w"));
    expect_diff(&text, "--- /dev/null\n+++ /f\n@@ -0,0 +1 @@ w\n+a\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_value_is_replaced_and_nothing_else),
        cmocka_unit_test(test_a_quoted_value_reads_as_itself),
        cmocka_unit_test(test_fields_of_a_rule),
        cmocka_unit_test(test_a_record_of_several_lines_is_left_alone),
        cmocka_unit_test(test_a_diff_has_context_and_reasons),
        cmocka_unit_test(test_changes_far_apart_are_hunks_of_their_own),
        cmocka_unit_test(test_line_ends_stay),
        cmocka_unit_test(test_a_last_line_without_an_end),
        cmocka_unit_test(test_a_new_file),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
