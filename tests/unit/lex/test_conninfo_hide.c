/* Connection strings as they are shown: no part of a secret, and everything else as it was written. */
#include "../unit.h"

#include "../one_arena.h"
#include "base/arena.h"
#include "lex/conninfo_hide.h"

static void shows(const char *text, const char *expected)
{
    struct str shown = conninfo_hidden(&arena, str_c(text));

    assert_string_equal(arena_c(&arena, shown), expected);
}

static void shows_itself(const char *text)
{
    shows(text, text);
}

static void test_without_secrets(void **state)
{
    (void)state;
    shows_itself("");
    shows_itself("  ");
    shows_itself("host = a  port=5433 ");
    shows_itself("host='a b' user=a\\ b dbname='it\\'s'");
    shows_itself("passfile=/etc/pgseal/pass sslkey=/k requiressl=1");
    shows_itself("postgresql://");
    shows_itself("postgresql://alice@host/db");
    shows_itself("postgres://h1:5432,[::1]:5433,h3/db?sslmode=require&options=a@b&passfile=/p");
    shows_itself("postgresql:///db?host=/tmp&ssl=true");
}

static void test_pairs(void **state)
{
    (void)state;
    shows("host=h password=geheim port=1", "host=h password=******** port=1");
    shows("password = 'ge heim' host=h", "password = ******** host=h");
    shows("password='it\\'s geheim' host=h", "password=******** host=h");
    shows("password=ge\\ heim host=h", "password=******** host=h");
    shows("password=", "password=********");
    shows(
        "sslpassword=a scram_client_key=b scram_server_key=c oauth_client_secret=d",
        "sslpassword=******** scram_client_key=******** scram_server_key=******** oauth_client_secret=********");
}

/* From the first mistake on nothing is certain. */
static void test_malformed_pairs(void **state)
{
    (void)state;
    shows("password=my geheim host=h", "password=******** ********");
    shows("password=my geheim=1 host=h", "password=******** ********");
    shows("password 'geheim'", "password ********");
    shows("password='geheim host=h", "password=********");
    shows("host='h password=geheim", "host=********");
    shows("pasword=geheim host=h", "pasword=********");
    shows("PASSWORD=geheim", "PASSWORD=********");
    shows("host=h geheim", "host=h ********");
    shows("u:geheim@host", "********");
    shows("u:geheim@host?a=b", "********");
    shows("host", "host");
}

static void test_uris(void **state)
{
    (void)state;
    shows("postgresql://u:geheim@h:5432/db", "postgresql://u:********@h:5432/db");
    shows("postgresql://u:@h/db", "postgresql://u:********@h/db");
    shows("postgresql://u:ge?heim@h/db?sslmode=require", "postgresql://u:********@h/db?sslmode=require");
    shows("postgresql://u:ge%zzheim@[::1/db", "postgresql://u:********@[::1/db");
    shows("postgresql://h/db?user=u&password=geheim&port=1",
          "postgresql://h/db?user=u&password=********&port=1");
    shows("postgresql://h/db?pass%77ord=geheim", "postgresql://h/db?pass%77ord=********");
    shows("postgressql://u:geheim@h/db?a=b", "postgressql://u:********@h/db?a=********");
}

/* What was to be percent-encoded and was not. */
static void test_malformed_uris(void **state)
{
    (void)state;
    shows("postgresql://u:ge@heim@h/db", "postgresql://u:********@h/db");
    shows("postgresql://u:ge/heim@h/db", "postgresql://u:********@h/db");
    shows("postgresql://u:12/heim@h/db", "postgresql://u:********@h/db");
    shows("postgresql://u:12/ge?h=eim@h/db", "postgresql://u:********@h/db");
    shows("postgresql://u:1@ge/h?eim@h/db?port=1", "postgresql://u:********@h/db?port=1");
    shows("postgresql://u@h:1/ge@h", "postgresql://u@h:********@h");
    shows("postgresql://h:1/db?user=a@b&options=c@d", "postgresql://h:1/db?user=a@b&options=c@d");
    shows("postgresql://u:geheim", "postgresql://u:********");
    shows("postgresql://u:geheim/h?sslmode=require", "postgresql://u:********");
    shows("postgresql://h/db?password=ge&heim", "postgresql://h/db?password=********&********");
    shows("postgresql://h/db?password=ge&heim=1", "postgresql://h/db?password=********&********");
    shows("postgresql://h/db?pasword=geheim", "postgresql://h/db?pasword=********");
    shows("postgresql://h/db?geheim", "postgresql://h/db?********");
}

static void test_words(void **state)
{
    static const char *const words[][2] = {
        { "upstreem", "upstreem" },
        { "upstream.\"My Db\"", "upstream.\"My Db\"" },
        { "postgresql://u:geheim", "postgresql://u:********" },
        { "upstream postgresql://u:geheim@h", "upstream postgresql://u:********@h" },
        { "u:geheim@h:5432", "u:********@h:5432" },
        { "[::1", "[::1" },
        { "Host=h;Password=geheim;Port=1", "Host=h;Password=********" },
        { "Uid=u;Pwd = geheim", "Uid=u;Pwd =********" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        struct str shown = conninfo_hidden_word(&arena, str_c(words[i][0]));
        assert_string_equal(arena_c(&arena, shown), words[i][1]);
    }
}

/* Cut anywhere, a string shows nothing of what it hides whole. */
static void test_cut(void **state)
{
    static const char *const texts[] = {
        "host=h password='xyzzy xyzzy' port=1",
        "postgresql://u:xyzzyxyzzy@h:5432/db?sslpassword=xyzzyxyzzy&port=1",
    };

    (void)state;
    for (size_t i = 0; i < 2; i++)
        for (size_t n = 0; n <= strlen(texts[i]); n++) {
            struct str shown = conninfo_hidden(&arena, str_of(texts[i], n));
            assert_null(memmem(shown.p, shown.n, "xyz", 3));
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_without_secrets),
        cmocka_unit_test(test_pairs),
        cmocka_unit_test(test_malformed_pairs),
        cmocka_unit_test(test_uris),
        cmocka_unit_test(test_malformed_uris),
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_cut),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
