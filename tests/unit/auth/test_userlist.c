/* PgBouncer's userlist.txt. */
#include "../unit.h"

#include "auth/userlist.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/secret.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define GOOD                                                                                                 \
    "; users of the gate\n"                                                                                  \
    "\n"                                                                                                     \
    "\"bob\" \"md5aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\" and more, ignored\n"                                    \
    "  \"alice\"\t\"SCRAM-SHA-256$x\"\r\n"                                                                   \
    "\"we\"\"ird; user\"\"\" \"a\"\"b ; c\" ; comment\n"                                                     \
    "\"empty\" \"\"\n"                                                                                       \
    "\"tight\"\"\" \"x\"\"\"\n"                                                                              \
    "\"last\" \"no newline\""

struct listing {
    struct arena arena;
    struct diags diags;
    struct userlist *list;
    enum code code;
};

static void parse(struct listing *l, struct bytes text)
{
    arena_init(&l->arena, 1 << 20, 4096);
    diags_init(&l->diags, &l->arena);
    l->list = NULL;
    l->code = userlist_parse(STR("userlist.txt"), text, &l->diags, &l->list);
}

static void listing_fini(struct listing *l)
{
    userlist_unref(l->list);
    arena_fini(&l->arena);
}

static void stored_secrets_are_no_cleartext(void **state)
{
    (void)state;
    struct listing l;

    parse(&l, str_bytes(STR("\"empty\" \"\"\n"
                            "\"bob\" \"md5aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"\n")));
    assert_int_equal(l.code, OK);
    assert_false(userlist_has_cleartext(l.list));
    listing_fini(&l);
}

static void finds_everybody(void **state)
{
    (void)state;
    struct listing l;

    parse(&l, str_bytes(STR(GOOD)));
    assert_int_equal(l.code, OK);
    assert_int_equal(userlist_count(l.list), 6);
    assert_str(userlist_find(l.list, STR("bob"))->secret, "md5aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
    assert_int_equal(userlist_find(l.list, STR("bob"))->line, 3);
    assert_str(userlist_find(l.list, STR("alice"))->secret, "SCRAM-SHA-256$x");
    assert_str(userlist_find(l.list, STR("we\"ird; user\""))->secret, "a\"b ; c");
    assert_str(userlist_find(l.list, STR("empty"))->secret, "");
    assert_str(userlist_find(l.list, STR("tight\""))->secret, "x\"");
    assert_str(userlist_find(l.list, STR("last"))->secret, "no newline");
    assert_null(userlist_find(l.list, STR("Bob")));
    assert_true(userlist_has_cleartext(l.list));
    assert_null(userlist_find(l.list, STR("bo")));
    assert_null(userlist_find(l.list, STR("")));
    listing_fini(&l);
    parse(&l, bytes_of("", 0));
    assert_int_equal(l.code, OK);
    assert_int_equal(userlist_count(l.list), 0);
    assert_null(userlist_find(l.list, STR("bob")));
    listing_fini(&l);
}

static void reports_all_errors_in_one_pass(void **state)
{
    (void)state;
    static const char text[] = "bob \"x\"\n"
                               "\"ok\" \"x\"\n"
                               "\"open\n"
                               "\"alice\"\n"
                               "\"alice\" x\n"
                               "\"alice\" \"x\n"
                               "\"\" \"x\"\n"
                               "\"nul\" \"\0\"\n"
                               "\"ok\" \"y\"\n";
    static const struct {
        unsigned line;
        const char *message;
    } expected[] = {
        { 1, "user name must be in double quotes" },
        { 3, "unterminated quoted user name" },
        { 4, "secret in double quotes expected after user name" },
        { 5, "secret in double quotes expected after user name" },
        { 6, "unterminated quoted secret" },
        { 7, "user name is empty" },
        { 8, "null byte in line" },
        { 9, "user \"ok\" is already listed on line 2" },
    };
    struct listing l;
    size_t i = 0;
    struct diag *row;

    parse(&l, bytes_of(text, sizeof text - 1));
    assert_int_equal(l.code, E_SYNTAX);
    assert_null(l.list);
    assert_int_equal(l.diags.errors, COUNT_OF(expected));
    STAILQ_FOREACH (row, &l.diags.list, next) {
        assert_str(row->file, "userlist.txt");
        assert_int_equal(row->line, expected[i].line);
        assert_str(row->message, expected[i].message);
        i++;
    }
    listing_fini(&l);
}

static void long_fields_are_refused(void **state)
{
    (void)state;
    AUTO(buf) struct buf text = BUF_INIT(PASSWORD_MAX + 8192);
    struct listing l;

    assert_true(buf_append_byte(&text, '"'));
    while (text.n < USERLIST_NAME_MAX + 2)
        assert_true(buf_append_byte(&text, 'u'));
    assert_true(buf_append_c(&text, "\" \"x\"\n\"u\" \""));
    for (size_t i = 0; i <= PASSWORD_MAX; i++)
        assert_true(buf_append_byte(&text, 's'));
    assert_true(buf_append_c(&text, "\"\n"));
    parse(&l, buf_bytes(&text));
    assert_int_equal(l.code, E_SYNTAX);
    assert_int_equal(l.diags.errors, 2);
    assert_str(STAILQ_FIRST(&l.diags.list)->message, "user name is too long");
    assert_str(STAILQ_NEXT(STAILQ_FIRST(&l.diags.list), next)->message, "secret is too long");
    listing_fini(&l);
}

static void cut_and_flipped(void **state)
{
    (void)state;
    char text[] = GOOD;
    struct listing l;

    for (size_t n = 0; n < sizeof text; n++) {
        parse(&l, bytes_of(text, n));
        listing_fini(&l);
    }
    for (size_t bit = 0; bit < 8 * sizeof text; bit++) {
        text[bit / 8] = (char)(text[bit / 8] ^ (1 << bit % 8));
        parse(&l, bytes_of(text, sizeof text - 1));
        listing_fini(&l);
        text[bit / 8] = (char)(text[bit / 8] ^ (1 << bit % 8));
    }
}

static void loads_private_files_only(void **state)
{
    (void)state;
    char path[] = "/tmp/userlist.XXXXXX";
    int fd = mkstemp(path);
    struct listing l;

    assert_true(fd >= 0);
    assert_int_equal(write(fd, GOOD, sizeof GOOD - 1), sizeof GOOD - 1);
    arena_init(&l.arena, 1 << 20, 4096);
    diags_init(&l.diags, &l.arena);
    l.list = NULL;
    assert_int_equal(userlist_load(path, &l.diags, &l.list), OK);
    assert_int_equal(userlist_count(l.list), 6);
    userlist_unref(l.list);
    l.list = NULL;
    assert_int_equal(fchmod(fd, 0644), 0);
    assert_int_equal(userlist_load(path, &l.diags, &l.list), E_CONFIG);
    assert_null(l.list);
    char expected[128];
    (void)snprintf(expected, sizeof expected, "auth file \"%s\" has group or world access", path);
    assert_str(STAILQ_FIRST(&l.diags.list)->message, expected);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(userlist_load(path, &l.diags, &l.list), E_NO_FILE);
    assert_int_equal(close(fd), 0);
    listing_fini(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_everybody),
        cmocka_unit_test(stored_secrets_are_no_cleartext),
        cmocka_unit_test(reports_all_errors_in_one_pass),
        cmocka_unit_test(long_fields_are_refused),
        cmocka_unit_test(cut_and_flipped),
        cmocka_unit_test(loads_private_files_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
