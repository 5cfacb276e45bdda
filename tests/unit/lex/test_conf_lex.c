/* conf_lex: tokens, values, includes, errors; whole, truncated, and with bits flipped. */
#include "../unit.h"

#include "../conf_memory.h"
#include "base/arena.h"
#include "base/check.h"
#include "lex/conf_token.h"

#include <stdlib.h>

struct load {
    struct arena arena;
    struct conf_entries entries;
    struct diags diags;
    enum code code;
};

static void load_init(struct load *load, struct memory_file *files)
{
    struct conf_fs fs = memory_fs(files);

    arena_init(&load->arena, 32 << 20, 1024);
    conf_entries_init(&load->entries, &load->arena);
    diags_init(&load->diags, &load->arena);
    load->code = conf_lex_file(&fs, STR("/d/main.conf"), &load->entries, &load->diags);
}

static const struct conf_entry *entry_at(const struct load *load, size_t index)
{
    const struct conf_entry *entry;

    STAILQ_FOREACH (entry, &load->entries.list, next)
        if (index-- == 0)
            return entry;
    fail_msg("no such entry");
    return NULL;
}

static const struct diag *diag_at(const struct load *load, size_t index)
{
    const struct diag *diag;

    STAILQ_FOREACH (diag, &load->diags.list, next)
        if (index-- == 0)
            return diag;
    fail_msg("no such diagnostic");
    return NULL;
}

static void tokens_are_the_longest(void **state)
{
    static const struct {
        const char *text;
        enum conf_token_kind kind;
        size_t n;
    } rows[] = {
        { "abc", CONF_TOKEN_ID, 3 },
        { "_a1\xc3\xbc=", CONF_TOKEN_ID, 5 },
        { "a.b", CONF_TOKEN_QUALIFIED, 3 },
        { "a.b-c", CONF_TOKEN_WORD, 5 },
        { "a.b.c", CONF_TOKEN_WORD, 5 },
        { "a/b:c", CONF_TOKEN_WORD, 5 },
        { "a.\"x y\"", CONF_TOKEN_QUALIFIED, 7 },
        { "a.\"x\"\"y\" z", CONF_TOKEN_QUALIFIED, 8 },
        { "a.\"x", CONF_TOKEN_WORD, 2 },
        { "'a''b'", CONF_TOKEN_STRING, 6 },
        { "'a\\'b' c", CONF_TOKEN_STRING, 6 },
        { "'a''b\n'", CONF_TOKEN_STRING, 3 },
        { "'a\n'", CONF_TOKEN_ERROR, 1 },
        { "'a\\\n'", CONF_TOKEN_ERROR, 1 },
        { "''", CONF_TOKEN_STRING, 2 },
        { "12min ", CONF_TOKEN_INTEGER, 5 },
        { "0x1Fk", CONF_TOKEN_INTEGER, 5 },
        { "0xg", CONF_TOKEN_INTEGER, 3 },
        { "-5", CONF_TOKEN_INTEGER, 2 },
        { "+", CONF_TOKEN_ERROR, 1 },
        { "1.5s", CONF_TOKEN_REAL, 3 },
        { "1.5e-3x", CONF_TOKEN_REAL, 6 },
        { ".", CONF_TOKEN_REAL, 1 },
        { "1.e", CONF_TOKEN_REAL, 2 },
        { "1e3", CONF_TOKEN_INTEGER, 2 },
        { "=x", CONF_TOKEN_EQUALS, 1 },
        { "\"a\"", CONF_TOKEN_ERROR, 1 },
        { "# x\n", CONF_TOKEN_EOL, 1 },
        { " \t\r# x", CONF_TOKEN_EOF, 0 },
        { "", CONF_TOKEN_EOF, 0 },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct conf_scan scan = { str_c(rows[i].text), 1 };
        struct conf_token token = conf_token_next(&scan);
        if (token.kind != rows[i].kind || token.text.n != rows[i].n)
            fail_msg("%s: kind %d, %zu bytes", rows[i].text, (int)token.kind, token.text.n);
    }
}

static void values_lose_their_quotes(void **state)
{
    struct memory_file files[] = {
        { "/d/main.conf", TEXT("a 1\nB = 'it''s\\'\\t\\101\\0x'#c\n\n  upstream.\"My \"\"Db\"\"\" = 'x' # y\n"
                               "Upstream.Foo=on\r\nc=TLSv1.2-x") },
        { NULL, { NULL, 0 } },
    };
    struct load load;

    (void)state;
    load_init(&load, files);
    assert_int_equal(load.code, OK);
    assert_int_equal(load.entries.n, 5);
    assert_str(entry_at(&load, 0)->name, "a");
    assert_null(entry_at(&load, 0)->sub.p);
    assert_str(entry_at(&load, 1)->value, "it's'\tA");
    assert_str(entry_at(&load, 2)->name, "upstream.My \"Db\"");
    assert_str(entry_at(&load, 2)->sub, "My \"Db\"");
    assert_int_equal(entry_at(&load, 2)->line, 4);
    assert_str(entry_at(&load, 3)->sub, "Foo");
    assert_str(entry_at(&load, 4)->value, "TLSv1.2-x");
    arena_fini(&load.arena);
}

static void includes_are_followed(void **state)
{
    struct memory_file files[] = {
        { "/d/main.conf",
          TEXT("include 'sub/a.conf'\nINCLUDE_IF_EXISTS 'none'\ninclude_dir 'dir'\nz = 1\n") },
        { "/d/sub/a.conf", TEXT("x = 1\ninclude 'b.conf'") },
        { "/d/sub/b.conf", TEXT("x = 2\n") },
        { "/d/dir/2.conf", TEXT("y = 2\n") },
        { "/d/dir/1.conf", TEXT("y = 1\n") },
        { "/d/dir/.hidden.conf", TEXT("bad\n") },
        { "/d/dir/note.txt", TEXT("bad\n") },
        { NULL, { NULL, 0 } },
    };
    static const char *const values[] = { "1", "2", "1", "2", "1" };
    struct load load;
    const struct conf_path *path;
    size_t n = 0;

    (void)state;
    load_init(&load, files);
    assert_int_equal(load.code, OK);
    assert_int_equal(load.entries.n, COUNT_OF(values));
    for (size_t i = 0; i < COUNT_OF(values); i++)
        assert_str(entry_at(&load, i)->value, values[i]);
    assert_str(entry_at(&load, 3)->file, "/d/dir/2.conf");
    assert_int_equal(diag_at(&load, 0)->severity, SEV_LOG);
    assert_str(diag_at(&load, 0)->message, "skipping missing configuration file \"/d/none\"");
    STAILQ_FOREACH (path, &load.entries.files, next)
        n++;
    assert_int_equal(n, 7); /* main, a, b, none, dir, 1, 2 */
    arena_fini(&load.arena);
}

static void every_error_is_found(void **state)
{
    struct memory_file files[] = {
        { "/d/main.conf", TEXT("a = server.crt\nb\n= 3\nc = 'x\nd = 1 2\ninclude ''\ninclude '/none'\n"
                               "include_dir ' '\ninclude_dir 'none'\ninclude '/d/main.conf'\nok = 1\n"
                               "upstream.my-db = 'x'\ne =") },
        { NULL, { NULL, 0 } },
    };
    static const char *const messages[] = {
        "syntax error in file \"/d/main.conf\" line 1, near token \"server.crt\"",
        "syntax error in file \"/d/main.conf\" line 2, near end of line",
        "syntax error in file \"/d/main.conf\" line 3, near token \"=\"",
        "syntax error in file \"/d/main.conf\" line 4, near token \"'\"",
        "syntax error in file \"/d/main.conf\" line 5, near token \"2\"",
        "empty configuration file name: \"\"",
        "could not open configuration file \"/none\": No such file or directory",
        "empty configuration directory name: \" \"",
        "could not open configuration directory \"/d/none\": No such file or directory",
        "configuration file recursion in \"/d/main.conf\"",
        "syntax error in file \"/d/main.conf\" line 12, near token \"upstream.my-db\"",
        "syntax error in file \"/d/main.conf\" line 13, near end of line",
    };
    struct load load;

    (void)state;
    load_init(&load, files);
    assert_int_equal(load.code, E_CONFIG);
    assert_int_equal(load.diags.errors, COUNT_OF(messages));
    for (size_t i = 0; i < COUNT_OF(messages); i++)
        assert_str(diag_at(&load, i)->message, messages[i]);
    assert_str(diag_at(&load, 10)->hint,
               "A name with other characters is written in double quotes: upstream.\"my-db\".");
    assert_int_equal(load.entries.n, COUNT_OF(messages) + 1);
    assert_str(entry_at(&load, 6)->error, "could not open file \"/none\"");
    assert_null(entry_at(&load, 6)->name.p);
    arena_fini(&load.arena);
}

static void nesting_ends_at_ten(void **state)
{
    struct memory_file files[] = {
        { "/d/main.conf", TEXT("include 'a'\n") },
        { "/d/a", TEXT("include 'b'\n") },
        { "/d/b", TEXT("include 'a'\n") },
        { NULL, { NULL, 0 } },
    };
    struct load load;

    (void)state;
    load_init(&load, files);
    assert_int_equal(load.code, E_CONFIG);
    assert_str(diag_at(&load, 0)->message,
               "could not open configuration file \"/d/a\": maximum nesting depth exceeded");
    arena_fini(&load.arena);
}

static void multiplying_includes_end(void **state)
{
    struct memory_file files[] = {
        { "/d/main.conf", TEXT("include 'a'\ninclude 'a'\ninclude 'a'\n") },
        { "/d/a", TEXT("include 'b'\ninclude 'b'\ninclude 'b'\n") },
        { "/d/b", TEXT("include 'a'\ninclude 'a'\ninclude 'a'\n") },
        { NULL, { NULL, 0 } },
    };
    struct load load;

    (void)state;
    load_init(&load, files);
    assert_int_equal(load.code, E_LIMIT);
    arena_fini(&load.arena);
}

static void a_bogus_file_is_abandoned(void **state)
{
    static char text[2 * 300];
    struct memory_file files[] = { { "/d/main.conf", bytes_of(text, sizeof text) }, { NULL, { NULL, 0 } } };
    struct load load;

    (void)state;
    for (size_t i = 0; i < sizeof text; i += 2)
        memcpy(text + i, "?\n", 2);
    load_init(&load, files);
    assert_int_equal(load.code, E_CONFIG);
    assert_int_equal(load.diags.errors, CONF_ERRORS_MAX + 1);
    assert_str(diag_at(&load, CONF_ERRORS_MAX)->message,
               "too many syntax errors found, abandoning file \"/d/main.conf\"");
    arena_fini(&load.arena);
}

static void missing_main_file(void **state)
{
    struct memory_file files[] = { { NULL, { NULL, 0 } } };
    struct load load;

    (void)state;
    load_init(&load, files);
    assert_int_equal(load.code, E_NO_FILE);
    assert_int_equal(load.diags.errors, 1);
    arena_fini(&load.arena);
}

static const char sample[] = "a = 1.5 # c\nb 'it''s \\'\\n\\777 \\\\'\nupstream.\"a\"\"b\" = \"x\nc=0x1F\n"
                             "include 'main.conf'\ninclude_dir '/d'\n";

static void try_text(const char *text, size_t n)
{
    char *exact = malloc(n ? n : 1); /* so that the sanitizer sees a read behind the end */
    struct memory_file files[] = { { "/d/main.conf", bytes_of(exact, n) }, { NULL, { NULL, 0 } } };
    struct load load;

    assert_non_null(exact);
    memcpy(exact, text, n);
    load_init(&load, files);
    assert_true(load.code == OK || load.code == E_CONFIG || load.code == E_LIMIT);
    arena_fini(&load.arena);
    free(exact);
}

static void truncated_and_flipped(void **state)
{
    char text[sizeof sample];

    (void)state;
    for (size_t n = 0; n < sizeof sample; n++)
        try_text(sample, n);
    for (size_t i = 0; i < (sizeof sample - 1) * 8; i++) {
        memcpy(text, sample, sizeof sample);
        text[i / 8] = (char)(text[i / 8] ^ 1 << i % 8);
        try_text(text, sizeof sample - 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tokens_are_the_longest),    cmocka_unit_test(values_lose_their_quotes),
        cmocka_unit_test(includes_are_followed),     cmocka_unit_test(every_error_is_found),
        cmocka_unit_test(nesting_ends_at_ten),       cmocka_unit_test(multiplying_includes_end),
        cmocka_unit_test(a_bogus_file_is_abandoned), cmocka_unit_test(missing_main_file),
        cmocka_unit_test(truncated_and_flipped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
