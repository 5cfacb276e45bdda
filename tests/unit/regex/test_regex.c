/* Regular expressions: PostgreSQL's answers, its errors, bytes, threads. Answers checked against
 * PostgreSQL 18. */
#include "../unit.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "regex/regex.h"

#include <locale.h>
#include <pthread.h>
#include <signal.h>

/** "ERR reason", "NO", "YES" or "YES group". */
#define METAS "\\*[]?\\*[]?\\*[]?\\*[]?\\*[]?\\*[]?\\*[]?\\*[]?\\*[]?\\*[]?"

static void search(const char *pattern, struct str subject, char *out, size_t size)
{
    AUTO(buf) struct buf b = BUF_INIT(1024);
    struct regex_match match;
    struct arena arena;
    unsigned number;
    struct err e;

    arena_init(&arena, 1 << 24, 1024);
    struct regex_set *set = regex_set_new(&arena);
    enum code code = regex_set_add(set, str_c(pattern), true, &number, &e);
    if (code == OK)
        code = regex_search(set, number, subject, &match, &e);
    if (code != OK)
        (void)buf_printf(&b, "ERR %s", e.message);
    else if (!match.matched)
        (void)buf_append_c(&b, "NO");
    else if (!match.group_set)
        (void)buf_append_c(&b, "YES");
    else
        (void)buf_printf(&b, "YES %.*s", STR_ARG(match.group));
    assert_true(str_to_c(buf_str(&b), out, size));
    arena_fini(&arena);
}

struct regex_case {
    const char *pattern, *subject, *expected;
};

static void expect_all(const struct regex_case *cases, size_t n)
{
    char got[1024];

    for (size_t i = 0; i < n; i++) {
        search(cases[i].pattern, str_c(cases[i].subject), got, sizeof got);
        if (strcmp(got, cases[i].expected) != 0)
            print_error("%s on %s\n", cases[i].pattern, cases[i].subject);
        assert_string_equal(got, cases[i].expected);
    }
}

static void answers(void **state)
{
    (void)state;
    static const struct regex_case cases[] = {
        { "^(a|ab)", "ab", "YES ab" },
        { "(a+?)(b*)", "aab", "YES a" },
        { "", "x", "YES" },
        { "^(.*)@x$", "joe@x", "YES joe" },
        { "(z)?a", "a", "YES" },
        { "a", "A", "NO" },
        { "(?i)a", "A", "YES" },
        { "^.$", "\xc3\xa9", "NO" },
        { "^..$", "\xc3\xa9", "YES" },
        { "\xe9", "\xe9", "YES" },
        { "\\xe9", "\xe9", "YES" },
        { "\\351", "\xe9", "YES" },
        { "\\u00e9", "\xe9", "YES" },
        { "[\\x80-\\xff]", "\xe9", "YES" },
        { "[a-\\xff]", "\x80", "YES" },
        { "\\x100", "\xff", "NO" },
        { "(?i)\xe9", "\xc9", "NO" },
        { "[[:alpha:]]|\\w", "\xe9", "NO" },
        { "[[:cntrl:]]", "\x80", "YES" },
        { "[[:punct:]]", "$", "YES" },
        { "[[:word:]]", "_", "YES" },
        { "[\\W]", "-", "YES" },
        { "[^\\W]", "-", "NO" },
        { "[^\\w\\W]", "a", "NO" },
        { "(?n)\\D", "\n", "YES" },
        { "(?i)[^a]", "A", "NO" },
        { "[]a]", "]", "YES" },
        { "[a-]", "-", "YES" },
        { "[[.hyphen.]]", "-", "YES" },
        { "[[=a=]b]", "b", "YES" },
        { "[[:<:]]a", "b a", "YES" },
        { "\\ma\\M", "b a", "YES" },
        { "(a)\\1", "aa", "YES a" },
        { "***=a.b", "a.b", "YES" },
        { "***=a.b", "axb", "NO" },
        { "***=", "x", "YES" },
        { "***=***=(?x)[\\", "-***=(?x)[\\-", "YES" },
        { "***=" METAS METAS METAS METAS METAS, "\\*[]?", "NO" }, /* overran the stack of Tcl's engine */
        { "(?q)a.b", "axb", "NO" },
        { "(?x)a b # c", "ab", "YES" },
        { "(?#c[)a", "a", "YES" },
        { "(?e)[\\d]", "\\", "YES" },
        { "a{2,}", "aa", "YES" },
        { "x{", "x{", "YES" },
        { "(?=b)b", "ab", "YES" },
    };

    expect_all(cases, COUNT_OF(cases));
}

static void errors(void **state)
{
    (void)state;
    static const struct regex_case cases[] = {
        { "(", "", "ERR parentheses () not balanced" },
        { "[a", "", "ERR brackets [] not balanced" },
        { "[z-a]", "", "ERR invalid character range" },
        { "[a-[:digit:]]", "", "ERR invalid character range" },
        { "[[:foo:]]", "", "ERR invalid character class" },
        { "[[.xx.]]", "", "ERR invalid collating element" },
        { "\\", "", "ERR invalid escape \\ sequence" },
        { "\\N", "", "ERR invalid escape \\ sequence" },
        { "[\\y]", "", "ERR invalid escape \\ sequence" },
        { "\\u12", "", "ERR invalid escape \\ sequence" },
        { "\\1", "", "ERR invalid backreference number" },
        { "(a)(?=\\1)", "", "ERR invalid backreference number" },
        { "a**", "", "ERR quantifier operand invalid" },
        { "*a", "", "ERR quantifier operand invalid" },
        { "a{2,1}", "", "ERR invalid repetition count(s)" },
        { "a{256}", "", "ERR invalid repetition count(s)" },
        { "a{2", "", "ERR braces {} not balanced" },
        { "(?z)a", "", "ERR invalid embedded option" },
        { "(?<=a)b", "ab", "ERR lookbehind constraints are not supported" },
        /* The first error counts, whoever finds it. */
        { "a**[[:foo:]]", "", "ERR quantifier operand invalid" },
        { "[[:foo:]]a**", "", "ERR invalid character class" },
    };

    expect_all(cases, COUNT_OF(cases));
}

static void too_long(void **state)
{
    (void)state;
    static char pattern[20000], got[256];

    memset(pattern, 'a', sizeof pattern - 1);
    search(pattern, STR("a"), got, sizeof got);
    assert_string_equal(got, "ERR regular expression is too complex");
    pattern[300] = '\0';
    search(pattern, STR("a"), got, sizeof got);
    assert_string_equal(got, "NO");
}

static void long_subject(void **state)
{
    (void)state;
    char subject[5000], got[256];

    memset(subject, 'a', sizeof subject);
    subject[sizeof subject - 1] = 'b';
    search("^a+(b)$", str_of(subject, sizeof subject), got, sizeof got);
    assert_string_equal(got, "YES b");
}

/* In pg_hba.conf nobody asks for what the parentheses matched, but the expression itself may. */
static void back_references(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *subject;
        bool matches;
    } cases[] = {
        { "^(a|b)x\\1$", "axa", true },  { "^(a|b)x\\1$", "axb", false },    { "((.).)\\2", "aba", true },
        { "((.).)\\2", "abc", false },   { "(?b)^\\(.\\)\\1$", "aa", true }, { "(?e)^(.)\\1$", "ab", false },
        { "^(..)\\\\1", "ab\\1", true },
    };
    struct arena arena;
    struct regex_match match;
    unsigned number;
    struct err e;

    arena_init(&arena, 1 << 20, 1024);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct regex_set *set = regex_set_new(&arena);
        assert_int_equal(regex_set_add(set, str_c(cases[i].pattern), false, &number, &e), OK);
        assert_int_equal(regex_search(set, number, str_c(cases[i].subject), &match, &e), OK);
        assert_int_equal(match.matched, cases[i].matches);
        assert_false(match.group_set);
    }
    struct regex_set *set = regex_set_new(&arena);
    assert_int_equal(regex_set_add(set, STR("a\\1"), false, &number, &e), E_REGEX);
    assert_string_equal(e.message, "invalid backreference number");
    arena_fini(&arena);
}

/* Characters instead of bytes, and searches that begin in the middle of a text. */
static void in_utf8(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *subject;
        size_t from, start, end; /* start == SIZE_MAX: no match */
    } cases[] = {
        { "^.$", "\xc3\xa9", 0, 0, 1 },
        { "\xc3\xa9+", "a\xc3\xa9\xc3\xa9", 0, 1, 3 },
        { "[\xc3\xa4-\xc3\xb6]", "x\xc3\xa9", 0, 1, 2 },
        { "[^a]", "a\xe6\x97\xa5", 0, 1, 2 },
        { "[\xe4\xb8\x80-\xe9\xbf\xbf]", "\xe6\x97\xa5", 0, 0, 1 },
        { "[\\U00010000-\\U0010ffff]", "\xf0\x9f\x98\x80", 0, 0, 1 },
        { "\\u65e5", "\xe6\x97\xa5", 0, 0, 1 },
        { "\\mb", "abb b", 1, 4, 5 },
        { "^b", "ab", 1, SIZE_MAX, 0 },
        { "\\Ab", "ab", 1, SIZE_MAX, 0 },
        { "(?n)^b", "a\nb", 2, 2, 3 },
        { "(?x)b # c", "abb", 2, 2, 3 },
        { "", "ab", 2, 2, 2 },
        { "(?q)b", "abb", 2, 2, 3 },
        { "***=b", "abb", 2, 2, 3 },
        { "b", "\xff\xe9", 0, SIZE_MAX, 0 },
    };
    struct arena arena;
    struct regex_found found;
    unsigned number;
    struct err e;

    arena_init(&arena, 1 << 22, 1024);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct regex_set *set = regex_set_new_in(&arena, REGEX_UTF8);
        struct regex_subject *subject = regex_subject_new(str_c(cases[i].subject));
        assert_int_equal(regex_set_add(set, str_c(cases[i].pattern), true, &number, &e), OK);
        assert_int_equal(regex_find(set, number, subject, cases[i].from, &found, &e), OK);
        assert_int_equal(found.matched, cases[i].start != SIZE_MAX);
        if (found.matched) {
            assert_int_equal(found.groups[0].start, cases[i].start);
            assert_int_equal(found.groups[0].end, cases[i].end);
        }
        regex_subject_free(subject);
    }
    arena_fini(&arena);
}

enum { THREADS = 4, SETS = 6, ROUNDS = 50 };

static void *search_in_thread(void *arg)
{
    struct regex_set **sets = arg;
    struct regex_match match;
    struct err e;

    for (int round = 0; round < ROUNDS; round++)
        for (int i = 0; i < SETS; i++)
            for (unsigned number = 0; number < 3; number++)
                if (regex_search(sets[(i + round) % SETS], number, STR("user7"), &match, &e) != OK ||
                    match.matched != (number < 2))
                    return arg;
    return NULL;
}

/* More sets than a thread remembers, used by several threads at once; threads clean up behind themselves. */
static void threads(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    struct regex_set *sets[SETS];
    struct arena arena;
    unsigned number;
    struct err e;
    void *bad;

    arena_init(&arena, 1 << 24, 1024);
    for (int i = 0; i < SETS; i++) {
        sets[i] = regex_set_new(&arena);
        assert_int_equal(regex_set_add(sets[i], STR("^user[0-9]$"), false, &number, &e), OK);
        assert_int_equal(regex_set_add(sets[i], STR("^(user)"), true, &number, &e), OK);
        assert_int_equal(regex_set_add(sets[i], STR("^x"), false, &number, &e), OK);
    }
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, search_in_thread, sets), 0);
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], &bad), 0);
        assert_null(bad);
    }
    assert_null(search_in_thread(sets));
    arena_fini(&arena);
}

/* Cut at every length and with every bit flipped: an answer or an error. */
static void hostile(void **state)
{
    (void)state;
    static const char sample[] = "(?i)^(a|[^[:alpha:]\\d-x[.hyphen.]]{1,3}?)\\x41\\1(?=\\mb)(?#c)[[=a=]-]$";
    char copy[sizeof sample], got[256];

    for (size_t i = 0; i < sizeof sample; i++) {
        memcpy(copy, sample, sizeof copy);
        copy[i] = '\0';
        search(copy, STR("aAab"), got, sizeof got);
    }
    for (size_t bit = 0; bit < 8 * (sizeof sample - 1); bit++) {
        memcpy(copy, sample, sizeof copy);
        copy[bit / 8] = (char)(copy[bit / 8] ^ (1 << (bit % 8)));
        search(copy, STR("aAab"), got, sizeof got);
    }
}

/* Tcl's start leaves signals and locale alone. */
static void process_stays(void **state)
{
    (void)state;
    struct sigaction action;

    assert_int_equal(sigaction(SIGPIPE, NULL, &action), 0);
    assert_true(action.sa_handler == SIG_DFL);
    assert_string_equal(setlocale(LC_CTYPE, NULL), "C");
}

static int forget(void **state)
{
    (void)state;
    regex_thread_fini();
    regex_thread_fini();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers),      cmocka_unit_test(errors),          cmocka_unit_test(too_long),
        cmocka_unit_test(long_subject), cmocka_unit_test(back_references), cmocka_unit_test(in_utf8),
        cmocka_unit_test(threads),      cmocka_unit_test(hostile),         cmocka_unit_test(process_stays),
    };

    return cmocka_run_group_tests(tests, NULL, forget);
}
