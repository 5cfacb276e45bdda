/* pg_hosts.conf: lines, their faults, and names that stand twice. */
#include "base/arena.h"
#include "base/check.h"
#include "conf/hosts_file.h"
#include "lex/hba_lex.h"
#include "unit.h"

#include <stdio.h>

struct parsed {
    struct arena arena;
    struct host_lines hosts;
};

static struct host_line *parse(struct parsed *p, const char *text, size_t n)
{
    const struct hba_lex_params params = { 0 };
    struct hba_lines lines;

    arena_init(&p->arena, 1 << 20, 4096);
    assert_int_equal(
        hba_lex_bytes(&params, STR("/data/pg_hosts.conf"), bytes_of(text, strlen(text)), &p->arena, &lines),
        OK);
    assert_int_equal(hosts_file_parse(&lines, &p->arena, &p->hosts), OK);
    assert_int_equal(p->hosts.n, n);
    return p->hosts.at;
}

static void test_whole_lines(void **state)
{
    struct parsed p;
    struct host_line *at = parse(&p,
                                 "# comment\n"
                                 "db.example,\"other name\", Db2.Example \\\n  s.crt \"a key\"\n"
                                 "* c k ca.crt\n"
                                 "/no_sni/ c k \"\" \"echo a, b\" yes\n"
                                 "x c k ca cmd\n",
                                 4);

    (void)state;
    assert_int_equal(p.hosts.n_bad, 0);
    assert_int_equal(at[0].line, 2);
    assert_int_equal(at[0].n_names, 3);
    assert_str(at[0].names[1], "other name");
    assert_str(at[0].names[2], "Db2.Example");
    assert_str(at[0].cert, "s.crt");
    assert_str(at[0].key, "a key");
    assert_null(at[0].ca.p);
    assert_null(at[0].command.p);
    assert_false(at[0].command_reloads);
    assert_true(host_line_is(&at[1], HOSTS_ANY));
    assert_false(host_line_is(&at[0], HOSTS_ANY));
    assert_str(at[1].ca, "ca.crt");
    assert_true(host_line_is(&at[2], HOSTS_NO_SNI));
    assert_non_null(at[2].ca.p);
    assert_int_equal(at[2].ca.n, 0);
    assert_str(at[2].command, "echo a, b");
    assert_true(at[2].command_reloads);
    assert_str(at[3].command, "cmd");
    assert_false(at[3].command_reloads);
    arena_fini(&p.arena);
}

static void test_faults(void **state)
{
    static const struct {
        const char *line, *error;
    } rows[] = {
        { "a", "missing entry at end of line" },
        { "a c", "missing entry at end of line" },
        { "a,* c k", "default and non-SNI entries cannot be mixed with other entries" },
        { "/no_sni/,a", "default and non-SNI entries cannot be mixed with other entries" },
        { "*,/no_sni/ c k", "default and non-SNI entries cannot be mixed with other entries" },
        { "a c,d", "multiple values specified for SSL certificate" },
        { "a c k,l", "multiple values specified for SSL key" },
        { "a c k a,b", "multiple values specified for SSL CA" },
        { "a c k ca x,y", "multiple values specified for SSL passphrase command" },
        { "a c k ca x,y on on", "multiple values specified for SSL passphrase command" },
        { "a c k ca x maybe", "incorrect syntax for boolean value SSL_passphrase_cmd_reload" },
        { "a c k ca x on,off", "incorrect syntax for boolean value SSL_passphrase_cmd_reload" },
        { "a c k ca x on more", "extra fields at end of line" },
        { "a c k ca x maybe more", "extra fields at end of line" },
        { "a @gone k", "could not open file \"/data/gone\": No such file or directory" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct parsed p;
        const struct host_line *at = parse(&p, rows[i].line, 1);
        assert_str(at[0].error, rows[i].error);
        assert_int_equal(at[0].line, 1);
        assert_int_equal(p.hosts.n_bad, 1);
        arena_fini(&p.arena);
    }
}

static void test_twice(void **state)
{
    struct parsed p;
    const struct host_line *at = parse(&p,
                                       "* c k\n"
                                       "a,b c k\n"
                                       "B,a,d c k\n"
                                       "* c k\n"
                                       "/no_sni/ c k\n"
                                       "e,E c k\n"
                                       "/no_sni/ c k\n"
                                       "f c\n"
                                       "f c k\n",
                                       9);

    (void)state;
    assert_null(at[0].error.p);
    assert_null(at[1].error.p);
    assert_str(at[2].error, "multiple entries for host \"a\" specified");
    assert_str(at[3].error, "multiple default hosts specified");
    assert_null(at[4].error.p);
    assert_str(at[5].error, "multiple entries for host \"E\" specified");
    assert_str(at[6].error, "multiple no_sni hosts specified");
    assert_str(at[7].error, "missing entry at end of line");
    assert_null(at[8].error.p);
    assert_int_equal(p.hosts.n_bad, 5);
    arena_fini(&p.arena);
}

/* What a check asks for to be served by the line. */
static void test_name_to_ask_for(void **state)
{
    enum { LONGEST = 255 };
    char text[2 * LONGEST + 64], longest[LONGEST + 1];
    struct parsed p;

    (void)state;
    memset(longest, 'x', LONGEST);
    longest[LONGEST] = '\0';
    (void)snprintf(text, sizeof text,
                   "One,two c k\n\"\",y%s,three c k\n%s c k\n\"\" c k\n* c k\n/no_sni/ c k\n", longest,
                   longest);
    struct host_line *at = parse(&p, text, 6);
    assert_int_equal(p.hosts.n_bad, 1);
    assert_str(host_line_name(&at[0]), "One");
    assert_str(host_line_name(&at[1]), "three");
    assert_str(host_line_name(&at[2]), longest);
    for (size_t i = 3; i < 6; i++)
        assert_null(host_line_name(&at[i]).p);
    arena_fini(&p.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole_lines),
        cmocka_unit_test(test_faults),
        cmocka_unit_test(test_twice),
        cmocka_unit_test(test_name_to_ask_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
