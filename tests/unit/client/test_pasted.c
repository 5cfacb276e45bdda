/* Other drivers' connection strings: what they amount to in libpq's, and what is said about it. */
#include "../unit.h"

#include "../one_arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "client/conninfo_text.h"
#include "client/pasted.h"

/* "host=h user=u …" in the order of libpq's options. */
static void reads(const char *text, const char *expected)
{
    AUTO(buf) struct buf shown = BUF_INIT(4096);
    struct pasted pasted;
    struct err e = { 0 };

    if (pasted_parse(str_c(text), &arena, &pasted, &e) != OK)
        fail_msg("%s: %s", text, e.message);
    for (enum conn_option i = 0; i < CONN_OPTION_COUNT; i++)
        if (pasted.options.v[i].p)
            buf_printf(&shown, "%s%s=%.*s", shown.n ? " " : "", conn_option_keyword(i),
                       STR_ARG(pasted.options.v[i]));
    assert_string_equal(buf_c(&shown), expected);
    for (size_t i = 0; i < pasted.n_notes; i++)
        assert_null(memmem(pasted.notes[i].p, pasted.notes[i].n, "geheim", 6));
}

static void notes(const char *text, const char *expected)
{
    struct pasted pasted;
    struct err e = { 0 };

    assert_int_equal(pasted_parse(str_c(text), &arena, &pasted, &e), OK);
    for (size_t i = 0; i < pasted.n_notes; i++)
        if (str_is(pasted.notes[i], expected))
            return;
    fail_msg("%s: no note \"%s\"", text, expected);
}

static void refuses(const char *text, const char *message, const char *hint)
{
    struct pasted pasted;
    struct err e = { 0 };

    assert_int_equal(pasted_parse(str_c(text), &arena, &pasted, &e), E_PARAM);
    assert_string_equal(e.message, message);
    assert_string_equal(e.hint, hint);
}

static void test_libpq(void **state)
{
    (void)state;
    reads("host=h user=u password=a;b", "user=u password=a;b host=h");
    reads("postgres://u:geheim@h:1/d?sslmode=require", "user=u password=geheim dbname=d host=h port=1 "
                                                       "sslmode=require");
    reads("postgres://u@h/d?ssl=true", "user=u dbname=d host=h sslmode=require");
    assert_false(pasted_recognized(STR("host=h user=u")));
    assert_false(pasted_recognized(STR("user=u")));
    assert_false(pasted_recognized(STR("addr=10.0.0.1")));
    assert_false(pasted_recognized(STR("password=x;y user=u")));
    assert_true(pasted_recognized(STR("mysql://h/d")));
}

static void test_node_and_prisma(void **state)
{
    (void)state;
    reads("postgres://u:geheim@h/d?schema=public&sslmode=require",
          "user=u password=geheim dbname=d host=h sslmode=require");
    reads("postgres://u@h/d?sslmode=no-verify", "user=u dbname=d host=h sslmode=require");
    reads("postgres://u@h/d?ssl=require", "user=u dbname=d host=h sslmode=require");
    reads("postgres://u@h/d?ssl=verify-full&x=1", "user=u dbname=d host=h sslmode=verify-full");
    notes("postgres://u@h/d?sslmode=no-verify",
          "sslmode=no-verify of node-postgres means require: the server is not verified");
    notes("postgres://u@h/d?schema=public", "\"schema\" is not a parameter of libpq and is ignored");
    notes("postgres://u@h/d?ssl_mode=require",
          "\"ssl_mode\" is not a parameter of libpq and is ignored; did you mean \"sslmode\"?");
    notes("postgres://u@h/d?password=a&geheim=1", "a parameter that libpq does not have is ignored");
    notes("postgres://u@h/d?sslaccept=accept_invalid_certs",
          "sslaccept: the server's certificate is not verified");
}

static void test_sqlalchemy_and_ecto(void **state)
{
    (void)state;
    reads("postgresql+psycopg2://u@h:1/d?sslmode=require", "user=u dbname=d host=h port=1 sslmode=require");
    notes("postgresql+psycopg2://u@h/d", "\"+psycopg2\" is specific to SQLAlchemy and is ignored");
    reads("postgresql+asyncpg://u@h/d?ssl=verify-ca", "user=u dbname=d host=h sslmode=verify-ca");
    reads("postgresql+asyncpg://u@h/d", "user=u dbname=d host=h sslmode=prefer");
    reads("ecto://u@h/d", "user=u dbname=d host=h sslmode=disable");
    reads("ecto://u@h/d?ssl=true", "user=u dbname=d host=h sslmode=verify-full");
}

static void test_jdbc(void **state)
{
    (void)state;
    reads("jdbc:postgresql://h1:1,h2/d?user=u&password=geheim&ssl=true",
          "user=u password=geheim dbname=d host=h1,h2 port=1, sslmode=verify-full");
    reads("jdbc:postgresql://h/d?user=u&ssl=true&sslmode=require", "user=u dbname=d host=h sslmode=require");
    reads("jdbc:postgresql:d?user=a+b&ssl", "user=a b dbname=d host=localhost sslmode=verify-full");
    reads("jdbc:postgresql://h/d?targetServerType=preferSecondary&sslNegotiation=direct&prepareThreshold=0",
          "dbname=d host=h sslmode=prefer sslnegotiation=direct target_session_attrs=prefer-standby");
    notes("jdbc:postgresql://h/d?sslfactory=org.postgresql.ssl.NonValidatingFactory",
          "sslfactory: the server's certificate is not verified");
    notes("jdbc:postgresql://h/d?ssl=true", "ssl=true of pgJDBC is read as sslmode=verify-full");
    reads("r2dbc:postgresql://u:geheim@h/d?sslMode=VERIFY_FULL",
          "user=u password=geheim dbname=d host=h sslmode=verify-full");
    reads("r2dbc:pool:postgresql://u@h/d", "user=u dbname=d host=h sslmode=disable");
    refuses("jdbc:postgresql://u:geheim@h/d", "a JDBC URL cannot have a user and password before the host",
            "Write jdbc:postgresql://host:5432/dbname?user=NAME.");
    refuses("jdbc:mysql://h/d?password=geheim", "the URL is not for PostgreSQL's jdbc driver",
            "Leave out \"jdbc:\" and write postgresql://user@host:5432/dbname.");
}

static void test_semicolons(void **state)
{
    (void)state;
    reads("Host=h;Port=1;Database=d;Username=u;Password=geheim;SSL Mode=VerifyFull",
          "user=u password=geheim dbname=d host=h port=1 sslmode=verify-full");
    reads("Server=h:1,i;User Id=u;Pwd='ge;''heim';Root Certificate=/r;Pooling=true",
          "user=u password=ge;'heim host=h,i port=1,5432 sslmode=prefer sslrootcert=/r");
    reads("Driver={PostgreSQL Unicode};Server=h;Uid=u;Pwd={ge;}}heim};sslmode=require",
          "user=u password=ge;}heim host=h sslmode=require");
    reads("host=h;username=u", "user=u host=h sslmode=prefer");
    reads("pgsql:host=h;port=1;dbname=d", "dbname=d host=h port=1");
    reads("dbi:Pg:dbname=d;host=h;sslmode=require", "dbname=d host=h sslmode=require");
    refuses("Host=h;Password='geheim", "a quote is not closed in a connection string with semicolons", "");
    refuses("Host=h;geheim;Port=1", "missing \"=\" in a connection string with semicolons", "");
}

static void test_wrapped(void **state)
{
    (void)state;
    reads("DATABASE_URL=postgres://u:geheim@h/d", "user=u password=geheim dbname=d host=h");
    reads(" export DATABASE_URL=\"postgres://u@h/d?a=b\" ", "user=u dbname=d host=h");
    reads("spring.datasource.url: jdbc:postgresql://h/d", "dbname=d host=h sslmode=prefer");
    reads("psql \"host=h user=u\"", "user=u host=h");
    reads("psql postgresql://u@h/d", "user=u dbname=d host=h");
    notes("DATABASE_URL=postgres://u@h/d", "\"DATABASE_URL\" before the connection string is ignored");
    refuses("psql -h db -U app", "the options of psql are not read",
            "Write host= for -h, port= for -p, user= for -U and dbname= for -d.");
    refuses("mysql://u:geheim@h/d", "\"mysql://\" is not a scheme of PostgreSQL",
            "A URL begins with postgresql://, as in postgresql://user@host:5432/dbname.");
}

/* An @, / or ? in a password that was not percent-encoded: refused, and shown nowhere. */
static void test_passwords(void **state)
{
    static const char *const texts[] = {
        "postgres://u:ge@heim@h/d",
        "postgres://u:12/geheim@h/d",
        "postgres://u:geheim/x@h/d",
        "postgres://u:12/s?geheim=x@h/d",
        "postgres://u:p@s/geheim?x=y@h/d",
        "postgres://u:1/2?a=geheim&b@h/d",
        "jdbc:postgresql://u:geheim@h/d",
        "DATABASE_URL=postgres://u:1/geheim@h/d",
        "postgresql+asyncpg://u:1@geheim@h/d",
        "postgres://u:geheim",
        "r2dbc:postgresql://u:1?geheim@x@h/d",
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        struct pasted pasted = { 0 };
        struct err e = { 0 };
        enum code code = pasted_parse(str_c(texts[i]), &arena, &pasted, &e);
        assert_null(strstr(e.message, "geheim"));
        assert_null(strstr(e.hint, "geheim"));
        if (code == OK) { /* a port that is no number: refused where it is used, and hidden there */
            assert_true(pasted.options.port_of_uri);
            assert_int_equal(pasted.n_notes, 0);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_libpq),     cmocka_unit_test(test_node_and_prisma),
        cmocka_unit_test(test_jdbc),      cmocka_unit_test(test_sqlalchemy_and_ecto),
        cmocka_unit_test(test_wrapped),   cmocka_unit_test(test_semicolons),
        cmocka_unit_test(test_passwords),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
